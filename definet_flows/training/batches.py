"""Labels as dense batches: every batch is of one host, so that its graph is shared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from definet_flows.definet.graph import HostGraph
from definet_flows.definet.network import DefiNetConfig
from definet_flows.engines.hessian import full_hessian
from definet_flows.training.datasets.labels import LabelSet


@dataclass(frozen=True)
class Batch:
    """Configurations of one host.

    Parameters
    ----------
    graph
        The host's graph.
    atomic_numbers, markers
        [batch, n_sites] integers.
    occupied
        bool [batch, n_sites], True for real atoms.
    displacements
        [batch, n_sites, 3] Å, the labels.
    hessian
        [3 n_sites, 3 n_sites] eV/Å² of the pristine host, or None where the labels have no force constants.
    """

    graph: HostGraph
    atomic_numbers: Tensor
    markers: Tensor
    occupied: Tensor
    displacements: Tensor
    hessian: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The batch on a device."""
        return Batch(
            self.graph.to(device),
            self.atomic_numbers.to(device),
            self.markers.to(device),
            self.occupied.to(device),
            self.displacements.to(device),
            None if self.hessian is None else self.hessian.to(device),
        )

    def rows(self, index: Tensor) -> Batch:
        """Some of its configurations."""
        return Batch(
            self.graph,
            self.atomic_numbers[index],
            self.markers[index],
            self.occupied[index],
            self.displacements[index],
            self.hessian,
        )

    def __len__(self) -> int:
        return len(self.markers)


def as_batch(labels: LabelSet, network: DefiNetConfig) -> Batch:
    """All labels of a set as one batch in float32."""
    graph = HostGraph.build(labels.host, network.graph_radius, network.max_neighbours).to("cpu", torch.float32)
    atomic_numbers, markers, occupied = (
        torch.from_numpy(np.stack([getattr(configuration, name) for configuration in labels.configurations]))
        for name in ("atomic_numbers", "markers", "occupied")
    )
    displacements = torch.from_numpy(labels.displacements).float()
    if labels.force_constants is None:
        return Batch(graph, atomic_numbers, markers, occupied, displacements)
    hessian = full_hessian(labels.host, labels.force_constants.astype(np.float64))
    return Batch(graph, atomic_numbers, markers, occupied, displacements, torch.from_numpy(hessian).float())


class BatchStream(IterableDataset[Batch]):
    """Batches of several hosts, in a new random order at every pass, or in order.

    Parameters
    ----------
    whole
        One batch per host with all its labels.
    batch_size
        Configurations per batch.
    seed
        Of the order; None keeps the order.
    """

    def __init__(self, whole: Sequence[Batch], batch_size: int, seed: int | None = None) -> None:
        self.whole = list(whole)
        self.batch_size = batch_size
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return sum(-(-len(batch) // self.batch_size) for batch in self.whole)

    def __iter__(self) -> Iterator[Batch]:
        pieces = [(batch, index) for batch in self.whole for index in self._order(len(batch)).split(self.batch_size)]
        for piece in self._order(len(pieces)).tolist():
            batch, index = pieces[piece]
            yield batch.rows(index)

    def _order(self, length: int) -> Tensor:
        return torch.arange(length) if self._generator is None else torch.randperm(length, generator=self._generator)
