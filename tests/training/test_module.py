from __future__ import annotations

import numpy as np
import pytest
import torch

from definet_flows.definet import DefiNetConfig
from definet_flows.training.batches import BatchStream, as_batch
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.labels import LabelSet
from definet_flows.training.module import DefiNetModule, displacement_errors, harmonic_forces, mean_length
from tests.training.conftest import TEACHER, configurations_of, labelled

NETWORK = DefiNetConfig(features=8, n_layers=1, n_radial=4)
CONFIGURATIONS = configurations_of(3, "V_S", "W_Mo+V_S", "V_Mo+V_S+Se_S")[:10]


@pytest.fixture
def labels():
    return labelled(CONFIGURATIONS)


@pytest.fixture
def batch(labels):
    return as_batch(labels, NETWORK)


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
    assert len(batch.to("cpu")) == len(batch)


def test_a_stream_gives_every_label_once_per_pass_in_batches_of_one_host(batch):
    other = as_batch(labelled(configurations_of(4, "V_S", "V_Mo")), NETWORK)
    stream = BatchStream([batch, other], batch_size=4, seed=3)
    passes = [list(stream) for _ in range(2)]
    for pieces in passes:
        assert len(pieces) == len(stream) == 3 + 1
        assert sorted(len(piece) for piece in pieces) == [2, 2, 4, 4]
        for whole in (batch, other):
            mine = [row for piece in pieces if piece.graph is whole.graph for row in piece.displacements.tolist()]
            assert sorted(mine) == sorted(whole.displacements.tolist())
    orders = [[piece.displacements.tolist() for piece in pieces] for pieces in passes]
    assert orders[0] != orders[1], "every pass has an order of its own"
    again = BatchStream([batch, other], batch_size=4, seed=3)
    assert [piece.displacements.tolist() for piece in again] == orders[0]


def test_a_stream_without_a_seed_keeps_the_order(batch):
    pieces = list(BatchStream([batch], batch_size=4))
    assert [len(piece) for piece in pieces] == [4, 4, 2]
    assert torch.equal(torch.cat([piece.displacements for piece in pieces]), batch.displacements)


def test_the_loss_is_the_mean_error_length_over_real_atoms(batch, labels):
    predicted = np.random.default_rng(0).normal(scale=0.1, size=labels.displacements.shape)
    lengths = []
    for row, configuration in enumerate(CONFIGURATIONS):
        occupied = configuration.occupied
        centred = predicted[row, occupied] - predicted[row, occupied].mean(axis=0)
        lengths += np.linalg.norm(centred - labels.displacements[row, occupied], axis=1).tolist()
    errors = displacement_errors(torch.tensor(predicted), batch)
    assert float(mean_length(errors, batch)) == pytest.approx(np.mean(lengths), rel=1e-6)
    assert (errors[~batch.occupied] == 0).all()


def test_a_rigid_shift_costs_nothing(batch):
    shifted = batch.displacements + torch.tensor([0.5, -0.2, 1.0])
    assert float(mean_length(displacement_errors(shifted, batch), batch)) < 1e-6


def test_the_gradient_is_finite_where_the_error_is_zero(batch):
    predicted = batch.displacements.clone().requires_grad_()
    mean_length(displacement_errors(predicted, batch), batch).backward()
    assert predicted.grad.isfinite().all()


def test_harmonic_forces_are_the_hessian_times_the_error(labels, batch):
    rng = np.random.default_rng(0)
    hessian = rng.normal(size=(81, 81))
    hessian = torch.tensor(hessian + hessian.T)
    errors = torch.tensor(rng.normal(size=(2, 27, 3)))
    found = harmonic_forces(errors, hessian)
    for row in range(2):
        np.testing.assert_allclose(found[row].flatten(), hessian @ errors[row].flatten())


@torch.no_grad()
def test_the_force_weight_adds_the_force_of_the_error(labels):
    constants = np.random.default_rng(0).normal(size=(3, 3, 27, 3)).astype(np.float32)
    batch = as_batch(LabelSet(labels.host, labels.configurations, labels.displacements, TEACHER, constants), NETWORK)
    losses = {}
    for weight in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        module = DefiNetModule(TrainingConfig(name="toy", labels=("x",), network=NETWORK, force_weight=weight))
        losses[weight] = float(module._loss(batch))
    assert losses[1.0] - losses[0.0] == pytest.approx(2 * (losses[0.5] - losses[0.0]), rel=1e-4)
    errors = displacement_errors(module.model.displacements(batch.atomic_numbers, batch.markers, batch.graph), batch)
    forces = mean_length(harmonic_forces(errors, batch.hessian), batch)
    assert losses[1.0] - losses[0.0] == pytest.approx(float(forces), rel=1e-4)
