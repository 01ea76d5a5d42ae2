"""DefiNet as graph-network code is usually written: the yardstick of prerelax_throughput.py.

One flat edge list for the whole batch, gather, multiply, ``index_add_``; everything that depends on distances is computed
anew in every layer. No trick is played in either direction: products are per site where they can be, the edge list is
found once and repeated with an offset for every structure, and no autograd graph is kept.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

if TYPE_CHECKING:
    from definet_flows.definet import DefiNet, HostGraph


class RaggedNetwork:
    """The weights of a :class:`DefiNet` (whole model), run over a flat edge list."""

    def __init__(self, network: DefiNet, graph: HostGraph) -> None:
        self.network, self.graph = network, graph
        self.receivers, slots = graph.mask.nonzero(as_tuple=True)
        self.senders, self.vectors = graph.neighbours[self.receivers, slots], graph.vectors[self.receivers, slots]

    def displacements(self, atomic_numbers: Tensor, markers: Tensor) -> Tensor:
        """Return [B, N, 3] Å from atomic numbers and markers [B, N]."""
        net, (batch, n_sites) = self.network, markers.shape
        first = torch.arange(batch, device=markers.device).repeat_interleave(len(self.senders)) * n_sites
        i, j = self.receivers.repeat(batch) + first, self.senders.repeat(batch) + first
        structure = torch.arange(batch, device=markers.device).repeat_interleave(n_sites)
        host_vectors = self.vectors.repeat(batch, 1)
        m = net.defect_emb(markers.reshape(-1).long())
        x = net.lin_comb(torch.cat([net.atom_emb(atomic_numbers.reshape(-1)), m], dim=1))
        v = x.new_zeros(len(x), 3, x.shape[1])
        x_global = net.vn_emb.weight.expand(batch, -1)
        v_global = x.new_zeros(batch, 3, x.shape[1])
        r = x.new_zeros(len(x), 3)
        for n in range(net.config.n_layers):
            edge = host_vectors + r[j] - r[i]
            d = edge.square().sum(dim=1, keepdim=True).clamp(min=1e-8).sqrt()
            unit, radial = -edge / d, net.radial_features(d)
            scalars, vectors = net.virtual_scalar_layers[n], net.virtual_vector_layers[n]
            x = scalars.mlp_node(torch.cat([x, x_global[structure]], dim=1)) + x
            v = vectors.mlp_node(v + v_global[structure]) + v
            dx, dv = _messages(net.message_passing_layers[n], x, v, m, radial, unit, i, j)
            x, v = (x + dx) / sqrt(2), v + dv
            dx, dv = net.message_update_layers[n](x, v)
            x, v = (x + dx) / sqrt(2), v + dv
            r = r + _coordinates(net.coord_update_layers[n], x, v, m, radial, unit, i, j)
            if n < net.config.n_layers - 1:
                x_mean, v_mean = x.view(batch, n_sites, -1).mean(dim=1), v.view(batch, n_sites, 3, -1).mean(dim=1)
                x_global = x_global + scalars.mlp_vn(torch.cat([x_mean, x_global], dim=1))
                v_global = v_global + vectors.mlp_vn(v_mean + v_global)
        return r.view(batch, n_sites, 3)


def _messages(
    layer: nn.Module, x: Tensor, v: Tensor, m: Tensor, radial: Tensor, unit: Tensor, i: Tensor, j: Tensor
) -> tuple[Tensor, Tensor]:
    gate = layer.defect_proj(m)
    weights = layer.x_proj(x)[j] * (gate[j] + gate[i]) * layer.edge_proj(radial) / sqrt(3)
    w1, w2, w3 = weights.chunk(3, dim=1)
    to_vectors = (w1.unsqueeze(1) * v[j] + w2.unsqueeze(1) * unit.unsqueeze(2)) / sqrt(x.shape[1])
    dv = torch.zeros_like(v).index_add_(0, i, to_vectors)
    return torch.zeros_like(x).index_add_(0, i, w3), layer.vec_activation(dv)


def _coordinates(
    layer: nn.Module, x: Tensor, v: Tensor, m: Tensor, radial: Tensor, unit: Tensor, i: Tensor, j: Tensor
) -> Tensor:
    gate = layer.defect_proj(m)
    edge_state = layer.x_proj(x)[j] * layer.edge_proj(radial) * (gate[j] + gate[i])
    first, last = layer.coord_mlp[0], layer.coord_mlp[2]
    along = last(silu(first(edge_state)) / 0.6)
    from_edges = x.new_zeros(len(x), 3).index_add_(0, i, along * unit)
    return (layer.lin_vec2coord(v).squeeze(-1) + from_edges) / 2
