from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from definet_flows.defects import VACANCY, DefectConfiguration, Host, enumerate_configurations, low_density_recipes
from tests.defects import brute_force
from tests.defects.conftest import host_of

# Unit-cell site and cell offsets, at most one cell apart along each axis, so that a 5×5 cell holds each unambiguously.
OFFSETS = st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 1))
CLUSTERS = st.lists(OFFSETS, min_size=1, max_size=3, unique=True)
SPECIES = {"Mo": ("W", VACANCY), "S": ("Se", VACANCY)}


def placed(host, cluster, kinds, origin=(0, 0)):
    sites = {}
    for (sublattice, a, b), kind in zip(cluster, kinds, strict=True):
        cell = int(host.grid.index(np.array([a + origin[0], b + origin[1], 0])))
        site = sublattice * host.n_cells + cell
        sites[site] = SPECIES[host.species[site]][kind]
    return DefectConfiguration.create(host, sites)


@given(CLUSTERS, st.data())
def test_a_cluster_has_one_id_at_every_size_and_place(cluster, draws):
    kinds = [draws.draw(st.integers(0, 1)) for _ in cluster]
    ids = set()
    for size in (5, 7, 8):
        origin = draws.draw(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)))
        ids.add(placed(host_of("MoS2", (size, size, 1)), cluster, kinds, origin).cluster_id)
    assert len(ids) == 1
    assert None not in ids


@given(CLUSTERS, st.data())
def test_ids_do_not_depend_on_the_vacuum(cluster, draws):
    kinds = [draws.draw(st.integers(0, 1)) for _ in cluster]
    thin, thick = (placed(Host.from_preset("MoS2", (5, 5, 1), vacuum=v), cluster, kinds) for v in (15, 25))
    assert thin.cluster_id == thick.cluster_id
    assert thin.placement_id == thick.placement_id
    assert thin.id != thick.id


@pytest.mark.parametrize("shift", [0.15, -0.25, 0.5])
@pytest.mark.parametrize("vacuum", [15, 25])
def test_ids_do_not_depend_on_where_the_file_puts_the_layer(mos2, shift, vacuum):
    cell = Host.from_preset("MoS2", (1, 1, 1), vacuum=15).unit_cell
    cell.translate_sites(range(3), [0, 0, shift], to_unit_cell=True)
    moved = Host.from_structure(cell, (5, 5, 1), "MoS2", 2, vacuum=vacuum)
    for recipe in ("V_Mo+V_S", "Se_S+Se_S"):
        expected = {(c.cluster_id, c.placement_id) for c in enumerate_configurations(mos2, recipe)}
        assert {(c.cluster_id, c.placement_id) for c in enumerate_configurations(moved, recipe)} == expected


def test_different_clusters_have_different_ids(make_host):
    """Within one supercell, a defined cluster belongs to one configuration only."""
    host = make_host("MoS2", (5, 5, 1))
    configurations = [c for recipe in low_density_recipes("MoS2") for c in enumerate_configurations(host, recipe)]
    defined = [c.cluster_id for c in configurations if c.cluster_id]
    assert len(defined) == len(set(defined))
    assert len(defined) < len(configurations), "some images are ambiguous at 5×5"


@pytest.mark.parametrize(
    "supercell", [(4, 4, 1), ((4, 0, 0), (8, 4, 0), (0, 0, 1)), ((3, 1, 0), (-1, 4, 0), (0, 0, 1))]
)
def test_a_pair_is_undefined_exactly_where_two_images_are_equally_near(make_host, supercell):
    host = make_host("MoS2", supercell)
    for configuration in enumerate_configurations(host, "V_Mo+V_S"):
        a, b = (host.nominal_positions[site] for site, _ in configuration.defects)
        shifts = np.array(list(product(range(-4, 5), range(-4, 5), (-1, 0, 1)))) @ host.lattice
        lengths = np.sort(np.linalg.norm(b - a + shifts, axis=1))
        assert (configuration.cluster_id is None) == (lengths[1] - lengths[0] < 1e-3)


def test_ambiguous_images_have_no_id(make_host):
    host = make_host("MoS2", (4, 4, 1))
    half = int(host.grid.index(np.array([2, 0, 0])))
    assert DefectConfiguration.create(host, {0: "W", half: "W"}).cluster_id is None


def test_a_cluster_that_wraps_around_the_cell_has_no_id(make_host):
    """Three sites a third of the cell apart: every pair has one nearest image, but they do not add up."""
    host = make_host("MoS2", (6, 1, 1))
    sites = {int(host.grid.index(np.array([k, 0, 0]))): "W" for k in (0, 2, 4)}
    assert DefectConfiguration.create(host, sites).cluster_id is None


def test_sheared_supercells_hold_the_same_clusters(make_host):
    plain, sheared = make_host("MoS2", (4, 4, 1)), make_host("MoS2", ((4, 0, 0), (12, 4, 0), (0, 0, 1)))
    for recipe in ("V_Mo+V_S", "V_S+Se_S+W_Mo"):
        first, second = (
            sorted(str(c.cluster_id) for c in enumerate_configurations(host, recipe)) for host in (plain, sheared)
        )
        assert first == second


def test_bulk_clusters_have_one_id_at_every_size(make_host):
    """The nearest V_Mg–V_O pair of MgO, and its distance, in two supercells."""
    ids = set()
    for supercell in ((3, 3, 3), (4, 4, 4)):
        host = make_host("MgO", supercell)
        (nearest,) = enumerate_configurations(host, "V_Mg+V_O", max_distance=2.2)
        a, b = (host.nominal_positions[site] for site, _ in nearest.defects)
        assert brute_force.shortest_distance(host.lattice, a, b) == pytest.approx(2.106)
        ids.add(nearest.cluster_id)
    assert len(ids) == 1
    assert None not in ids


def test_the_crystal_and_the_species_are_part_of_the_id(make_host):
    mos2, wse2 = make_host("MoS2", (5, 5, 1)), make_host("WSe2", (5, 5, 1))
    vacancies = {DefectConfiguration.create(host, {0: VACANCY}).cluster_id for host in (mos2, wse2)}
    assert len(vacancies | {DefectConfiguration.create(mos2, {0: "W"}).cluster_id}) == 3


def folded(cluster, size):
    """The configuration that a cluster on the infinite host becomes in a small supercell, or None where defects coincide."""
    host = host_of("MoS2", (size, size, 1))
    sites = [int(s * host.n_cells + host.grid.index(np.array([a, b, 0]))) for s, a, b in cluster]
    if len(set(sites)) < len(sites):
        return None
    return DefectConfiguration.create(host, {site: SPECIES[host.species[site]][0] for site in sites})


def test_a_defined_cluster_has_one_reading(mos2):
    for recipe in ("V_S", "V_Mo+V_S", "V_Mo+V_S+Se_S"):
        for configuration in enumerate_configurations(mos2, recipe):
            readings = configuration.possible_cluster_ids
            # Two tied images that symmetry exchanges are one reading.
            assert readings == {configuration.cluster_id} if configuration.cluster_id else readings


def test_a_tied_pair_is_read_as_pairs_of_the_same_distance(make_host):
    small, large = make_host("MoS2", (4, 4, 1)), make_host("MoS2", (9, 9, 1))
    known = {c.cluster_id: _distance(c) for c in enumerate_configurations(large, "W_Mo+Se_S")}
    undefined = [c for c in enumerate_configurations(small, "W_Mo+Se_S") if c.cluster_id is None]
    assert undefined
    for configuration in undefined:
        for reading in configuration.possible_cluster_ids:
            assert known[reading] == pytest.approx(_distance(configuration))


def _distance(configuration):
    return np.linalg.norm(_images_of_pair(configuration), axis=1).min()


def _images_of_pair(configuration):
    host = configuration.host
    a, b = host.nominal_positions[configuration.defect_sites]
    return b - a + np.array(list(product(range(-3, 4), range(-3, 4), (0,)))) @ host.lattice


@given(st.lists(OFFSETS, min_size=2, max_size=3, unique=True), st.integers(2, 4))
def test_compact_clusters_are_among_the_readings_of_every_smaller_cell(cluster, size):
    """An independent way round: fold a cluster into a cell too small for it; where its defects are still nearest, it is read."""
    large, small = folded(cluster, 9), folded(cluster, size)
    if small is None:
        return
    host = small.host
    points = (
        np.array([host.unit_cell.frac_coords[s] + [a, b, 0] for s, a, b in cluster]) @ host.unit_cell.lattice.matrix
    )
    shifts = np.array(list(product(range(-3, 4), range(-3, 4), (0,)))) @ host.lattice
    for origin in points:
        lengths = np.linalg.norm(points - origin, axis=1)
        shortest = np.linalg.norm((points - origin)[:, None] + shifts, axis=-1).min(axis=1)
        if (lengths < shortest + 1e-4).all():
            assert large.cluster_id in small.possible_cluster_ids
            return


def test_dense_placements_are_not_read(make_host):
    host = make_host("MoS2", (8, 8, 1))
    rng = np.random.default_rng(0)
    sites = rng.choice(host.n_sites, 24, replace=False)
    dense = DefectConfiguration.create(host, {int(site): VACANCY for site in sites})
    assert dense.cluster_id is None
    assert dense.possible_cluster_ids == frozenset()


def test_a_dense_block_has_its_cluster_as_only_reading(make_host):
    host = make_host("MoS2", (9, 9, 1))
    cells = [int(host.grid.index(np.array([a, b, 0]))) for a in range(3) for b in range(3)]
    block = DefectConfiguration.create(host, {s * host.n_cells + cell: VACANCY for s in range(2) for cell in cells})
    assert block.cluster_id is not None
    assert block.possible_cluster_ids == {block.cluster_id}
