"""Which route a forward pass takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from definet_flows.definet.inference.cuda import StaticForward
from definet_flows.definet.inference.kernels import load_kernels
from definet_flows.definet.inference.network import FastNetwork

if TYPE_CHECKING:
    from definet_flows.defects import Host
    from definet_flows.definet.graph import HostGraph
    from definet_flows.definet.network import DefiNet

logger = logging.getLogger(__name__)

Forward = Callable[[Tensor, Tensor], Tensor]
"""From atomic numbers and markers, int64 [B, N] on the CPU, to displacements [B, N, 3] Å on the network's device."""


class ModuleForward:
    """The network itself, on any device, in any precision, with any switch."""

    def __init__(self, network: DefiNet, graph: HostGraph, dtype: torch.dtype) -> None:
        self.network, self.graph, self.half = network, graph, dtype == torch.bfloat16

    def __call__(self, atomic_numbers: Tensor, markers: Tensor) -> Tensor:
        """Return displacements [B, N, 3] Å."""
        device = self.graph.vectors.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.half):
            return self.network.displacements(atomic_numbers.to(device), markers.to(device), self.graph)


def prepare(network: DefiNet, graph: HostGraph, host: Host, dtype: torch.dtype) -> Forward:
    """Return the fastest route there is for many structures of a host, the network itself where there is no other.

    Parameters
    ----------
    network
        In evaluation mode; float32 for ``dtype`` bfloat16.
    graph
        The host's, on the network's device.
    host
        Gives the elements of the pristine sites.
    dtype
        Of the products.
    """
    if graph.vectors.device.type == "cuda":
        return StaticForward(ModuleForward(network, graph, dtype), graph.vectors.device)
    kernels = load_kernels() if FastNetwork.handles(network) else None
    if kernels is None:
        return ModuleForward(network, graph, dtype)
    numbers = torch.as_tensor(host.atomic_numbers, dtype=torch.int64)
    return FastNetwork(network, graph, numbers, kernels, half=dtype == torch.bfloat16)
