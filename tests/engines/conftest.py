"""Metals for ASE's effective-medium potential, which is as quick as it is real, and VASP's engine on the stand-in."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pymatgen.core
import pytest
from pymatgen.core import Lattice, Structure

from definet_flows.defects import VACANCY, DefectConfiguration, Host
from definet_flows.engines import ForceFieldEngine, VaspEngine, potentials
from tests.engines.calculators import CountingEMT
from tests.vasp_standin.potcars import write_potcars

CONSTANTS = {"Al": 3.99, "Cu": 3.61, "Ni": 3.49}
COUNTING = "tests.engines.calculators.CountingEMT"
FAULTY = "tests.engines.calculators.Faulty"
VASP = f"{sys.executable} {Path(__file__).resolve().parents[1] / 'vasp_standin'}"


def fcc(metal, supercell=(3, 3, 3)):
    half = CONSTANTS[metal] / 2
    cell = Structure(Lattice([[0, half, half], [half, 0, half], [half, half, 0]]), [metal], [[0, 0, 0]])
    return Host.from_structure(cell, supercell, metal, dimensionality=3)


@pytest.fixture(scope="session")
def metal():
    return fcc


@pytest.fixture(scope="session")
def copper():
    return fcc("Cu")


@pytest.fixture(scope="session")
def impurity(copper):
    """Silver beside a vacancy: a few steps of relaxation, without symmetry that would shorten it."""
    return DefectConfiguration.create(copper, {0: "Ag", 1: VACANCY, 5: "Au"})


@pytest.fixture(scope="session")
def slab():
    """Three layers of Cu(100), whose outer layers relax inwards; one unit cell per surface atom."""
    a, c = CONSTANTS["Cu"], 20.0
    lattice = Lattice.tetragonal(a / 2**0.5, c)
    cell = Structure(lattice, ["Cu"] * 3, [[0, 0, 0.5], [0.5, 0.5, 0.5 - a / 2 / c], [0.5, 0.5, 0.5 + a / 2 / c]])
    return Host.from_structure(cell, (3, 3, 1), "Cu(100)", dimensionality=2)


@pytest.fixture
def counted():
    """The cells and positions of every evaluation of `CountingEMT` from here on."""
    CountingEMT.cells.clear()
    CountingEMT.positions.clear()
    return CountingEMT


@pytest.fixture
def emt():
    """An engine on a counting EMT."""

    def make(**options):
        return ForceFieldEngine(potential=COUNTING, **{"relax_host": False, **options})

    return make


@pytest.fixture
def faulty():
    """An engine whose potential fails, each with a calculator of its own: they are shared within a process otherwise."""

    def make(fault, after=0):
        potentials._load.cache_clear()
        return ForceFieldEngine(
            potential=FAULTY, potential_arguments={"fault": fault, "after": after}, relax_host=False, max_steps=40
        )

    return make


@pytest.fixture(scope="session")
def potcars(tmp_path_factory):
    """A folder of stand-ins for POTCARs."""
    return write_potcars(tmp_path_factory.mktemp("potcars"), ["Cu_pv", "Al", "Ni_pv", "Mo_pv", "S", "N"])


@pytest.fixture
def engine(potcars, tmp_path, monkeypatch):
    """Makes VASP engines on the stand-in, in haste; `rules` say how it misbehaves."""
    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", str(potcars))
    for variable in ("VASP_STANDIN", "CUSTODIAN_WALLTIME_START"):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)

    def make(rules=(), **options):
        control = tmp_path / "rules.json"
        control.write_text(json.dumps([{"where": "", **rule} for rule in rules]))
        monkeypatch.setenv("VASP_STANDIN", str(control))
        haste = {"poll_seconds": 0.05, "monitor_seconds": 0.1, "directory": tmp_path / "vasp", "vasp_cmd": VASP}
        return VaspEngine(**(haste | {"kpoints": (2, 2, 2)} | options))

    return make
