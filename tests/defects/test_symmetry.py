from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from definet_flows.defects import Host
from definet_flows.defects.symmetry import symmetrised, unit_cell_operations
from definet_flows.errors import InputError
from tests.defects.conftest import bulk


@pytest.mark.parametrize("name", ["MoS2", "BP", "GaSe"])
def test_symmetrised_displacements_are_unchanged_by_every_operation(make_host, name):
    host = make_host(name, (1, 1, 1))
    cell, operations = host.unit_cell, host.unit_cell_operations
    average = symmetrised(np.random.default_rng(0).normal(size=(len(cell), 3)), cell, operations)
    lattice = cell.lattice.matrix
    assert abs(average).max() > 1e-3
    np.testing.assert_allclose(average.mean(axis=0), 0, atol=1e-12)
    for operation in operations:
        rotation = np.linalg.inv(lattice) @ operation.rotation.T @ lattice  # Cartesian, acting on rows
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
        np.testing.assert_allclose(average[operation.sites], average @ rotation, atol=1e-9)
    np.testing.assert_allclose(symmetrised(average, cell, operations), average, atol=1e-12)


def test_fixed_sites_do_not_move(make_host):
    """Every site of rock salt is an inversion centre."""
    host = make_host("MgO", (1, 1, 1))
    moved = symmetrised(np.array([[0.1, 0, 0], [0, 0.2, 0]]), host.unit_cell, host.unit_cell_operations)
    np.testing.assert_allclose(moved, 0, atol=1e-12)


def test_space_groups_of_bulk_crystals():
    for name, number, order in (("MgO", 225, 48), ("CdTe", 216, 24), ("diamond", 227, 48), ("triclinic", 1, 1)):
        operations, group = unit_cell_operations(bulk(name))
        assert (group, len(operations)) == (number, order)


def test_a_conventional_cell_has_the_same_permutations_as_the_primitive_one(make_host):
    conventional = Host.from_structure(rock_salt(), (1, 1, 1))
    assert len(conventional.permutations) == len(make_host("MgO", ((-1, 1, 1), (1, -1, 1), (1, 1, -1))).permutations)


def rock_salt():
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.212), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_a_cell_that_spglib_refuses():
    twice = Structure(Lattice.cubic(3), ["Cu", "Cu"], [[0, 0, 0], [0, 0, 1e-6]])
    with pytest.raises(InputError, match="No symmetry found for Cu; check its structure for overlapping atoms"):
        unit_cell_operations(twice)
