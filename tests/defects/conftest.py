"""Hosts that the tests of this room share."""

from __future__ import annotations

import functools

import pytest
from pymatgen.core import Lattice, Structure

from definet_flows.defects import Host

SQRT3 = ((2, 1, 0), (1, 2, 0), (0, 0, 1))
RECTANGULAR = ((2, 0, 0), (2, 4, 0), (0, 0, 1))
CUBIC_OF_PRIMITIVE = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))


def bulk(name):
    """Primitive cells of three bulk crystals and a crystal without any symmetry."""
    lattice = {"MgO": 4.212, "CdTe": 6.482, "diamond": 3.567}.get(name)
    if name == "triclinic":
        cell = Lattice.from_parameters(3.1, 4.2, 5.3, 81, 74, 103)
        return Structure(cell, ["Si", "O", "O"], [[0.1, 0.2, 0.3], [0.43, 0.71, 0.25], [0.62, 0.18, 0.84]])
    species, second = {"MgO": ("MgO", 0.5), "CdTe": ("CdTe", 0.25), "diamond": ("CC", 0.25)}[name]
    half = lattice / 2
    fcc = Lattice([[0, half, half], [half, 0, half], [half, half, 0]])
    elements = {"MgO": ["Mg", "O"], "CdTe": ["Cd", "Te"], "CC": ["C", "C"]}[species]
    return Structure(fcc, elements, [[0, 0, 0], [second] * 3])


@functools.cache
def host_of(name, supercell):
    """A host by name; the six layers have 15 Å of vacuum or more."""
    if name in {"MgO", "CdTe", "diamond", "triclinic"}:
        return Host.from_structure(bulk(name), supercell, name, dimensionality=3)
    return Host.from_preset(name, supercell, vacuum=15.0)


@pytest.fixture(scope="session")
def make_host():
    return host_of


@pytest.fixture(scope="session")
def mos2():
    """MoS2 5×5: large enough for clusters, small enough to be quick."""
    return host_of("MoS2", (5, 5, 1))
