"""DefiNet's forward pass for many structures of one host, on a CPU: the same weights, the same numbers, a shorter route.

What is exploited, and why nothing is lost:

- The radial functions of an edge, and every linear map of them, depend on one smooth scalar, the distance. Each layer's maps
  are tabulated in float64, so densely that the cubic between the nodes differs from the map by less than float32 does.
- A marker gate takes nine values. Sender state, gate and radial map are multiplied and summed in one loop over the edges of
  a site, with the sums in registers; nothing per edge but the input of the coordinate network is ever written.
- That input is made and consumed in blocks of edges that fit the cache, and padding is not computed.
- In the first layer all vectors are zero, all structures share the host's distances, and the scalars depend on element and
  marker alone. So a site that neither is a defect nor has one for a neighbour is in the state of the pristine host, which
  is computed once, and only edges from other sites or into a defect pull on their receivers in another way.

Products on sites are done by the network's own modules.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from definet_flows.definet.inference.kernels import LANES
from definet_flows.definet.inference.tables import (
    EdgeTable,
    FlatEdges,
    coordinate_table,
    last_node,
    message_table,
    nodes_per_angstrom,
)
from definet_flows.definet.layers import N_MARKERS, VectorActivation

if TYPE_CHECKING:
    from definet_flows.definet.graph import HostGraph
    from definet_flows.definet.inference.kernels import Kernels
    from definet_flows.definet.layers import CoordinateUpdate, GlobalScalar, GlobalVector, MessagePassing, SelfUpdate
    from definet_flows.definet.network import DefiNet

_AT_ONCE = 2**16  # channels of all sites at a time: few enough for the cache, enough to outweigh what a call costs
_BLOCK = 2**17  # floats per block of edges: the input and output of its product stay in a core's cache


@dataclass(frozen=True)
class Geometry:
    """Where the edges of a batch point: unit vectors [E, 3], table nodes int32 [E], interpolation weights [E, 4].

    ``stride`` is the number of edges between one structure and the next, 0 where all share the host's.
    """

    unit: Tensor
    node: Tensor
    weights: Tensor
    stride: int


@dataclass(frozen=True)
class Scope:
    """What a layer computes anew, all int32.

    ``markers`` [B*N]; ``rows``, the sites, and ``edges``, those of the coordinate network, both numbered through the
    batch; ``sender_rows`` [B*N], where the state that a site sends is found among those sent.
    """

    markers: Tensor
    rows: Tensor
    edges: Tensor
    sender_rows: Tensor


class Pristine(NamedTuple):
    """The host without defects after the exchange of the first layer, and what its coordinate network makes of that.

    x [1, N, F], v [1, N, 3, F], sent [N, F], along [E].
    """

    x: Tensor
    v: Tensor
    sent: Tensor
    along: Tensor


class FastNetwork:
    """A float32 :class:`DefiNet` on the CPU, prepared for one host.

    Parameters
    ----------
    network
        One that :meth:`handles` accepts. Its weights must not change afterwards.
    graph
        The host's graph.
    atomic_numbers
        int64 [N] of the pristine host.
    kernels
        The compiled loops.
    half
        Products in bfloat16, with the loss of accuracy that this means.
    """

    def __init__(
        self, network: DefiNet, graph: HostGraph, atomic_numbers: Tensor, kernels: Kernels, *, half: bool = False
    ) -> None:
        self.network, self.kernels, self.half = network, kernels, half
        self.edges, self.n_sites, self.atomic_numbers = FlatEdges.of(graph), graph.n_sites, atomic_numbers
        self._layers = cast("list[MessagePassing]", list(network.message_passing_layers))
        self._moves = cast("list[CoordinateUpdate]", list(network.coord_update_layers))
        with torch.inference_mode():
            self._messages = [message_table(network, layer) for layer in self._layers]
            self._coordinates = [coordinate_table(network, layer) for layer in self._moves]
            # The vectors' own part of distribution and the residual it is added to are one product.
            self._spread = []
            if network.config.global_node:
                vectors = cast("list[GlobalVector]", list(network.virtual_vector_layers))
                ones = torch.eye(network.config.features)
                self._spread = [layer.mlp_node.weight + ones for layer in vectors]
            self._at_rest = self._geometry(torch.zeros(1, self.n_sites, 3), stride=0)
            self._pristine = self._pristine_state()

    @staticmethod
    def handles(network: DefiNet) -> bool:
        """Whether there is this route for a network: with placeholders, float32, on the CPU, F a multiple of 16."""
        weight, config = network.lin_comb.weight, network.config
        here = weight.device.type == "cpu" and weight.dtype == torch.float32
        return here and config.placeholders and config.features % LANES == 0

    @torch.inference_mode()
    def __call__(self, atomic_numbers: Tensor, markers: Tensor) -> Tensor:
        """Return displacements [B, N, 3] Å of atomic numbers and markers, int64 [B, N], as many at a time as are fast."""
        n_parts = ceil(markers.numel() * self.network.config.features / _AT_ONCE)
        n_parts = min(n_parts, len(markers))
        parts = zip(atomic_numbers.tensor_split(n_parts), markers.tensor_split(n_parts), strict=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            return torch.cat([self._displacements(*part) for part in parts])

    def _displacements(self, atomic_numbers: Tensor, markers: Tensor) -> Tensor:
        config, size = self.network.config, len(markers)
        v: Tensor | None
        x, v, moved = self._first_layer(atomic_numbers, markers)
        x_global, v_global = self._initial_global()
        geometry, scope = self._at_rest, self._whole(markers)
        for n in range(1, config.n_layers):
            x_global, v_global = self._aggregate(n - 1, x, v, x_global, v_global)
            if config.coordinate_update:
                geometry = self._geometry(moved, len(self.edges))
            x, v = self._distribute(n, x, v, x_global, v_global)
            x, v = self._exchange(n, self._layers[n].x_proj(x), x, v, scope, geometry)
            if config.coordinate_update or n == config.n_layers - 1:
                layer = n if config.coordinate_update else 0
                along = self._along(layer, self._moves[layer].x_proj(x), scope, geometry)
                from_edges = self._pulls(along, geometry, size)
                moved = moved + (self._moves[layer].lin_vec2coord(v).squeeze(-1) + from_edges) / 2
        return moved

    def _first_layer(self, atomic_numbers: Tensor, markers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return x [B, N, F], v [B, N, 3, F] and displacements [B, N, 3] after the first layer."""
        pristine, size = self._pristine, len(markers)
        scope = self._near_defects(atomic_numbers, markers)
        near = scope.rows.long()
        x_near, v_near = self._first_exchange(atomic_numbers, markers, scope)
        x, v = pristine.x.repeat(size, 1, 1), pristine.v.repeat(size, 1, 1, 1)
        x.view(-1, x.shape[-1])[near], v.view(-1, *v.shape[-2:])[near] = x_near.float(), v_near.float()
        if not self.network.config.coordinate_update and self.network.config.n_layers > 1:
            return x, v, x.new_zeros(size, self.n_sites, 3)
        layer = self._moves[0]
        sent = torch.cat([pristine.sent, layer.x_proj(x_near)])
        along = pristine.along.repeat(size)
        along[scope.edges.long()] = self._along(0, sent, scope, self._at_rest)
        from_edges = self._pulls(along, self._at_rest, size)
        return x, v, (layer.lin_vec2coord(v).squeeze(-1) + from_edges) / 2

    def _pristine_state(self) -> Pristine:
        markers = torch.zeros(1, self.n_sites, dtype=torch.int64)
        scope = self._whole(markers)
        x, v = self._first_exchange(self.atomic_numbers.unsqueeze(0), markers, scope)
        sent: Tensor = self._moves[0].x_proj(x)
        return Pristine(x.unsqueeze(0), v.unsqueeze(0), sent, self._along(0, sent, scope, self._at_rest))

    def _first_exchange(self, atomic_numbers: Tensor, markers: Tensor, scope: Scope) -> tuple[Tensor, Tensor]:
        """Return x [n_rows, F] and v [n_rows, 3, F] of the sites in scope, from one state per element and marker."""
        net = self.network
        kinds, kind = torch.unique((N_MARKERS * atomic_numbers + markers).flatten(), return_inverse=True)
        of_elements, of_markers = net.atom_emb(kinds // N_MARKERS), net.defect_emb(kinds % N_MARKERS)
        x: Tensor = net.lin_comb(torch.cat([of_elements, of_markers], dim=-1))
        x_global, v_global = self._initial_global()
        x, _ = self._distribute(0, x.unsqueeze(0), None, x_global, v_global)
        by_kind = Scope(scope.markers, scope.rows, scope.edges, kind.int())
        h: Tensor = self._layers[0].x_proj(x)
        return self._exchange(0, h, x[0, kind[scope.rows.long()]], None, by_kind, self._at_rest)

    def _whole(self, markers: Tensor) -> Scope:
        rows = torch.arange(markers.numel(), dtype=torch.int32)
        edges = torch.arange(len(markers) * len(self.edges), dtype=torch.int32)
        return Scope(markers.reshape(-1).int(), rows, edges, rows)

    def _near_defects(self, atomic_numbers: Tensor, markers: Tensor) -> Scope:
        """Return the sites whose first exchange differs from the pristine host's, and the edges they change."""
        changed = (markers != 0) | (atomic_numbers != self.atomic_numbers)
        senders, receivers = self.edges.senders.long(), self.edges.receivers.long()
        near = changed.int().index_add(1, receivers, changed[:, senders].int()) > 0
        rows = near.view(-1).nonzero().view(-1)
        edges = (near[:, senders] | changed[:, receivers]).view(-1).nonzero().view(-1)
        sender_rows = torch.arange(self.n_sites, dtype=torch.int32).repeat(len(markers))
        sender_rows[rows] = self.n_sites + torch.arange(len(rows), dtype=torch.int32)
        return Scope(markers.reshape(-1).int(), rows.int(), edges.int(), sender_rows)

    def _exchange(
        self, n: int, h: Tensor, x: Tensor, v: Tensor | None, scope: Scope, geometry: Geometry
    ) -> tuple[Tensor, Tensor]:
        """Return x and v of the sites in scope after messages and self-update; ``h`` [..., 3F] is what is sent."""
        layer = self._layers[n]
        dx, dv = self._message_sums(n, h, v, scope, geometry)
        v = self._added(v, dv.view(*x.shape[:-1], 3, -1), layer.vec_activation)
        x = (x + dx.view_as(x)) / sqrt(2)
        update = cast("SelfUpdate", self.network.message_update_layers[n])
        dx, dv = update.mix(x, v)
        return (x + dx) / sqrt(2), self._added(v, dv, update.vec_activation)

    def _message_sums(
        self, n: int, h: Tensor, v: Tensor | None, scope: Scope, geometry: Geometry
    ) -> tuple[Tensor, Tensor]:
        table, features = self._messages[n], self.network.config.features
        dx, dv = torch.empty(len(scope.rows), features), torch.empty(len(scope.rows), 3, features)
        senders = (self.edges.first, self.edges.senders, scope.sender_rows, scope.markers)
        states = (h.float().contiguous(), table.gates, table.radial, None if v is None else v.float().contiguous())
        where = (geometry.unit, geometry.node, geometry.weights, geometry.stride)
        shape = (features, torch.get_num_threads())
        self.kernels("messages", len(scope.rows), scope.rows, self.n_sites, *senders, *states, *where, *shape, dx, dv)
        return dx, dv

    def _along(self, n: int, h: Tensor, scope: Scope, geometry: Geometry) -> Tensor:
        """Return what the coordinate network says of each edge in scope, [n_edges]; ``h`` [..., F] is what is sent."""
        first, readout = (cast("nn.Linear", self._moves[n].coord_mlp[part]) for part in (0, 2))
        features, threads = self.network.config.features, torch.get_num_threads()
        h, along = h.float().contiguous(), torch.empty(len(scope.edges))
        size = threads * max(LANES, _BLOCK // features)
        states, hidden = torch.empty(2, size, features)
        weights, bias = (readout.weight[0] / 0.6).contiguous(), float(readout.bias)
        for begin in range(0, len(along), size):
            edges, out = scope.edges[begin : begin + size], along[begin : begin + size]
            self._edge_states(self._coordinates[n], h, edges, scope, geometry, states)
            if self.half:
                hidden = functional.linear(states[: len(edges)], first.weight).float()
            else:
                torch.mm(states[: len(edges)], first.weight.T, out=hidden[: len(edges)])
            self.kernels("along_edges", len(edges), hidden, first.bias, weights, bias, features, threads, out)
        return along

    def _edge_states(
        self, table: EdgeTable, h: Tensor, edges: Tensor, scope: Scope, geometry: Geometry, out: Tensor
    ) -> None:
        ends = (self.edges.receivers, self.edges.senders, scope.sender_rows, scope.markers)
        where = (geometry.node, geometry.weights, geometry.stride)
        shape = (out.shape[-1], torch.get_num_threads())
        sizes = (self.n_sites, len(self.edges))
        self.kernels("edge_states", len(edges), edges, *sizes, *ends, h, table.gates, table.radial, *where, *shape, out)

    def _pulls(self, along: Tensor, geometry: Geometry, size: int) -> Tensor:
        """Return the sums [B, N, 3] of the edges' unit vectors times what is said of them, [B * E]."""
        sums = along.new_empty(size, self.n_sites, 3)
        shape = (size, self.n_sites, len(self.edges))
        self.kernels("pulls", *shape, self.edges.first, along, geometry.unit, geometry.stride, sums)
        return sums

    def _added(self, v: Tensor | None, dv: Tensor, activation: nn.Module) -> Tensor:
        """Return v plus what a layer's vector activation makes of dv, both [..., 3, F]; v None is zero."""
        if not isinstance(activation, VectorActivation):
            return dv if v is None else v + dv
        channels, consensus = activation.lin_vec(dv).float(), activation.lin_gvec(dv).float()
        out, base = torch.empty_like(channels), None if v is None else v.float().contiguous()
        self.kernels("activate", dv.shape[:-2].numel(), channels, consensus, base, dv.shape[-1], out)
        return out

    def _initial_global(self) -> tuple[Tensor | None, Tensor | None]:
        if not self.network.config.global_node:
            return None, None
        start = self.network.vn_emb.weight.unsqueeze(0)
        return start, start.new_zeros(1, 1, 3, start.shape[-1])

    def _distribute(
        self, n: int, x: Tensor, v: Tensor | None, x_global: Tensor | None, v_global: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        if x_global is None or v_global is None:
            return x, v
        x = cast("GlobalScalar", self.network.virtual_scalar_layers[n]).distribute(x, x_global)
        if v is not None:
            spread = cast("GlobalVector", self.network.virtual_vector_layers[n]).mlp_node
            v = functional.linear(v, self._spread[n]) + spread(v_global)
        return x, v

    def _aggregate(
        self, n: int, x: Tensor, v: Tensor, x_global: Tensor | None, v_global: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        if x_global is None or v_global is None:
            return None, None
        x_global = cast("GlobalScalar", self.network.virtual_scalar_layers[n]).aggregate(x, x_global)
        v_global = cast("GlobalVector", self.network.virtual_vector_layers[n]).aggregate(v, v_global)
        return x_global, v_global

    def _geometry(self, moved: Tensor, stride: int) -> Geometry:
        size, edges = moved.shape[0], self.edges
        unit, weights = moved.new_empty(size, len(edges), 3), moved.new_empty(size, len(edges), 4)
        node = torch.empty(size, len(edges), dtype=torch.int32)
        shape, nodes = (size, self.n_sites, len(edges)), (nodes_per_angstrom(self.network), last_node(self.network))
        ends = (edges.receivers, edges.senders, edges.vectors)
        self.kernels("geometry", *shape, *ends, moved.contiguous(), *nodes, unit, node, weights)
        return Geometry(unit, node, weights, stride)
