"""DefiNet: defect configurations in, relaxed coordinates out, in one forward pass.

Yang et al., npj Comput. Mater. 11, 229 (2025), doi 10.1038/s41524-025-01728-w. All configurations of a host
share one graph topology, so a batch is a dense [batch, site, neighbour] array without scatter operations.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import torch
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from torch import Tensor, nn

from definet_flows.definet.layers import (
    N_MARKERS,
    VACANT,
    CoordinateUpdate,
    Embedding,
    Geometry,
    GlobalScalar,
    GlobalVector,
    MessagePassing,
    SelfUpdate,
    Topology,
    sender_index,
)

if TYPE_CHECKING:
    from definet_flows.definet.graph import HostGraph

_INITIAL_STEP_SCALE = 0.01
"""Factor on the initial weights of the two output heads, see :meth:`DefiNet.reset_parameters`."""

_SMALLEST_EXPONENT = -80.0
"""Gaussians end at exp(-80) = 2e-35 instead of in float32's denormal numbers, which make a CPU several times slower."""


class _State(NamedTuple):
    """x [B, N, F]; v [B, N, 3, F], None while zero; global x [1 or B, 1, F] and v [1 or B, 1, 3, F], None without."""

    x: Tensor
    v: Tensor | None
    x_global: Tensor | None
    v_global: Tensor | None


class DefiNetConfig(BaseModel):
    """Everything that fixes the shape of a DefiNet; the defaults are the paper's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: int = Field(default=512, ge=2, multiple_of=2, description="Channels F per site")
    n_layers: int = Field(default=4, ge=1, description="Layers")
    n_radial: int = Field(default=128, ge=2, description="Gaussian radial basis functions")
    radial_cutoff: float = Field(default=30.0, gt=0, description="Å; distance at which the radial envelope reaches 0")
    graph_radius: float = Field(default=6.0, gt=0, description="Å; largest edge length in the host")
    max_neighbours: int = Field(default=50, ge=1, description="Edges per site at most; shells are kept whole")
    n_elements: int = Field(default=118, ge=1, description="Rows of the element embedding (row = atomic number)")
    marker_gate: bool = Field(default=True, description="False: messages do not see the markers of their edge")
    coordinate_update: bool = Field(
        default=True, description="False: coordinates move once, after the last layer, instead of in every layer"
    )
    global_node: bool = Field(default=True, description="False: no global scalar and vector")
    vector_activation: bool = Field(default=True, description="False: vectors pass unchanged")
    placeholders: bool = Field(
        default=True,
        description="False: defect-implicit; vacant sites are absent, no marker is read, and marker_gate must be False",
    )

    @model_validator(mode="after")
    def _markers_need_placeholders(self) -> Self:
        if self.marker_gate and not self.placeholders:
            raise ValueError("a network without placeholders reads no markers; set marker_gate to false as well")
        return self

    @model_serializer(mode="wrap")
    def _as_before_the_switch(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave ``placeholders`` out where it is True, so that hashes of networks that never heard of it stay."""
        content: dict[str, Any] = handler(self)
        return content if not self.placeholders else {k: v for k, v in content.items() if k != "placeholders"}


class DefiNet(nn.Module):
    """The network. Parameter names are the published ones, see :mod:`definet_flows.definet.layers`.

    Works in float32 and float64. Coordinates are carried as displacements from the host positions, so that
    float32 keeps its digits for what the network computes.
    """

    def __init__(self, config: DefiNetConfig) -> None:
        super().__init__()
        self.config = config
        features, layers, gate = config.features, range(config.n_layers), config.marker_gate
        activate = config.vector_activation
        self.atom_emb = Embedding(config.n_elements, features)
        self.defect_emb = Embedding(N_MARKERS, features)
        self.lin_comb = nn.Linear(2 * features, features)
        self.message_passing_layers = nn.ModuleList(
            MessagePassing(features, config.n_radial, marker_gate=gate, vector_activation=activate) for _ in layers
        )
        self.message_update_layers = nn.ModuleList(SelfUpdate(features, vector_activation=activate) for _ in layers)
        n_moves = config.n_layers if config.coordinate_update else 1
        self.coord_update_layers = nn.ModuleList(
            CoordinateUpdate(features, config.n_radial, marker_gate=gate) for _ in range(n_moves)
        )
        if config.global_node:
            self.vn_emb = nn.Embedding(1, features)
            self.virtual_scalar_layers = nn.ModuleList(GlobalScalar(features) for _ in layers)
            self.virtual_vector_layers = nn.ModuleList(GlobalVector(features) for _ in layers)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial weights: Glorot-uniform matrices, zero biases, standard normal embeddings.

        The two output heads are scaled down by 100: an untrained network then predicts nearly no displacement
        and training starts from the error of doing nothing. They are not zero, or nothing before them would
        receive a gradient at first.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight)
        if self.config.global_node:
            nn.init.zeros_(self.vn_emb.weight)
        with torch.no_grad():
            for name, parameter in self.coord_update_layers.named_parameters():
                if name.endswith(("lin_vec2coord.weight", "coord_mlp.2.weight")):
                    parameter.mul_(_INITIAL_STEP_SCALE)

    def forward(self, atomic_numbers: Tensor, markers: Tensor, positions: Tensor, graph: HostGraph) -> Tensor:
        """Predict relaxed positions.

        Parameters
        ----------
        atomic_numbers
            int64 [B, N]; a vacancy placeholder keeps the number of the host atom that was there.
        markers
            integers [B, N]: 0 pristine, 1 substituted, 2 vacancy placeholder.
        positions
            [N, 3] (shared by the batch, cheaper) or [B, N, 3], Å: where the sites start.
        graph
            The host's graph on the network's device; its periodic images are those of ``graph.positions``.

        Returns
        -------
        Tensor
            [B, N, 3] Å in the dtype of ``positions``, placeholders included (their movement means nothing; without
            ``placeholders`` in the configuration they stay).
        """
        reference = graph.positions.to(positions.dtype)
        start = positions - reference
        return reference + self.displacements(atomic_numbers, markers, graph, start).to(positions.dtype)

    def displacements(
        self, atomic_numbers: Tensor, markers: Tensor, graph: HostGraph, start: Tensor | None = None
    ) -> Tensor:
        """Predict displacements [B, N, 3] Å from ``graph.positions``, in the network's dtype.

        ``start`` [N, 3] or [B, N, 3] Å is where the sites are before (default: no displacement); the result
        includes it. Other arguments as in :meth:`forward`.
        """
        dtype = self.lin_comb.weight.dtype
        topology = self._topology(markers.long(), graph)
        moved = torch.zeros_like(graph.positions, dtype=dtype) if start is None else start.to(dtype)
        moved = moved if moved.dim() == 3 else moved.unsqueeze(0)  # [B or 1, N, 3]
        vectors = graph.vectors.to(dtype)
        geometry = self._geometry(moved, vectors, topology)
        of_markers: Tensor = self.defect_emb(topology.markers)
        x: Tensor = self.lin_comb(torch.cat([self.atom_emb(atomic_numbers), of_markers], dim=-1))
        state = self._initial_state(x)
        for n in range(self.config.n_layers):
            last = n == self.config.n_layers - 1
            state = self._exchange(n, state, topology, geometry)
            if self.config.coordinate_update or last:
                move = self._move(n, state, topology, geometry)
                moved = moved + (move if topology.occupied is None else move * topology.occupied)
            if not last:  # what follows the last coordinates cannot change them
                state = self._aggregate(n, state, topology.occupied)
                if self.config.coordinate_update:
                    geometry = self._geometry(moved, vectors, topology)
        return moved

    def _topology(self, markers: Tensor, graph: HostGraph) -> Topology:
        mask, occupied = graph.mask, None
        if not self.config.placeholders:
            occupied = markers != VACANT
            mask = mask & occupied[:, graph.neighbours]  # [B, N, K]: what is not there sends nothing
            markers, occupied = torch.zeros_like(markers), occupied.unsqueeze(-1)
        senders = sender_index(graph.neighbours, mask, markers, marker_gate=self.config.marker_gate)
        return Topology(graph.neighbours, senders, markers, self.defect_emb.embeddings.weight, occupied)

    def _initial_state(self, x: Tensor) -> _State:
        if not self.config.global_node:
            return _State(x, None, None, None)
        return _State(x, None, self.vn_emb.weight.unsqueeze(0), x.new_zeros(1, 1, 3, self.config.features))

    def _exchange(self, n: int, state: _State, topology: Topology, geometry: Geometry) -> _State:
        """Let the sites read the global node, their neighbours and themselves."""
        x, v, x_global, v_global = state
        if x_global is not None and v_global is not None:
            x = cast("GlobalScalar", self.virtual_scalar_layers[n]).distribute(x, x_global)
            if v is not None:  # without a bias, zero vectors stay zero
                v = cast("GlobalVector", self.virtual_vector_layers[n]).distribute(v, v_global)
        dx, dv = self.message_passing_layers[n](x, v, topology, geometry)
        x, v = (x + dx) / sqrt(2), dv if v is None else v + dv
        dx, dv = self.message_update_layers[n](x, v)
        return _State((x + dx) / sqrt(2), v + dv, x_global, v_global)

    def _move(self, n: int, state: _State, topology: Topology, geometry: Geometry) -> Tensor:
        move: Tensor = self.coord_update_layers[n if self.config.coordinate_update else 0](
            state.x, state.v, topology, geometry
        )
        return move

    def _aggregate(self, n: int, state: _State, occupied: Tensor | None) -> _State:
        """Let the global node read the sites."""
        x, v, x_global, v_global = state
        if v is None or x_global is None or v_global is None:
            return state
        x_global = cast("GlobalScalar", self.virtual_scalar_layers[n]).aggregate(x, x_global, occupied)
        v_global = cast("GlobalVector", self.virtual_vector_layers[n]).aggregate(v, v_global, occupied)
        return _State(x, v, x_global, v_global)

    def _geometry(self, moved: Tensor, vectors: Tensor, topology: Topology) -> Geometry:
        """Return what follows displaced coordinates [B or 1, N, 3]."""
        neighbours = topology.neighbours
        at_senders = moved.index_select(1, neighbours.reshape(-1)).view(moved.shape[0], *neighbours.shape, 3)
        towards_sender = vectors + at_senders - moved.unsqueeze(2)
        distance = towards_sender.square().sum(dim=-1, keepdim=True).clamp(min=1e-8).sqrt()
        unit = -towards_sender / distance
        if topology.occupied is not None:
            unit = unit * topology.occupied[:, neighbours]  # the biases put a weight on edges that are not there, too
        return Geometry(self.radial_features(distance), unit)

    def radial_features(self, distance: Tensor) -> Tensor:
        """Return [..., n_radial] smoothly cut Gaussians of distances [..., 1] in Å."""
        n_radial = self.config.n_radial
        s = distance / self.config.radial_cutoff
        envelope = torch.where(s < 1, 1 + s**5 * (-21 + s * (35 - 15 * s)), 0)
        # exp(-(s - mu_k)^2 / (2 spacing^2)) with mu_k = k * spacing
        steps = torch.arange(n_radial, device=distance.device, dtype=distance.dtype)
        exponent = -0.5 * (s * (n_radial - 1) - steps).square()
        return envelope * torch.exp(exponent.clamp(min=_SMALLEST_EXPONENT))
