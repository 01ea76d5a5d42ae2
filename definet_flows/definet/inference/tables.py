"""What the kernels read: radial functions tabulated, marker gates of pairs, the host's edges as a flat list."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from definet_flows.definet.layers import N_MARKERS, CoordinateUpdate, MessagePassing

if TYPE_CHECKING:
    from definet_flows.definet.graph import HostGraph
    from definet_flows.definet.network import DefiNet

NODES_PER_WIDTH = 24
"""Table nodes per Gaussian width: the cubic through four nodes is then within 2e-7 of a Gaussian of height one."""


@dataclass(frozen=True)
class EdgeTable:
    """Sender factors of one layer that do not depend on the structure, float32.

    ``radial`` [n_nodes, C] at distances (row - 1) / nodes_per_angstrom, ``gates`` [9, C] by 3 * sender's + receiver's marker.
    """

    radial: Tensor
    gates: Tensor


@dataclass(frozen=True)
class FlatEdges:
    """The real edges of a host in the order of their receivers, those of site i from ``first[i]`` to ``first[i + 1]``.

    int32 first [n_sites + 1], receivers and senders [n_edges]; vectors float32 [n_edges, 3] Å at rest.
    """

    first: Tensor
    receivers: Tensor
    senders: Tensor
    vectors: Tensor

    @classmethod
    def of(cls, graph: HostGraph) -> FlatEdges:
        """Drop the padding of a graph."""
        receivers, slots = graph.mask.nonzero(as_tuple=True)
        first = torch.cat([torch.zeros(1, dtype=torch.int64), graph.mask.sum(dim=1).cumsum(0)])
        senders, vectors = graph.neighbours[receivers, slots], graph.vectors[receivers, slots]
        return cls(first.int(), receivers.int(), senders.int(), vectors.float().contiguous())

    def __len__(self) -> int:
        """Number of edges."""
        return len(self.senders)


def nodes_per_angstrom(network: DefiNet) -> float:
    """Return the density of the radial tables."""
    return NODES_PER_WIDTH * (network.config.n_radial - 1) / network.config.radial_cutoff


def last_node(network: DefiNet) -> int:
    """Return the node from which on every radial function is zero."""
    return NODES_PER_WIDTH * (network.config.n_radial - 1) + 1


def message_table(network: DefiNet, layer: MessagePassing) -> EdgeTable:
    """Return the table of a layer's messages, their constant factors included."""
    into_vectors = 1 / sqrt(3 * layer.features)
    scale = torch.tensor([into_vectors, into_vectors, 1 / sqrt(3)], dtype=torch.float64)
    return _edge_table(network, layer, scale.repeat_interleave(layer.features))


def coordinate_table(network: DefiNet, layer: CoordinateUpdate) -> EdgeTable:
    """Return the table of a layer's coordinate network."""
    return _edge_table(network, layer, torch.ones(1, dtype=torch.float64))


def _edge_table(network: DefiNet, layer: MessagePassing | CoordinateUpdate, scale: Tensor) -> EdgeTable:
    n_nodes = last_node(network) + 4
    distances = (torch.arange(n_nodes, dtype=torch.float64) - 1) / nodes_per_angstrom(network)
    projection = layer.edge_proj
    radial = network.radial_features(distances.unsqueeze(1)) @ projection.weight.double().T + projection.bias.double()
    return EdgeTable((radial * scale).float(), _pair_gates(network, layer, radial.shape[1]))


def _pair_gates(network: DefiNet, layer: MessagePassing | CoordinateUpdate, channels: int) -> Tensor:
    if not layer.marker_gate:
        return torch.ones(N_MARKERS**2, channels)
    of_markers: Tensor = layer.defect_proj(network.defect_emb.embeddings.weight)
    return (of_markers.unsqueeze(1) + of_markers).reshape(N_MARKERS**2, channels).float().contiguous()
