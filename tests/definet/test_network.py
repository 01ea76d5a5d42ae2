from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from definet_flows.defects import DefectConfiguration
from definet_flows.definet import DefiNet, DefiNetConfig, HostGraph

ABLATIONS = [
    {},
    {"marker_gate": False, "coordinate_update": False},  # the paper's "vanilla"
    {"marker_gate": False},
    {"coordinate_update": False},
    {"global_node": False},
    {"vector_activation": False},
    {"placeholders": False, "marker_gate": False},
    {"placeholders": False, "marker_gate": False, "coordinate_update": False},
]


def by_oracle(oracle, network, configuration, positions=None, edges=None):
    host = configuration.host
    start = host.positions if positions is None else positions
    weights = network.state_dict()
    arrays = (configuration.atomic_numbers, configuration.markers, start, host.lattice)
    return oracle.relaxed_positions(weights, network.config, *arrays, edges=edges) - torch.as_tensor(host.positions)


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda ablation: "+".join(ablation) or "whole")
def test_dense_equals_ragged(host, ablation, oracle, draw_configurations, make_network, predict):
    configurations = draw_configurations(host, 3)
    network = make_network(configurations, features=16, n_radial=32, **ablation)
    dense = predict(network, configurations)
    assert 0.1 < dense.abs().max() < 0.5
    ragged = torch.stack([by_oracle(oracle, network, configuration) for configuration in configurations])
    assert (dense - ragged).abs().max() < 1e-9


@pytest.mark.parametrize(
    "options", [{"max_neighbours": 20}, {"graph_radius": 4.0, "radial_cutoff": 5.0}, {"n_layers": 1}]
)
def test_dense_equals_ragged_for_other_graphs(make_host, options, oracle, draw_configurations, make_network, predict):
    configurations = draw_configurations(make_host("MoS2", 4), 2)
    network = make_network(configurations, features=32, **options)
    ragged = torch.stack([by_oracle(oracle, network, configuration) for configuration in configurations])
    assert (predict(network, configurations) - ragged).abs().max() < 1e-9


def test_each_structure_may_start_from_its_own_positions(make_host, oracle, draw_configurations, make_network):
    host = make_host("MoS2")
    configurations = draw_configurations(host, 2)
    network = make_network(configurations, features=16, n_radial=32)
    config, graph = network.config, HostGraph.build(host)
    positions = host.positions + np.random.default_rng(0).normal(scale=0.1, size=(2, *host.positions.shape))
    numbers = torch.from_numpy(np.stack([c.atomic_numbers for c in configurations]))
    markers = torch.from_numpy(np.stack([c.markers for c in configurations]))
    with torch.no_grad():
        dense = network(numbers, markers, torch.from_numpy(positions), graph)
    edges = oracle.edge_list(host.positions, host.lattice, config.graph_radius, config.max_neighbours)
    for found, configuration, start in zip(dense, configurations, positions, strict=True):
        expected = by_oracle(oracle, network, configuration, start, edges) + torch.from_numpy(host.positions)
        assert (found - expected).abs().max() < 1e-9


def test_gradients_equal_those_of_the_ragged_network(make_host, oracle, draw_configurations, make_network):
    configuration = draw_configurations(make_host("MoS2", 2), 1)[0]
    network = make_network([configuration], features=8, n_radial=16, n_layers=2)
    graph, host = HostGraph.build(configuration.host), configuration.host
    arrays = (configuration.atomic_numbers, configuration.markers)
    dense = network.displacements(*(torch.from_numpy(array)[None] for array in arrays), graph)
    dense.square().sum().backward()
    weights = {name: tensor.detach().clone().requires_grad_() for name, tensor in network.state_dict().items()}
    ragged = oracle.relaxed_positions(weights, network.config, *arrays, host.positions, host.lattice)
    (ragged - torch.from_numpy(host.positions)).square().sum().backward()
    for name, parameter in network.named_parameters():
        expected = weights[name].grad
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        expected = torch.zeros_like(parameter) if expected is None else expected
        assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9), name


def test_only_what_cannot_change_the_coordinates_is_without_gradient(make_host, draw_configurations, make_network):
    configuration = draw_configurations(make_host("MoS2", 2), 1)[0]
    network = make_network([configuration], features=8, n_radial=16, n_layers=3)
    arrays = (torch.from_numpy(array)[None] for array in (configuration.atomic_numbers, configuration.markers))
    network.displacements(*arrays, HostGraph.build(configuration.host)).square().sum().backward()
    idle = {name.rsplit(".", 1)[0] for name, parameter in network.named_parameters() if parameter.grad is None}
    # The first vectors are zero, and nothing reads the global node after the last layer.
    assert idle == {
        "virtual_vector_layers.0.mlp_node",
        "virtual_vector_layers.2.mlp_vn",
        "virtual_scalar_layers.2.mlp_vn.0",
        "virtual_scalar_layers.2.mlp_vn.2",
    }


def published_shapes(features, n_radial, n_layers):
    """Parameter names and shapes as published (the file format of trained weights)."""
    F, R = features, n_radial
    layer = {
        "virtual_scalar_layers.{n}.mlp_node.0": (F, 2 * F, True),
        "virtual_scalar_layers.{n}.mlp_node.2": (F, F, True),
        "virtual_scalar_layers.{n}.mlp_vn.0": (F, 2 * F, True),
        "virtual_scalar_layers.{n}.mlp_vn.2": (F, F, True),
        "virtual_vector_layers.{n}.mlp_node": (F, F, False),
        "virtual_vector_layers.{n}.mlp_vn": (F, F, False),
        "message_passing_layers.{n}.x_proj.0": (F // 2, F, True),
        "message_passing_layers.{n}.x_proj.2": (3 * F, F // 2, True),
        "message_passing_layers.{n}.edge_proj": (3 * F, R, True),
        "message_passing_layers.{n}.defect_proj": (3 * F, F, True),
        "message_passing_layers.{n}.vec_activation.lin_vec": (F, F, False),
        "message_passing_layers.{n}.vec_activation.lin_gvec": (1, F, False),
        "message_update_layers.{n}.vec_proj": (2 * F, F, False),
        "message_update_layers.{n}.xvec_proj.0": (F, 2 * F, True),
        "message_update_layers.{n}.xvec_proj.2": (3 * F, F, True),
        "message_update_layers.{n}.vec_activation.lin_vec": (F, F, False),
        "message_update_layers.{n}.vec_activation.lin_gvec": (1, F, False),
        "coord_update_layers.{n}.lin_vec2coord": (1, F, False),
        "coord_update_layers.{n}.x_proj.0": (F, F, True),
        "coord_update_layers.{n}.x_proj.2": (F, F, True),
        "coord_update_layers.{n}.edge_proj": (F, R, True),
        "coord_update_layers.{n}.defect_proj": (F, F, True),
        "coord_update_layers.{n}.coord_mlp.0": (F, F, True),
        "coord_update_layers.{n}.coord_mlp.2": (1, F, True),
    }
    shapes = {
        "atom_emb.embeddings.weight": (118, F),
        "defect_emb.embeddings.weight": (3, F),
        "vn_emb.weight": (1, F),
        "lin_comb.weight": (F, 2 * F),
        "lin_comb.bias": (F,),
    }
    for n, (name, (n_out, n_in, bias)) in itertools.product(range(n_layers), layer.items()):
        shapes[f"{name.format(n=n)}.weight"] = (n_out, n_in)
        if bias:
            shapes[f"{name.format(n=n)}.bias"] = (n_out,)
    return shapes


def test_parameters_are_the_published_ones_and_nothing_else_is_saved():
    network = DefiNet(DefiNetConfig(features=10, n_radial=7, n_layers=2))
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == published_shapes(10, 7, 2)


def test_defaults_are_the_papers():
    config = DefiNetConfig()
    assert (config.features, config.n_layers, config.n_radial) == (512, 4, 128)
    assert (config.radial_cutoff, config.graph_radius, config.max_neighbours) == (30.0, 6.0, 50)


def test_an_untrained_network_predicts_next_to_nothing(make_host, draw_configurations, predict):
    torch.manual_seed(0)
    displacements = predict(DefiNet(DefiNetConfig(features=64)), draw_configurations(make_host("MoS2", 4), 4))
    assert 0 < displacements.abs().max() < 0.1


def test_an_ablated_network_lacks_the_parameters_of_what_is_left_out():
    def names(**options):
        return "\n".join(DefiNet(DefiNetConfig(features=4, n_radial=4, **options)).state_dict())

    assert "defect_proj" not in names(marker_gate=False)
    assert "coord_update_layers.1" not in names(coordinate_update=False)
    assert "vn_emb" not in names(global_node=False)
    assert "virtual" not in names(global_node=False)
    assert "vec_activation" not in names(vector_activation=False)


def test_positions_keep_their_dtype(make_host, draw_configurations):
    configuration = draw_configurations(make_host("MoS2"), 1)[0]
    network = DefiNet(DefiNetConfig(features=4, n_radial=4))
    graph = HostGraph.build(configuration.host).to(dtype=torch.float32)
    arrays = [torch.from_numpy(array)[None] for array in (configuration.atomic_numbers, configuration.markers)]
    with torch.no_grad():
        double = network(*arrays, graph.positions, graph)
        single = network(*arrays, graph.positions.float(), graph)
    assert (double.dtype, single.dtype) == (torch.float64, torch.float32)
    # Host positions in float32 are a start displaced by their rounding only if they are compared in float64.
    assert (double - graph.positions - (single - graph.positions.float())).abs().max() < 1e-5


def test_the_forward_pass_is_one_graph_for_a_compiler(make_host, draw_configurations, make_network):
    # fullgraph refuses control flow that depends on values.
    configuration = draw_configurations(make_host("MoS2"), 1)[0]
    network = make_network([configuration], features=8, n_radial=8, n_layers=2)
    arrays = [torch.from_numpy(array)[None] for array in (configuration.atomic_numbers, configuration.markers)]
    graph = HostGraph.build(configuration.host)
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    with torch.no_grad():
        positions = compiled(*arrays, graph.positions, graph)
        assert torch.allclose(positions, network(*arrays, graph.positions, graph), rtol=0, atol=1e-12)


def test_without_placeholders_a_vacancy_is_an_atom_that_is_not_there(make_host, make_network):
    host = make_host("MoS2")
    configuration = DefectConfiguration.create(host, {4: "Vac", 9: "W"})
    network = make_network([configuration], features=8, n_radial=16, placeholders=False, marker_gate=False)
    graph, (vacant, substituted) = HostGraph.build(host), np.argsort(-configuration.markers)[:2]
    arrays = (configuration.atomic_numbers, configuration.markers)
    numbers, markers = (torch.from_numpy(array.copy())[None] for array in arrays)
    with torch.no_grad():
        expected = network.displacements(numbers, markers, graph)
        numbers[0, vacant], markers[0, substituted] = 42, 0
        assert torch.equal(expected, network.displacements(numbers, markers, graph))
    assert not expected[0, vacant].any()
    assert expected.abs().max() > 0.1


def test_a_network_without_placeholders_has_the_parameters_of_one_with_them():
    def shapes(**options):
        return DefiNet(DefiNetConfig(features=4, n_radial=4, marker_gate=False, **options)).state_dict().keys()

    assert shapes(placeholders=False) == shapes()


def test_the_placeholder_switch_is_written_only_where_it_is_off():
    # Hashes of checkpoints cover what is written: those older than the switch must keep theirs.
    assert "placeholders" not in DefiNetConfig().model_dump(mode="json")
    without = DefiNetConfig(placeholders=False, marker_gate=False)
    assert without.model_dump(mode="json")["placeholders"] is False
    assert DefiNetConfig.model_validate(without.model_dump(mode="json")) == without


def test_markers_cannot_be_read_without_placeholders():
    with pytest.raises(ValidationError, match="set marker_gate to false as well"):
        DefiNetConfig(placeholders=False)


@pytest.mark.parametrize(
    "wrong", [{"features": 7}, {"features": 0}, {"n_layers": 0}, {"radial_cutoff": -1.0}, {"n_heads": 4}]
)
def test_impossible_shapes_are_refused(wrong):
    with pytest.raises(ValidationError):
        DefiNetConfig(**wrong)
