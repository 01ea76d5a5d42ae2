"""The building blocks of DefiNet, on dense tables: x [B, N, F], v [B, N, 3, F], edges [B or 1, N, K].

Attribute names are the published parameter names, and every scale and width is part of the format: weights
trained elsewhere load into these classes. Equations: Yang et al., npj Comput. Mater. 11, 229 (2025),
doi 10.1038/s41524-025-01728-w.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

N_MARKERS = 3
"""Pristine, substituted, vacancy placeholder."""

VACANT = 2
"""The marker of a vacancy placeholder."""

_SQUARE_FLOOR = 1e-8  # under every square root of a squared length: keeps its derivative finite at zero


class Topology(NamedTuple):
    """What stays the same through all layers.

    ``neighbours`` int64 [N, K] are the sites j of the edges of each site, ``senders`` int64 [B*N*K] the rows they
    read in a sender table (see :func:`sender_index`), ``markers`` int64 [B, N] index ``marker_rows`` [3, F].
    ``occupied`` bool [B, N, 1] is None where placeholders take part like any other site.
    """

    neighbours: Tensor
    senders: Tensor
    markers: Tensor
    marker_rows: Tensor
    occupied: Tensor | None


class Geometry(NamedTuple):
    """What follows the coordinates: radial features [B, N, K, n_radial] and unit vectors from j to i [B, N, K, 3].

    B is 1 while all structures of the batch still share their coordinates. Unit vectors of padding are zero, and so
    are those from a vacant site that sends nothing.
    """

    radial: Tensor
    unit: Tensor


class ScaledSiLU(nn.Module):
    """SiLU(a) / 0.6, which keeps the variance of a unit normal near one."""

    def forward(self, a: Tensor) -> Tensor:
        """Apply the activation elementwise."""
        return functional.silu(a) / 0.6


class Embedding(nn.Module):
    """A table of rows; its parameter is ``embeddings.weight``."""

    def __init__(self, n_rows: int, features: int) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(n_rows, features)

    def forward(self, index: Tensor) -> Tensor:
        """Return the rows [..., features] of an integer index [...]."""
        rows: Tensor = self.embeddings(index)
        return rows


class VectorActivation(nn.Module):
    """Keeps a channel's vector where it agrees with the consensus direction, else averages the two."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.lin_vec = nn.Linear(features, features, bias=False)
        self.lin_gvec = nn.Linear(features, 1, bias=False)

    def forward(self, v: Tensor) -> Tensor:
        """Map vectors [..., 3, F] to vectors [..., 3, F]."""
        channels, consensus = self.lin_vec(v), self.lin_gvec(v)
        agreement = (channels * consensus).sum(-2, keepdim=True)  # [..., 1, F]
        return torch.where(agreement >= 0, channels, (channels + consensus) / 2)


class GlobalScalar(nn.Module):
    """Exchange between site scalars and the structure's global scalar (message distribution, aggregation)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.mlp_node = _pair_mlp(features)
        self.mlp_vn = _pair_mlp(features)

    def distribute(self, x: Tensor, x_global: Tensor) -> Tensor:
        """Return x [B, N, F] after it has read the global scalar [B, 1, F]."""
        # One linear map of the two concatenated, without concatenating: its second part is the same for all sites.
        first = cast("nn.Linear", self.mlp_node[0])
        own, shared = first.weight.split(x.shape[-1], dim=1)
        hidden = functional.linear(x, own) + functional.linear(x_global, shared, first.bias)
        update: Tensor = cast("nn.Sequential", self.mlp_node[1:])(hidden)
        return update + x

    def aggregate(self, x: Tensor, x_global: Tensor, occupied: Tensor | None = None) -> Tensor:
        """Return the global scalar [B, 1, F] after it has read the mean over all sites, or only the occupied ones."""
        mean = site_mean(x, occupied)
        update: Tensor = self.mlp_vn(torch.cat([mean, x_global.expand_as(mean)], dim=-1))
        return x_global + update


class GlobalVector(nn.Module):
    """Exchange between site vectors and the structure's global vector."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.mlp_node = nn.Linear(features, features, bias=False)
        self.mlp_vn = nn.Linear(features, features, bias=False)

    def distribute(self, v: Tensor, v_global: Tensor) -> Tensor:
        """Return v [B, N, 3, F] after it has read the global vector [B, 1, 3, F]."""
        update: Tensor = self.mlp_node(v + v_global)
        return update + v

    def aggregate(self, v: Tensor, v_global: Tensor, occupied: Tensor | None = None) -> Tensor:
        """Return the global vector [B, 1, 3, F] after it has read the mean over all sites, or only the occupied ones."""
        mean = site_mean(v, None if occupied is None else occupied.unsqueeze(-1))
        update: Tensor = self.mlp_vn(mean + v_global)
        return v_global + update


class MessagePassing(nn.Module):
    """Defect-aware messages: neighbour state, marker gate and distance multiply to scale three contributions."""

    def __init__(self, features: int, n_radial: int, *, marker_gate: bool, vector_activation: bool) -> None:
        super().__init__()
        self.features = features
        self.x_proj = _mlp(features, features // 2, 3 * features)
        self.edge_proj = nn.Linear(n_radial, 3 * features)
        if marker_gate:
            self.defect_proj = nn.Linear(features, 3 * features)
        self.marker_gate = marker_gate
        self.vec_activation = VectorActivation(features) if vector_activation else nn.Identity()

    def forward(self, x: Tensor, v: Tensor | None, topology: Topology, geometry: Geometry) -> tuple[Tensor, Tensor]:
        """Return the updates (dx [B, N, F], dv [B, N, 3, F]); ``v`` is None while all vectors are still zero."""
        gate = self.defect_proj(topology.marker_rows) if self.marker_gate else None
        sent = gather_senders(self.x_proj(x) / sqrt(3), gate, topology)
        weights = sent * self.edge_proj(geometry.radial)  # [B, N, K, 3F]
        for_vectors, for_unit, for_scalars = weights.split(self.features, dim=-1)
        dv = geometry.unit.transpose(-1, -2) @ for_unit  # [B, N, 3, F]
        if v is not None:
            dv = dv + _weighted_neighbour_vectors(for_vectors, v, topology.neighbours)
        dv = self.vec_activation(dv / sqrt(self.features))
        return for_scalars.sum(dim=-2), dv


class SelfUpdate(nn.Module):
    """Mixes a site's own scalars and vector norms."""

    def __init__(self, features: int, *, vector_activation: bool) -> None:
        super().__init__()
        self.vec_proj = nn.Linear(features, 2 * features, bias=False)
        self.xvec_proj = _mlp(2 * features, features, 3 * features)
        self.vec_activation = VectorActivation(features) if vector_activation else nn.Identity()

    def forward(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the updates (dx [B, N, F], dv [B, N, 3, F])."""
        dx, dv = self.mix(x, v)
        return dx, self.vec_activation(dv)

    def mix(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the updates before the vector activation."""
        p, q = self.vec_proj(v).chunk(2, dim=-1)
        norm = torch.sqrt(q.square().sum(dim=-2) + _SQUARE_FLOOR)
        y1, y2, y3 = self.xvec_proj(torch.cat([x, norm], dim=-1)).chunk(3, dim=-1)
        return y2 / sqrt(2) + x * torch.tanh(y3), y1.unsqueeze(-2) * p


class CoordinateUpdate(nn.Module):
    """Moves every site by its own vectors (Vec2Disp) and along its edges (RPV2Disp), halved."""

    def __init__(self, features: int, n_radial: int, *, marker_gate: bool) -> None:
        super().__init__()
        self.lin_vec2coord = nn.Linear(features, 1, bias=False)
        self.x_proj = _mlp(features, features, features)
        self.edge_proj = nn.Linear(n_radial, features)
        if marker_gate:
            self.defect_proj = nn.Linear(features, features)
        self.marker_gate = marker_gate
        self.coord_mlp = _mlp(features, features, 1)

    def forward(self, x: Tensor, v: Tensor, topology: Topology, geometry: Geometry) -> Tensor:
        """Return the displacement [B, N, 3] in Å."""
        gate = self.defect_proj(topology.marker_rows) if self.marker_gate else None
        sent = gather_senders(self.x_proj(x), gate, topology)
        along_edges: Tensor = self.coord_mlp(sent * self.edge_proj(geometry.radial))  # [B, N, K, 1]
        # A padding edge has a zero unit vector, so what the biases put on it does not count.
        from_edges = (geometry.unit.transpose(-1, -2) @ along_edges).squeeze(-1)
        from_vectors: Tensor = self.lin_vec2coord(v).squeeze(-1)
        return (from_vectors + from_edges) / 2


def site_mean(a: Tensor, occupied: Tensor | None) -> Tensor:
    """Return the mean over dimension 1, kept, of all sites or of those ``occupied`` (broadcast to ``a``)."""
    if occupied is None:
        return a.mean(dim=1, keepdim=True)
    return (a * occupied).sum(dim=1, keepdim=True) / occupied.sum(dim=1, keepdim=True)


def sender_index(neighbours: Tensor, mask: Tensor, markers: Tensor, *, marker_gate: bool) -> Tensor:
    """Return the row of the batch's sender table that each edge reads, int64 [B*N*K].

    The table of one structure holds, for every site j and every marker its receiver may have, the gated state
    of j, and at its end a row of zeros for padding. Gating N sites three times is far cheaper than gating
    N*K edges once. ``mask`` is [N, K], or [B, N, K] where it depends on the structure.
    """
    states = N_MARKERS if marker_gate else 1
    n_rows = states * neighbours.shape[0] + 1
    rows = states * neighbours.unsqueeze(0) + (markers.unsqueeze(-1) if marker_gate else 0)  # [B or 1, N, K]
    rows = torch.where(mask, rows, n_rows - 1)
    first = torch.arange(markers.shape[0], device=neighbours.device) * n_rows
    return (rows + first[:, None, None]).reshape(-1)


def gather_senders(h: Tensor, gate: Tensor | None, topology: Topology) -> Tensor:
    """Return h_j * (g_j + g_i) for every edge [B, N, K, C], zero on padding.

    Parameters
    ----------
    h
        [B, N, C], the state each site sends.
    gate
        [3, C], the gate's row of each marker; None sends h_j itself.
    topology
        Its ``senders`` come from :func:`sender_index` with the same choice of gate or none.
    """
    batch, n_sites, channels = h.shape
    if gate is not None:
        pairs = gate.unsqueeze(1) + gate.unsqueeze(0)  # [3 (sender), 3 (receiver), C]
        of_site = functional.embedding(topology.markers, pairs.flatten(1)).view(batch, n_sites, N_MARKERS, channels)
        h = (h.unsqueeze(2) * of_site).flatten(1, 2)  # [B, 3N, C]
    table = functional.pad(h, (0, 0, 0, 1)).reshape(-1, channels)
    return table.index_select(0, topology.senders).view(batch, n_sites, -1, channels)


def _weighted_neighbour_vectors(weights: Tensor, v: Tensor, neighbours: Tensor) -> Tensor:
    """Return sum_j weights_ij * v_j [B, N, 3, F], one Cartesian component at a time to bound the memory."""
    batch, n_sites, n_neighbours, features = weights.shape
    flat = neighbours.reshape(-1)
    components = []
    for component in v.unbind(dim=2):  # [B, N, F]
        at_edges = component.index_select(1, flat).view(batch, n_sites, n_neighbours, features)
        components.append((weights * at_edges).sum(dim=2))
    return torch.stack(components, dim=2)


def _mlp(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, n_hidden), ScaledSiLU(), nn.Linear(n_hidden, n_out))


def _pair_mlp(features: int) -> nn.Sequential:
    """Return the network that reads a site state beside a global state (2F -> F -> F, activated twice)."""
    return nn.Sequential(nn.Linear(2 * features, features), ScaledSiLU(), nn.Linear(features, features), ScaledSiLU())
