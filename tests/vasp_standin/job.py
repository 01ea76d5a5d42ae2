"""What VASP reads: INCAR, POSCAR, KPOINTS and POTCAR of the working directory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DEFAULTS = {
    "ALGO": "Normal",
    "EDIFF": "1E-4",
    "EDIFFG": "1E-3",
    "ENCUT": "400",
    "GGA": "PE",
    "IBRION": "-1",
    "ISIF": "2",
    "ISMEAR": "1",
    "ISPIN": "1",
    "ISYM": "2",
    "IVDW": "0",
    "LDAU": ".FALSE.",
    "LHFCALC": ".FALSE.",
    "LORBIT": "0",
    "METAGGA": "--",
    "NELM": "60",
    "NSW": "0",
    "POTIM": "0.5",
    "PREC": "Normal",
    "SIGMA": "0.2",
}


@dataclass
class Job:
    """One run: species in blocks as POSCAR lists them."""

    incar: dict[str, str]
    lattice: np.ndarray  # [3, 3] Å
    symbols: list[str]
    counts: list[int]
    frac_coords: np.ndarray  # [n_atoms, 3]
    grid: tuple[int, int, int]
    titles: list[str]
    valences: list[float]

    def number(self, key):
        return float(self.incar.get(key, DEFAULTS[key]).replace("d", "e").split()[0])

    def integer(self, key):
        return int(self.number(key))

    @property
    def species(self):
        return [symbol for symbol, count in zip(self.symbols, self.counts, strict=True) for _ in range(count)]

    @property
    def cart_coords(self):
        return self.frac_coords @ self.lattice

    @property
    def electrons(self):
        neutral = sum(count * valence for count, valence in zip(self.counts, self.valences, strict=True))
        return float(self.incar.get("NELECT", neutral))

    @property
    def parameters(self):
        """Every setting with VASP's default where INCAR says nothing."""
        hybrid = self.incar.get("LHFCALC", "F").strip(".").upper()[0] == "T"
        exchange = {"AEXX": "0.25", "HFSCREEN": "0.0"} if hybrid else {"AEXX": "0.0", "HFSCREEN": "0.0"}
        return DEFAULTS | exchange | {"NELECT": f"{self.electrons:.8f}"} | self.incar

    @property
    def spin(self):
        return self.integer("ISPIN") == 2


def read_job(folder=Path()):
    lattice, symbols, counts, frac_coords = read_poscar((folder / "POSCAR").read_text())
    titles, valences = read_potcar((folder / "POTCAR").read_text())
    if len(titles) != len(symbols):
        raise SystemExit(f"ERROR: POTCAR has {len(titles)} types, POSCAR {len(symbols)}")
    grid = tuple(int(word) for word in (folder / "KPOINTS").read_text().splitlines()[3].split()[:3])
    incar = read_incar((folder / "INCAR").read_text())
    return Job(incar, lattice, symbols, counts, frac_coords, grid, titles, valences)


def read_incar(text):
    pairs = (line.split("#")[0].split("!")[0].partition("=") for line in re.split(r"[\n;]", text))
    return {key.strip().upper(): value.strip() for key, equals, value in pairs if equals}


def read_poscar(text):
    lines = text.splitlines()
    lattice = float(lines[1]) * np.array([[float(x) for x in line.split()] for line in lines[2:5]])
    symbols, counts = lines[5].split(), [int(word) for word in lines[6].split()]
    rows = np.array([[float(x) for x in line.split()[:3]] for line in lines[8 : 8 + sum(counts)]])
    if lines[7].strip()[:1] in "CcKk":
        rows = rows @ np.linalg.inv(lattice)
    return lattice, symbols, counts, rows


def read_potcar(text):
    titles = re.findall(r"TITEL\s*=\s*(.+)", text)
    valences = [float(value) for value in re.findall(r"ZVAL\s*=\s*([\d.]+)", text)]
    return [title.strip() for title in titles], valences
