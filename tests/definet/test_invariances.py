"""What the answer must not depend on, or depend on in one way only. float64, small networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from definet_flows.defects import DefectConfiguration, available_hosts
from definet_flows.definet import HostGraph

SMALL = {"features": 8, "n_radial": 16, "n_layers": 2}
EXACT = 1e-10  # Å
ARMS = {
    "whole": {},
    "vanilla": {"marker_gate": False, "coordinate_update": False},
    "defect-aware messages": {"coordinate_update": False},
    "no marker gate": {"marker_gate": False},
    "no global node": {"global_node": False},
    "no vector activation": {"vector_activation": False},
    "defect-implicit": {"marker_gate": False, "placeholders": False},
}
AS_PRINTED = (
    1e-4  # Å; published cells are symmetric to their six printed digits, 2e-5 Å, and the network amplifies that
)
few = settings(max_examples=6, deadline=None)  # of each arm
every_arm = pytest.mark.parametrize("arm", ARMS)
hosts = st.sampled_from(available_hosts())
seeds = st.integers(0, 2**20)


@pytest.fixture(scope="module")
def case(make_host, draw_configurations, make_network, predict):
    """One host's configurations, a network of one arm, its displacements; made once per host and arm."""
    made = {}

    def make(name, arm):
        if (name, arm) not in made:
            configurations = draw_configurations(make_host(name), 4, seed=len(name))
            network = make_network(configurations, seed=1, **SMALL, **ARMS[arm])
            made[name, arm] = configurations, network, predict(network, configurations)
        return made[name, arm]

    return make


def displacements(network, configuration, host, order=slice(None)):
    """[N, 3] on a host given by its arrays, sites in another order."""
    graph = HostGraph.build(host, network.config.graph_radius, network.config.max_neighbours)
    numbers = torch.from_numpy(configuration.atomic_numbers[order])[None]
    markers = torch.from_numpy(configuration.markers[order])[None]
    with torch.no_grad():
        return network.displacements(numbers, markers, graph)[0]


def random_rotation(seed, sign):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * sign * np.sign(np.linalg.det(q))


@every_arm
@few
@given(name=hosts, seed=seeds, sign=st.sampled_from([1, -1]))
def test_rotations_and_reflections_turn_the_displacements(case, moved_host, arm, name, seed, sign):
    (configuration, *_), network, (expected, *_) = case(name, arm)
    turn = random_rotation(seed, sign)
    host = moved_host(configuration.host.positions @ turn, configuration.host.lattice @ turn)
    assert (displacements(network, configuration, host) - expected @ torch.from_numpy(turn)).abs().max() < EXACT


@every_arm
@few
@given(name=hosts, seed=seeds)
def test_translations_change_nothing(case, moved_host, arm, name, seed):
    (configuration, *_), network, (expected, *_) = case(name, arm)
    shift = np.random.default_rng(seed).uniform(-30, 30, size=3)
    host = moved_host(configuration.host.positions + shift, configuration.host.lattice)
    assert (displacements(network, configuration, host) - expected).abs().max() < EXACT


@every_arm
@few
@given(name=hosts, seed=seeds)
def test_wrapping_sites_by_lattice_vectors_changes_nothing(case, moved_host, arm, name, seed):
    (configuration, *_), network, (expected, *_) = case(name, arm)
    lattice = configuration.host.lattice
    shifts = np.random.default_rng(seed).integers(-2, 3, size=(configuration.host.n_sites, 3))
    host = moved_host(configuration.host.positions + shifts @ lattice, lattice)
    assert (displacements(network, configuration, host) - expected).abs().max() < EXACT


@every_arm
@few
@given(name=hosts, seed=seeds)
def test_the_order_of_the_sites_changes_nothing(case, moved_host, arm, name, seed):
    (configuration, *_), network, (expected, *_) = case(name, arm)
    order = np.random.default_rng(seed).permutation(configuration.host.n_sites)
    host = moved_host(configuration.host.positions[order], configuration.host.lattice)
    assert (displacements(network, configuration, host, order) - expected[order]).abs().max() < EXACT


@every_arm
@few
@given(name=hosts, seed=seeds)
def test_another_cell_of_the_same_crystal_changes_nothing(case, moved_host, arm, name, seed):
    # Another basis of the same superlattice: a unimodular matrix with one off-diagonal entry.
    (configuration, *_), network, (expected, *_) = case(name, arm)
    generator = np.random.default_rng(seed)
    basis = np.eye(3)
    basis[tuple(generator.permutation(2))] = generator.integers(-2, 3)
    host = moved_host(configuration.host.positions, basis @ configuration.host.lattice)
    assert (displacements(network, configuration, host) - expected).abs().max() < EXACT


@every_arm
@few
@given(name=hosts, pick=st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_a_structure_does_not_see_its_batch(case, predict, arm, name, pick):
    configurations, network, expected = case(name, arm)
    assert (predict(network, [configurations[n] for n in pick]) - expected[pick]).abs().max() < EXACT


@pytest.mark.parametrize("name", available_hosts())
def test_equivalent_placements_relax_equivalently(name, make_host, draw_configurations, make_network, predict):
    # A site-symmetry operation of the host carries the displacements along with the sites.
    host = make_host(name)
    configuration = draw_configurations(host, 1, seed=5)[0]
    network = make_network([configuration], seed=2, **SMALL)
    expected = predict(network, [configuration])[0].norm(dim=-1)
    for permutation in host.permutations[:: max(1, len(host.permutations) // 6)]:
        image = tuple(sorted((int(permutation[site]), species) for site, species in configuration.defects))
        found = predict(network, [DefectConfiguration(host, image)])[0].norm(dim=-1)
        assert (found[permutation.astype(int)] - expected).abs().max() < AS_PRINTED


@pytest.mark.parametrize(
    ("name", "sizes", "radius"),
    [("MoS2", (5, 7), 3.5), ("WSe2", (5, 6), 3.5), ("hBN", (6, 7), 2.6), ("GaSe", (5, 6), 4.0), ("BP", (6, 7), 3.5)],
)
def test_a_defect_far_from_its_images_does_not_feel_the_supercell(
    name, sizes, radius, make_host, make_network, predict
):
    # One layer reads neighbours twice (messages, then coordinates), so a site feels what lies within twice the radius.
    # The global node would feel the size of the cell by design: its means are over all sites.
    options = {"features": 8, "n_radial": 16, "n_layers": 1, "graph_radius": radius, "global_node": False}
    by_size, network = [], None
    for size in sizes:
        host = make_host(name, size)
        assert min(np.linalg.norm(host.lattice[:2], axis=1)) > 4 * radius
        configuration = DefectConfiguration.create(host, {0: "Vac"})
        network = network or make_network([configuration], **options)
        vectors, moves = around_defect(configuration, predict(network, [configuration])[0].numpy())
        near = np.linalg.norm(vectors, axis=1) < 2 * radius + 0.1
        order = np.lexsort(np.round(vectors[near], 3).T)
        by_size.append((vectors[near][order], moves[near][order]))
    (small_vectors, small), (large_vectors, large) = by_size
    assert np.abs(small_vectors - large_vectors).max() < 1e-6
    assert np.abs(small).max() > 0.1
    assert np.abs(small - large).max() < EXACT


def around_defect(configuration, moves):
    """Shortest vectors [N, 3] from the defect to every site, and the displacements, pristine ones taken off."""
    host = configuration.host
    frac_coords = (host.positions - host.positions[configuration.defect_sites[0]]) @ np.linalg.inv(host.lattice)
    shifts = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], [0], indexing="ij"), axis=-1).reshape(-1, 3)
    images = (frac_coords[:, None] - np.round(frac_coords)[:, None] + shifts) @ host.lattice  # [N, 9, 3]
    nearest = np.linalg.norm(images, axis=-1).argmin(axis=1)
    return images[np.arange(host.n_sites), nearest], moves
