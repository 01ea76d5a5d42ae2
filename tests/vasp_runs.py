"""Run directories as a group's own runs leave them: the stand-in for VASP, started in a directory with hand-written inputs."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

TESTS = Path(__file__).parent
INCAR = {
    "PREC": "Accurate",
    "ENCUT": 500,
    "EDIFF": 1e-6,
    "EDIFFG": -0.01,
    "GGA": "PE",
    "IBRION": 2,
    "NSW": 100,
    "ISPIN": 2,
    "ISMEAR": 0,
    "SIGMA": 0.05,
    "LREAL": "Auto",
}
VALENCES = {"Mo": 6, "W": 6, "S": 6, "Se": 6, "Cu": 11, "Al": 3}


def write_inputs(folder, structure: Structure, **incar):
    """INCAR, POSCAR, KPOINTS and a POTCAR of titles and valences only; a setting of None is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {key: value for key, value in (INCAR | incar).items() if value is not None}
    (folder / "INCAR").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
    (folder / "KPOINTS").write_text("one point\n0\nGamma\n1 1 1\n0 0 0\n")
    structure.to(filename=str(folder / "POSCAR"), fmt="poscar")
    symbols = [site.specie.symbol for site in structure]
    blocks = [symbol for place, symbol in enumerate(symbols) if place == 0 or symbols[place - 1] != symbol]
    titles = (f"   TITEL  = PAW_PBE {symbol} 01Jan2000\n   ZVAL   = {VALENCES[symbol]:8.3f}\n" for symbol in blocks)
    (folder / "POTCAR").write_text("".join(titles))
    return folder


def run_standin(folder, cores=4):
    """Relax what is in the directory; its files are VASP's afterwards. In this process, for a new one takes most of a second."""
    if str(TESTS) not in sys.path:  # where the stand-in's own modules look for each other
        sys.path.append(str(TESTS))
    from vasp_standin.program import main

    before = os.environ.get("VASP_STANDIN_CORES")
    os.environ["VASP_STANDIN_CORES"] = str(cores)
    try:
        with (folder / "vasp.out").open("w") as output, contextlib.chdir(folder), contextlib.redirect_stdout(output):
            assert main() == 0
    finally:
        os.environ.pop("VASP_STANDIN_CORES")
        if before is not None:
            os.environ["VASP_STANDIN_CORES"] = before
    return folder


def relaxed(folder, structure, cores=4, **incar):
    """A finished run."""
    return run_standin(write_inputs(folder, structure, **incar), cores)


def shaken(structure, size=0.05, seed=0):
    """The structure with its atoms displaced at random, by `size` Å at most along each axis."""
    moved = np.random.default_rng(seed).uniform(-size, size, (len(structure), 3))
    return Structure(structure.lattice, structure.species, structure.cart_coords + moved, coords_are_cartesian=True)


def compress(folder, names=("vasprun.xml", "OUTCAR", "OSZICAR", "CONTCAR", "INCAR", "POSCAR", "KPOINTS", "vasp.out")):
    """Gzip files in place, as atomate2 does when a job has ended."""
    for name in names:
        path = folder / name
        with gzip.open(f"{path}.gz", "wb") as packed:
            packed.write(path.read_bytes())
        path.unlink()
    return folder


def cut(path, share=0.5):
    """Leave only the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def pack_as_error(folder, number=1, names=("vasprun.xml", "OUTCAR", "OSZICAR", "CONTCAR", "INCAR", "POSCAR")):
    """Put copies of a run's files into error.N.tar.gz, as custodian does before it corrects anything."""
    with tarfile.open(folder / f"error.{number}.tar.gz", "w:gz") as archive:
        for name in names:
            if (folder / name).exists():
                archive.add(folder / name, arcname=f"error.{number}/{name}")


def copied(folder, target):
    """The same run somewhere else, to be damaged."""
    return Path(shutil.copytree(folder, target))
