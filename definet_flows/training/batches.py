"""Labels as dense batches, each of one host so that its graph is shared, and the order they come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from definet_flows.definet.graph import HostGraph
from definet_flows.definet.network import DefiNetConfig
from definet_flows.engines.hessian import full_hessian, restore_symmetry
from definet_flows.training.datasets.labels import LabelSet

Piece = tuple[int, Tensor]
"""Which host, and which of its labels."""


class Batch:
    """Configurations of one host.

    Not a dataclass, because Lightning would take one apart and convert its tensors one by one.

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

    def __init__(
        self,
        graph: HostGraph,
        atomic_numbers: Tensor,
        markers: Tensor,
        occupied: Tensor,
        displacements: Tensor,
        hessian: Tensor | None = None,
    ) -> None:
        self.graph = graph
        self.atomic_numbers = atomic_numbers
        self.markers = markers
        self.occupied = occupied
        self.displacements = displacements
        self.hessian = hessian

    def to(self, device: torch.device | str) -> Batch:
        """The batch on a device; itself where it is there already."""
        if self.displacements.device == torch.device(device):
            return self
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


def as_batch(labels: LabelSet, network: DefiNetConfig, dtype: torch.dtype = torch.float32) -> Batch:
    """All labels of a set as one batch."""
    graph = HostGraph.build(labels.host, network.graph_radius, network.max_neighbours).to("cpu", dtype)
    atomic_numbers, markers, occupied = (
        torch.from_numpy(np.stack([getattr(configuration, name) for configuration in labels.configurations]))
        for name in ("atomic_numbers", "markers", "occupied")
    )
    displacements = torch.from_numpy(labels.displacements).to(dtype)
    if labels.force_constants is None:
        return Batch(graph, atomic_numbers, markers, occupied, displacements)
    hessian = restore_symmetry(full_hessian(labels.host, labels.force_constants.astype(np.float64)))
    return Batch(graph, atomic_numbers, markers, occupied, displacements, torch.from_numpy(hessian).to(dtype))


class ShuffledOrder(Sampler[Piece]):
    """Batches of one host each, hosts interleaved, in an order that follows from seed and epoch alone.

    A pass gives every label once. Because nothing is carried from one epoch to the next, a resumed training meets the batches
    that the uninterrupted one would have met.

    Parameters
    ----------
    lengths
        Labels of each host.
    batch_size
        Labels per batch.
    seed
        Of the order.
    batches_per_epoch
        Batches of an epoch in each process, cut from the endless row of passes; None makes every epoch one pass.
    rank, world_size
        Which process this is and how many there are. Batches are dealt in turn; where they do not come out even, the last
        processes get some of the pass's first batches again.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        *,
        batches_per_epoch: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.lengths = tuple(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.batches_per_epoch = batches_per_epoch
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next iteration gives; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches_per_epoch or -(-self._per_pass // self.world_size)

    def __iter__(self) -> Iterator[Piece]:
        # A generator: the epoch is read at the first batch, because Lightning asks for the iterator before it tells the epoch.
        n_pieces = len(self) * self.world_size
        pieces = cycle(self._pass(self.epoch)) if self.batches_per_epoch is None else self._from(self.epoch * n_pieces)
        yield from islice(pieces, self.rank, n_pieces, self.world_size)

    @property
    def _per_pass(self) -> int:
        return sum(-(-length // self.batch_size) for length in self.lengths)

    def _from(self, first: int) -> Iterator[Piece]:
        """Pass after pass, the batches before `first` left out."""
        number, skipped = divmod(first, self._per_pass)
        while True:
            yield from self._pass(number)[skipped:]
            number, skipped = number + 1, 0

    def _pass(self, number: int) -> list[Piece]:
        rng = np.random.default_rng((self.seed, number))
        pieces = [
            (host, rows)
            for host, length in enumerate(self.lengths)
            for rows in torch.from_numpy(rng.permutation(length)).split(self.batch_size)
        ]
        return [pieces[position] for position in rng.permutation(len(pieces))]


def in_order(lengths: Sequence[int], batch_size: int, *, rank: int = 0, world_size: int = 1) -> list[Piece]:
    """Every label once, host after host, the labels dealt in turn to the processes; arguments as of `ShuffledOrder`."""
    pieces: list[Piece] = []
    first = 0
    for host, length in enumerate(lengths):
        mine = torch.arange((rank - first) % world_size, length, world_size)
        pieces += [(host, rows) for rows in mine.split(batch_size) if len(rows)]
        first += length
    return pieces


class BatchFeed:
    """What training and validation iterate over: batches of labels that are in memory already.

    Parameters
    ----------
    whole
        One batch per host with all its labels, on the device that trains.
    pieces
        Which labels form a batch, in order.
    """

    def __init__(self, whole: Sequence[Batch], pieces: ShuffledOrder | Sequence[Piece]) -> None:
        self.whole = whole
        self.pieces = pieces
        if isinstance(pieces, ShuffledOrder):
            self.sampler = pieces  # where Lightning looks for what to tell the epoch

    def __len__(self) -> int:
        return len(self.pieces)

    def __iter__(self) -> Iterator[Batch]:
        for host, rows in self.pieces:
            yield self.whole[host].rows(rows)
