"""float32 against the float64 oracle: 1e-5 Å, with the switches that rounding flips counted, not tolerated away.

The vector activation is the one discontinuous step of the network: it keeps a vector w or replaces it by
(w + g) / 2, by the sign of w·g. Where rounding flips that sign the output jumps by |w - g| / 2. Many vectors are
zero by symmetry (a site of the pristine layer far from all defects); their signs are noise in any precision, and so
small that both branches agree to rounding. A flip counts where the jump is more than rounding explains, and may only
happen where an error of w and g by rounding turns the sign; what it changes further on is its consequence.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager

import pytest
import torch

from definet_flows.defects import available_hosts
from definet_flows.definet import HostGraph, list_checkpoints, load_checkpoint

TOLERANCE = 1e-5  # Å
ROUNDING = 1e-5  # what rounding explains, in units of the root mean square of all vectors at the switch


class Switch:
    """Stands in for one vector activation: records its decisions, or takes those it is given."""

    def __init__(self, module, decisions=None):
        self.module, self.decisions, self.jumps, self.margin = module, decisions, None, None

    def __call__(self, v):
        w, g = self.module.lin_vec(v), self.module.lin_gvec(v)
        keep = ((w * g).sum(-2, keepdim=True) >= 0) if self.decisions is None else self.decisions
        self.kept = keep
        unit = w.square().mean().sqrt()
        lengths = w.norm(dim=-2, keepdim=True) + g.norm(dim=-2, keepdim=True)
        self.margin = (w * g).sum(-2, keepdim=True).abs() / lengths / unit  # what error of w and g turns the sign
        self.jumps = (w - g).norm(dim=-2, keepdim=True) / 2 / unit
        return torch.where(keep, w, (w + g) / 2)


@contextmanager
def watched(network, decisions=None):
    # In the order in which they decide, because what a flip changes in later ones is its consequence.
    layers = zip(network.message_passing_layers, network.message_update_layers, strict=True)
    modules = [half.vec_activation for layer in layers for half in layer]
    switches = [Switch(module, None if decisions is None else decisions[n]) for n, module in enumerate(modules)]
    for module, switch in zip(modules, switches, strict=True):
        module.forward = switch
    yield switches
    for module in modules:
        del module.forward


def assert_single_precision_is_enough(network, configurations, oracle, predict, record_property):
    """`network` in float32, `configurations` of one host; the exact answer is the ragged network in float64."""
    host, config = configurations[0].host, network.config
    double, single = copy.deepcopy(network).double(), copy.deepcopy(network).float()
    graph = HostGraph.build(host, config.graph_radius, config.max_neighbours)
    edges = oracle.edge_list(host.positions, host.lattice, config.graph_radius, config.max_neighbours)
    exact = torch.stack(
        [
            oracle.relaxed_positions(
                single.state_dict(), config, c.atomic_numbers, c.markers, host.positions, host.lattice, edges
            )
            for c in configurations
        ]
    ) - torch.from_numpy(host.positions)
    double.load_state_dict({name: tensor.double() for name, tensor in single.state_dict().items()})
    with watched(double) as of_double:
        predict(double, configurations, graph)
    graph = graph.to(dtype=torch.float32)
    with watched(single) as of_single:
        natural = predict(single, configurations, graph)
    with watched(single, [switch.kept for switch in of_double]):
        same_switches = predict(single, configurations, graph)

    flipped = [(a.kept != b.kept) & (a.jumps > ROUNDING) for a, b in zip(of_double, of_single, strict=True)]
    first = first_flips(flipped, [switch.margin for switch in of_double])
    untouched = ~torch.stack([flips.flatten(1).any(1) for flips in flipped]).any(0)
    record_property("margins of the first switches flipped", first.tolist())
    assert torch.equal(natural, predict(single, configurations, graph)), "watching the switches must not change them"
    assert (first < ROUNDING).all()
    assert (same_switches - exact).abs().max() < TOLERANCE
    assert (natural - exact)[untouched].abs().max() < TOLERANCE


def first_flips(flipped, margins):
    """Margins [n] where a structure's first switches flipped."""
    found, untouched = [], torch.ones(len(flipped[0]), dtype=torch.bool)
    for flips, margin in zip(flipped, margins, strict=True):
        found.append(margin[untouched][flips[untouched]])
        untouched = untouched & ~flips.flatten(1).any(1)
    return torch.cat(found)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", available_hosts())
def test_random_weights(name, seed, make_host, oracle, draw_configurations, make_network, predict, record_property):
    host = make_host(name, 3 if name in {"GaSe", "InSe", "BP"} else 4)
    configurations = draw_configurations(host, 4, seed)
    network = make_network(configurations, seed, largest=0.25, features=64)
    assert 0.1 < predict(network, configurations).abs().max() < 0.3
    assert_single_precision_is_enough(network, configurations, oracle, predict, record_property)


@pytest.mark.parametrize(
    "name", list_checkpoints() or [pytest.param("", marks=pytest.mark.skip("no checkpoint is shipped"))]
)
def test_shipped_checkpoint(name, make_host, oracle, draw_configurations, predict, record_property):
    checkpoint = load_checkpoint(name)
    hosts = [host for host in available_hosts() if host in checkpoint.card.hosts]
    assert hosts, f"{name} was trained on no preset host; extend this test to its hosts"
    for host in hosts:
        configurations = draw_configurations(make_host(host, 5), 12)
        assert_single_precision_is_enough(checkpoint.model, configurations, oracle, predict, record_property)
