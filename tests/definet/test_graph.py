from __future__ import annotations

import numpy as np
import pytest
import torch

from definet_flows.defects import Host, HostReference
from definet_flows.definet import HostGraph
from definet_flows.errors import InputError


def edges_of(graph, lattice):
    shifts = np.rint(graph.offsets.numpy() @ np.linalg.inv(lattice)).astype(int)
    neighbours, mask = graph.neighbours.numpy(), graph.mask.numpy()
    return sorted(
        (i, int(neighbours[i, k]), tuple(shifts[i, k])) for i in range(graph.n_sites) for k in np.flatnonzero(mask[i])
    )


def plain(edges):
    return sorted((int(i), int(j), tuple(int(n) for n in shift)) for i, j, shift in edges)


@pytest.mark.parametrize(("radius", "cap"), [(6.0, 50), (6.0, 20), (4.0, 50), (9.0, 90)])
def test_edges_are_those_of_an_independent_search(host, oracle, radius, cap):
    graph = HostGraph.build(host, radius, cap)
    assert edges_of(graph, host.lattice) == plain(oracle.edge_list(host.positions, host.lattice, radius, cap))


@pytest.mark.parametrize("supercell", [(1, 1, 1), [[2, 1, 0], [0, 2, 0], [0, 0, 1]]])
def test_small_and_skew_cells_have_several_images_of_one_neighbour(oracle, supercell):
    host = Host.from_preset("MoS2", supercell, vacuum=15.0)
    graph = HostGraph.build(host)
    assert edges_of(graph, host.lattice) == plain(oracle.edge_list(host.positions, host.lattice, 6.0, 50))
    assert len(set(graph.neighbours[0].tolist())) < graph.n_neighbours


def test_no_preset_host_reaches_the_cap(host):
    assert HostGraph.build(host).mask.sum() == HostGraph.build(host, max_neighbours=10_000).mask.sum()


def test_a_layer_does_not_see_its_image_across_the_vacuum(host):
    graph = HostGraph.build(host)
    assert (graph.offsets[..., 2].abs() < 1e-9).all()


def test_vectors_lead_from_the_site_to_its_neighbour(host):
    graph = HostGraph.build(host)
    rebuilt = graph.positions[graph.neighbours] + graph.offsets - graph.positions[:, None]
    assert torch.equal(graph.vectors, rebuilt)
    lengths = graph.vectors.norm(dim=-1)
    assert lengths[graph.mask].max() <= 6.0
    assert lengths[graph.mask].min() > 1.0


def test_padding_names_the_site_itself_with_no_vector(make_host):
    graph = HostGraph.build(make_host("MoS2"))
    assert not graph.mask.all()
    own = torch.arange(graph.n_sites)[:, None].expand_as(graph.neighbours)
    assert torch.equal(graph.neighbours[~graph.mask], own[~graph.mask])
    assert not graph.vectors[~graph.mask].any()


@pytest.mark.parametrize("cap", [8, 15, 26, 33, 50])
def test_the_cap_keeps_the_symmetry_of_the_host(host, cap):
    graph = HostGraph.build(host, 6.0, cap)
    kept = {(i, int(j)) for i in range(graph.n_sites) for j in graph.neighbours[i][graph.mask[i]]}
    for permutation in host.permutations[:: max(1, len(host.permutations) // 20)]:
        assert {(int(permutation[i]), int(permutation[j])) for i, j in kept} == kept


def test_the_cap_leaves_out_a_shell_rather_than_split_it(make_host):
    # Mo in MoS2: shells of 6 (S), 6 (Mo), 6 (S), 6 (Mo), ... so a cap of 20 keeps three.
    graph = HostGraph.build(make_host("MoS2", 4), 6.0, 20)
    assert graph.mask[0].sum() == 18


def test_a_shell_at_the_radius_is_kept_whole_whatever_its_last_digits(moved_host):
    # A simple cubic crystal moved off the origin: distances of exactly 3 Å in exact arithmetic only.
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    graph = HostGraph.build(moved_host(grid * 3.0 + [0.1, 0.7, 1e-3 / 3], np.eye(3) * 9.0), radius=3.0)
    assert graph.mask.sum(dim=1).tolist() == [6] * 27


def test_the_graph_is_that_of_the_engine_relaxed_host(make_host):
    nominal = make_host("MoS2")
    displaced = ((0.0, 0.0, 0.0), (0.0, 0.0, -0.02), (0.0, 0.0, 0.02))
    host = nominal.with_reference(HostReference("test", "0", displaced, 0.2, 0.0))
    graph = HostGraph.build(host)
    assert torch.equal(graph.positions, torch.from_numpy(host.positions))
    assert not torch.equal(graph.vectors, HostGraph.build(nominal).vectors)


def test_a_site_without_neighbours_is_refused(moved_host):
    with pytest.raises(InputError, match=r"Site 0 .* no complete neighbour shell within 6"):
        HostGraph.build(moved_host([[0.0, 0.0, 0.0]], np.eye(3) * 10.0), radius=6.0)


def test_a_cap_below_the_first_shell_is_refused(make_host):
    with pytest.raises(InputError, match="larger cap"):
        HostGraph.build(make_host("MoS2"), max_neighbours=5)


def test_moving_to_a_dtype_keeps_indices_and_host_positions(make_host):
    graph = HostGraph.build(make_host("MoS2"))
    single = graph.to("cpu", torch.float32)
    assert single.vectors.dtype == single.offsets.dtype == torch.float32
    assert single.neighbours.dtype == torch.int64
    assert single.mask.dtype == torch.bool
    assert single.positions.dtype == torch.float64
    assert torch.equal(single.neighbours, graph.neighbours)
