from __future__ import annotations

import pytest
import torch

from definet_flows.definet import DefiNet, DefiNetConfig, HostGraph
from definet_flows.definet.inference.tables import (
    FlatEdges,
    coordinate_table,
    last_node,
    message_table,
    nodes_per_angstrom,
)


@pytest.mark.parametrize("options", [{"n_radial": 32, "radial_cutoff": 7.0}, {"n_radial": 128, "radial_cutoff": 30.0}])
def test_the_cubic_between_nodes_is_as_good_as_single_precision(options):
    network = DefiNet(DefiNetConfig(features=16, **options))
    layer = network.coord_update_layers[0]
    with torch.no_grad():
        table = coordinate_table(network, layer).radial.double()
        distances = torch.linspace(0.3, 6.5, 4001, dtype=torch.float64)
        exact = network.radial_features(distances[:, None]) @ layer.edge_proj.weight.double().T
    at = distances * nodes_per_angstrom(network)
    node = at.floor().long()
    t = (at - node)[:, None]
    cubic = (
        -t * (t - 1) * (t - 2) / 6 * table[node]
        + (t + 1) * (t - 1) * (t - 2) / 2 * table[node + 1]
        - (t + 1) * t * (t - 2) / 2 * table[node + 2]
        + (t + 1) * t * (t - 1) / 6 * table[node + 3]
    )
    assert (cubic - exact).abs().max() < 1e-6 * exact.abs().max()


def test_a_table_ends_where_the_radial_functions_do():
    network = DefiNet(DefiNetConfig(features=16, n_radial=16, radial_cutoff=5.0))
    torch.nn.init.normal_(network.message_passing_layers[0].edge_proj.bias)
    with torch.no_grad():
        radial = message_table(network, network.message_passing_layers[0]).radial
    assert last_node(network) / nodes_per_angstrom(network) > 5.0
    assert torch.equal(radial[last_node(network)], radial[-1])


def test_flat_edges_are_the_graphs_without_padding(make_host):
    graph = HostGraph.build(make_host("MoS2", 4), 5.0)
    edges = FlatEdges.of(graph)
    assert len(edges) == int(graph.mask.sum()) < graph.mask.numel()
    for site in (0, 7, graph.n_sites - 1):
        mine = slice(int(edges.first[site]), int(edges.first[site + 1]))
        assert (edges.receivers[mine] == site).all()
        assert edges.senders[mine].tolist() == graph.neighbours[site][graph.mask[site]].tolist()
        assert torch.equal(edges.vectors[mine], graph.vectors[site][graph.mask[site]].float())
