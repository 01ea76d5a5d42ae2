"""The fast route against the network in the same precision, and against the ragged oracle in float64."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from definet_flows.defects import DefectConfiguration, available_hosts
from definet_flows.definet import DefiNet, DefiNetConfig, HostGraph, load_checkpoint
from definet_flows.definet.inference.kernels import load_kernels
from definet_flows.definet.inference.network import FastNetwork

TOLERANCE = 1e-5  # Å
SWITCHES = [
    {},
    {"marker_gate": False},
    {"coordinate_update": False},
    {"marker_gate": False, "coordinate_update": False},
    {"global_node": False},
    {"vector_activation": False},
    {"n_layers": 1},
    {"n_layers": 1, "coordinate_update": False},
    {"graph_radius": 4.0, "radial_cutoff": 4.1},
    {"max_neighbours": 20},
    {"n_radial": 128},
]


@pytest.fixture(scope="module")
def kernels():
    built = load_kernels()
    if built is None:
        pytest.skip("no C++ compiler here")
    return built


@pytest.fixture
def fast(kernels):
    """Both routes of a float32 network on the host of some configurations."""

    def both(network, configurations, **options):
        host, config = configurations[0].host, network.config
        graph = HostGraph.build(host, config.graph_radius, config.max_neighbours).to(dtype=torch.float32)
        network = copy.deepcopy(network).float().eval()
        assert FastNetwork.handles(network)
        numbers, markers = (
            torch.from_numpy(np.stack(arrays)).long()
            for arrays in ([c.atomic_numbers for c in configurations], [c.markers for c in configurations])
        )
        route = FastNetwork(network, graph, torch.from_numpy(host.atomic_numbers).long(), kernels, **options)
        with torch.no_grad():
            return route(numbers, markers), network.displacements(numbers, markers, graph)

    return both


def exact(oracle, network, configuration):
    host, weights = configuration.host, copy.deepcopy(network).float().state_dict()
    arrays = (configuration.atomic_numbers, configuration.markers, host.positions, host.lattice)
    return oracle.relaxed_positions(weights, network.config, *arrays) - torch.as_tensor(host.positions)


@pytest.mark.parametrize("options", SWITCHES, ids=lambda options: "+".join(options) or "whole")
def test_every_switch(options, fast, make_host, draw_configurations, make_network, oracle):
    configurations = draw_configurations(make_host("MoS2", 4), 3)
    network = make_network(configurations, **{"features": 16, "n_radial": 32, **options})
    found, expected = fast(network, configurations)
    assert 0.1 < expected.abs().max() < 0.5
    assert (found - expected).abs().max() < TOLERANCE
    assert (found[0] - exact(oracle, network, configurations[0])).abs().max() < TOLERANCE


@pytest.mark.parametrize("name", available_hosts())
def test_every_host(name, fast, make_host, draw_configurations, make_network, oracle):
    configurations = draw_configurations(make_host(name), 5)
    network = make_network(configurations, features=32, n_radial=32)
    found, expected = fast(network, configurations)
    assert (found - expected).abs().max() < TOLERANCE
    assert (found[4] - exact(oracle, network, configurations[4])).abs().max() < TOLERANCE


def test_the_shipped_checkpoint(fast, make_host, draw_configurations, oracle):
    network = load_checkpoint("definet-mos2-chgnet").model
    configurations = draw_configurations(make_host("MoS2", 8), 6)
    found, expected = fast(network, configurations)
    assert (found - expected).abs().max() < TOLERANCE
    assert (found[0] - exact(oracle, network, configurations[0])).abs().max() < TOLERANCE


def test_every_fill_from_no_defect_to_nothing_but_defects(fast, make_host, make_network):
    # The first layer computes only what is near a defect: none, some, all, and an element the host has elsewhere.
    host = make_host("MoS2", 4)
    dense = {site: ("Vac", "Se")[site % 2] for site in range(host.n_sites) if host.species[site] == "S"}
    configurations = [DefectConfiguration(host, ())]
    configurations += [DefectConfiguration.create(host, changes) for changes in ({0: "Vac"}, {0: "S", 5: "W"}, dense)]
    network = make_network(configurations, features=32, n_radial=16)
    found, expected = fast(network, configurations)
    assert (found - expected).abs().max() < TOLERANCE
    for order in ([3, 0, 1, 2], [2]):
        alone, _ = fast(network, [configurations[n] for n in order])
        assert (alone - found[order]).abs().max() < TOLERANCE


def test_moves_beyond_the_cutoff_and_through_each_other(fast, make_host, draw_configurations, make_network):
    # Tables end where the radial functions do; distances do not.
    configurations = draw_configurations(make_host("MoS2", 4), 2)
    options = {"features": 16, "n_radial": 8, "radial_cutoff": 6.2, "vector_activation": False}
    network = make_network(configurations, largest=8.0, **options)
    found, expected = fast(network, configurations)
    assert expected.abs().max() > 4
    assert (found - expected).abs().max() < TOLERANCE * expected.abs().max()


def test_what_is_not_a_number_stays_so_and_stays_in_its_structure(fast, make_host, draw_configurations, make_network):
    configurations = [
        *draw_configurations(make_host("MoS2"), 2),
        DefectConfiguration.create(make_host("MoS2"), {0: "Cr"}),
    ]
    network = make_network(configurations, features=16, n_radial=16)
    with torch.no_grad():
        network.atom_emb.embeddings.weight[24] = float("nan")
    found, expected = fast(network, configurations)
    assert found[2].isnan().any()
    assert (found[:2] - expected[:2]).abs().max() < TOLERANCE


def test_threads_change_nothing(fast, make_host, draw_configurations, make_network):
    configurations = draw_configurations(make_host("MoS2", 4), 3)
    network = make_network(configurations, features=16, n_radial=16)
    one, _ = fast(network, configurations)
    torch.set_num_threads(2)
    try:
        two, _ = fast(network, configurations)
    finally:
        torch.set_num_threads(1)
    assert (one - two).abs().max() < 1e-6


def test_half_precision_is_close(fast, make_host, draw_configurations):
    configurations = draw_configurations(make_host("MoS2", 4), 3)
    network = load_checkpoint("definet-mos2-chgnet").model
    found, expected = fast(network, configurations, half=True)
    assert 1e-5 < (found - expected).abs().max() < 0.1 * expected.abs().max()
    assert found.dtype == torch.float32


@pytest.mark.parametrize(
    "options", [{"features": 24}, {"placeholders": False, "marker_gate": False}], ids=["channels", "defect-implicit"]
)
def test_what_has_no_fast_route(options):
    network = DefiNet(DefiNetConfig(**{"features": 16, "n_radial": 4, **options}))
    assert not FastNetwork.handles(network)


def test_double_precision_has_no_fast_route():
    network = DefiNet(DefiNetConfig(features=16, n_radial=4))
    assert FastNetwork.handles(network)
    assert not FastNetwork.handles(network.double())
