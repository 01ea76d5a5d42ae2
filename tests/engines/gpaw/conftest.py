"""A cell so small that GPAW relaxes it in seconds: nothing about it is physical but the forces."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines import GpawEngine

HASTE = {
    "cutoff": 200.0,
    "grid_spacing": 0.3,
    "empty_bands": 4,
    "smearing": 0.1,
    "force_threshold": 0.05,
    "initial_hessian": 40.0,
    "max_steps": 30,
}


@pytest.fixture(scope="session")
def dimer():
    """Hydrogen molecules, 4 Å apart."""
    cell = Structure(Lattice.cubic(4.0), ["H", "H"], [[0.4, 0.5, 0.5], [0.6, 0.5, 0.5]])
    return Host.from_structure(cell, (1, 1, 1), "H2", dimensionality=3)


@pytest.fixture(scope="session")
def hydride(dimer):
    """Lithium in the place of one hydrogen: much too near to the other."""
    return DefectConfiguration.create(dimer, {1: "Li"})


@pytest.fixture
def engine(tmp_path):
    """Makes GPAW engines in haste."""

    def make(**options):
        return GpawEngine(**{**HASTE, "directory": tmp_path / "gpaw", **options})

    return make
