from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.defects.distances import minimum_image, site_distances, smallest_distance
from definet_flows.defects.supercell import CellGrid, reduction, supercell_matrix
from tests.defects import brute_force

SHEARS = st.integers(-4, 4)
COORDINATES = st.floats(-20, 20, allow_nan=False)


@given(
    st.tuples(*[st.floats(2, 9)] * 3),
    st.tuples(*[st.floats(65, 115)] * 3),
    st.tuples(SHEARS, SHEARS, SHEARS),
    st.tuples(COORDINATES, COORDINATES, COORDINATES),
)
def test_minimum_image_is_the_shortest_of_all_images(lengths, angles, shears, vector):
    """Also in cells whose vectors were sheared far from the shortest ones."""
    from pymatgen.core import Lattice

    compact = Lattice.from_parameters(*lengths, *angles).matrix
    lattice = np.array([[1, 0, 0], [shears[0], 1, 0], [shears[1], shears[2], 1]]) @ compact
    near = vector - np.rint(vector @ np.linalg.inv(compact)) @ compact
    expected = brute_force.shortest_distance(compact, np.zeros(3), near)
    found = minimum_image(np.array([vector]), lattice)[0]
    assert np.linalg.norm(found) == pytest.approx(expected, abs=1e-9)
    shift = (found - vector) @ np.linalg.inv(lattice)
    np.testing.assert_allclose(shift, np.rint(shift), atol=1e-6)


def test_any_shape_of_input():
    lattice = np.diag([4.0, 5.0, 6.0])
    vectors = np.random.default_rng(0).uniform(-9, 9, (2, 5, 3))
    stacked = minimum_image(vectors, lattice)
    assert stacked.shape == (2, 5, 3)
    np.testing.assert_allclose(stacked, vectors - np.rint(vectors / [4, 5, 6]) * [4, 5, 6])


def test_site_distances_see_images_across_the_edge(make_host):
    host = make_host("BP", (3, 2, 1))
    distances = site_distances(host, np.array([0, 7]))
    for row, site in enumerate((0, 7)):
        expected = [brute_force.shortest_distance(host.lattice, host.positions[site], p) for p in host.positions]
        np.testing.assert_allclose(distances[row], expected, atol=1e-9)


def test_reduction_keeps_the_lattice():
    lattice = np.array([[3.0, 0, 0], [16.0, 3.1, 0], [-8.0, 5.0, 4.0]])
    operation = reduction(lattice)
    assert abs(round(np.linalg.det(operation))) == 1
    assert np.linalg.norm(operation @ lattice, axis=1).max() < 6


@pytest.mark.parametrize("matrix", [(3, 2, 1), ((2, 1, 0), (-1, 3, 0), (0, 0, 1)), ((0, 2, 1), (1, 0, 3), (-2, 1, 0))])
def test_every_offset_falls_into_one_cell_of_the_grid(matrix):
    grid = CellGrid(supercell_matrix(matrix))
    rows = np.array(supercell_matrix(matrix))
    assert len(grid.cells) == grid.n_cells == abs(round(np.linalg.det(rows)))
    assert np.array_equal(grid.index(grid.cells), np.arange(grid.n_cells))
    shifts = np.random.default_rng(1).integers(-5, 6, (grid.n_cells, 3)) @ rows
    assert np.array_equal(grid.index(grid.cells + shifts), np.arange(grid.n_cells))


@given(st.lists(st.integers(0, 35), min_size=2, max_size=5, unique=True))
def test_the_smallest_distance_is_that_of_the_nearest_pair(sites):
    host = Host.from_preset("MoS2", (4, 3, 1), vacuum=15)
    between = site_distances(host, np.array(sites))[:, sites]
    expected = between[~np.eye(len(sites), dtype=bool)].min()
    assert smallest_distance(host, sites) == pytest.approx(expected, abs=1e-9)
    assert DefectConfiguration(host, tuple((site, "Vac") for site in sorted(sites))).defect_distance == pytest.approx(
        expected, abs=1e-9
    )


def test_one_defect_has_no_distance():
    host = Host.from_preset("MoS2", (4, 3, 1), vacuum=15)
    assert DefectConfiguration.create(host, {0: "Vac"}).defect_distance is None
