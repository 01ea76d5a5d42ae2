from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from definet_flows.definet import DefiNetConfig
from definet_flows.training.batches import BatchFeed, ShuffledOrder, as_batch, in_order
from tests.training.conftest import configurations_of, labelled

NETWORK = DefiNetConfig(features=8, n_layers=1, n_radial=4)
CONFIGURATIONS = configurations_of(3, "V_S", "W_Mo+V_S", "V_Mo+V_S+Se_S")[:10]
LENGTHS = (10, 3, 7)


@pytest.fixture
def labels():
    return labelled(CONFIGURATIONS)


@pytest.fixture
def batch(labels):
    return as_batch(labels, NETWORK)


def seen(pieces):
    """(host, label) of every piece, in order."""
    return [(host, row) for host, rows in pieces for row in rows.tolist()]


def test_a_batch_holds_the_labels_of_one_host(batch, labels):
    assert len(batch) == len(CONFIGURATIONS)
    for row, configuration in enumerate(CONFIGURATIONS):
        assert batch.atomic_numbers[row].tolist() == configuration.atomic_numbers.tolist()
        assert batch.markers[row].tolist() == configuration.markers.tolist()
        assert batch.occupied[row].tolist() == configuration.occupied.tolist()
    assert batch.displacements.dtype == torch.float32
    assert np.array_equal(batch.displacements.numpy(), labels.displacements)
    assert batch.hessian is None
    some = batch.rows(torch.tensor([3, 1]))
    assert torch.equal(some.displacements, batch.displacements[[3, 1]])
    assert some.graph is batch.graph
    assert batch.to("cpu") is batch


def test_a_batch_in_double_precision(labels):
    batch = as_batch(labels, NETWORK, torch.float64)
    assert batch.displacements.dtype == batch.graph.positions.dtype == torch.float64
    np.testing.assert_array_equal(batch.graph.positions.numpy(), labels.host.positions)


def test_an_epoch_gives_every_label_once_in_batches_of_one_host():
    order = ShuffledOrder(LENGTHS, batch_size=4, seed=3)
    epochs = []
    for epoch in range(2):
        order.set_epoch(epoch)
        pieces = list(order)
        assert len(pieces) == len(order) == 3 + 1 + 2
        assert sorted(len(rows) for _, rows in pieces) == [2, 3, 3, 4, 4, 4]
        assert sorted(seen(pieces)) == [(host, row) for host, length in enumerate(LENGTHS) for row in range(length)]
        epochs.append(seen(pieces))
    assert epochs[0] != epochs[1], "every epoch has an order of its own"
    assert [host for host, _ in epochs[0]] != sorted(host for host, _ in epochs[0]), "hosts are interleaved"


def test_the_order_follows_from_seed_and_epoch_alone():
    """A resumed run begins with a later epoch and meets the same batches."""
    order = ShuffledOrder(LENGTHS, batch_size=4, seed=3)
    order.set_epoch(5)
    fifth = seen(order)
    order.set_epoch(0)
    list(islice(order, 2))
    order.set_epoch(5)
    assert seen(order) == fifth
    fresh, other = (ShuffledOrder(LENGTHS, batch_size=4, seed=seed) for seed in (3, 4))
    for one in (fresh, other):
        one.set_epoch(5)
    assert seen(fresh) == fifth
    assert seen(other) != fifth


def test_epochs_of_a_number_of_batches_cut_the_endless_row_of_passes():
    whole = ShuffledOrder(LENGTHS, batch_size=4, seed=3)
    passes = []
    for number in range(3):
        whole.set_epoch(number)
        passes += [(host, rows.tolist()) for host, rows in whole]
    cut = ShuffledOrder(LENGTHS, batch_size=4, seed=3, batches_per_epoch=5)
    assert len(cut) == 5
    found = []
    for epoch in range(3):
        cut.set_epoch(epoch)
        found += [(host, rows.tolist()) for host, rows in cut]
    assert found == passes[:15]


@pytest.mark.parametrize("batches_per_epoch", [None, 5])
@pytest.mark.parametrize("world_size", [2, 4, 7])
def test_processes_share_the_batches_of_one(world_size, batches_per_epoch):
    steps = None if batches_per_epoch is None else batches_per_epoch * world_size
    alone = ShuffledOrder(LENGTHS, batch_size=4, seed=3, batches_per_epoch=steps)
    alone.set_epoch(2)
    together = [(host, rows.tolist()) for host, rows in alone]
    shares = []
    for rank in range(world_size):
        order = ShuffledOrder(
            LENGTHS, batch_size=4, seed=3, batches_per_epoch=batches_per_epoch, rank=rank, world_size=world_size
        )
        order.set_epoch(2)
        shares.append([(host, rows.tolist()) for host, rows in order])
        assert len(shares[-1]) == len(order) == len(shares[0]), "every process takes as many steps"
    dealt = [piece for step in zip(*shares, strict=True) for piece in step]
    assert dealt[: len(together)] == together
    assert dealt[len(together) :] == together[: len(dealt) - len(together)]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_validation_counts_every_label_once_over_all_processes(world_size):
    shares = [seen(in_order(LENGTHS, 4, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert sorted(entry for share in shares for entry in share) == [
        (host, row) for host, length in enumerate(LENGTHS) for row in range(length)
    ]
    assert {len(share) for share in shares} <= {sum(LENGTHS) // world_size, -(-sum(LENGTHS) // world_size)}
    if world_size == 1:
        assert shares[0] == sorted(shares[0])


def test_a_feed_gives_the_batches_themselves(batch):
    other = as_batch(labelled(configurations_of(4, "V_S", "V_Mo")), NETWORK)
    feed = BatchFeed([batch, other], ShuffledOrder([len(batch), len(other)], batch_size=4, seed=3))
    pieces = list(feed)
    assert len(pieces) == len(feed) == 3 + 1
    for whole in (batch, other):
        mine = [row for piece in pieces if piece.graph is whole.graph for row in piece.displacements.tolist()]
        assert sorted(mine) == sorted(whole.displacements.tolist())
