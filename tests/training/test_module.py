from __future__ import annotations

import numpy as np
import pytest
import torch

from definet_flows.definet import DefiNetConfig
from definet_flows.engines.hessian import restore_symmetry
from definet_flows.training.batches import as_batch
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.labels import LabelSet
from definet_flows.training.module import (
    DefiNetModule,
    displacement_errors,
    harmonic_forces,
    mean_length,
    parameters_without_gradient,
)
from tests.training.conftest import TEACHER, configurations_of, labelled

NETWORK = DefiNetConfig(features=8, n_layers=1, n_radial=4)
CONFIGURATIONS = configurations_of(3, "V_S", "W_Mo+V_S", "V_Mo+V_S+Se_S")[:10]


@pytest.fixture
def labels():
    return labelled(CONFIGURATIONS)


@pytest.fixture
def batch(labels):
    return as_batch(labels, NETWORK)


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


@pytest.fixture
def hessian():
    """Any springs, symmetric in their axes too, so that a shift gives exactly no force."""
    springs = np.random.default_rng(0).normal(size=(27, 3, 27, 3))
    return torch.tensor(restore_symmetry((springs + springs.transpose(0, 3, 2, 1)).reshape(81, 81)))


def test_harmonic_forces_are_the_hessian_times_the_error(hessian):
    errors = torch.tensor(np.random.default_rng(1).normal(size=(2, 27, 3)))
    found = harmonic_forces(errors, torch.ones(2, 27, dtype=torch.bool), hessian)
    for row in range(2):
        np.testing.assert_allclose(found[row].flatten(), hessian @ errors[row].flatten())


def test_harmonic_forces_have_no_spring_to_a_vacant_site(batch, hessian):
    errors = torch.tensor(np.random.default_rng(1).normal(size=batch.displacements.shape)) * batch.occupied[..., None]
    springs = hessian.reshape(27, 3, 27, 3)
    found = harmonic_forces(errors, batch.occupied, hessian)
    for row, occupied in enumerate(batch.occupied):
        for site in occupied.nonzero().flatten():
            neighbours = occupied.clone()
            neighbours[site] = False
            stretched = errors[row, neighbours] - errors[row, site]
            expected = torch.einsum("ajb,jb->a", springs[site][:, neighbours], stretched)
            np.testing.assert_allclose(found[row, site], expected, atol=1e-12)


def test_harmonic_forces_of_a_rigid_shift_are_none_beside_a_vacancy_too(batch, hessian):
    shift = torch.tensor([0.3, -0.1, 0.2], dtype=torch.float64) * batch.occupied[..., None]
    found = harmonic_forces(shift, batch.occupied, hessian)
    assert not batch.occupied.all()
    np.testing.assert_allclose(found[batch.occupied], 0, atol=1e-12)


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
    forces = mean_length(harmonic_forces(errors, batch.occupied, batch.hessian), batch)
    assert losses[1.0] - losses[0.0] == pytest.approx(float(forces), rel=1e-4)


@pytest.mark.parametrize(
    "arm",
    [
        {},
        {"marker_gate": False, "coordinate_update": False},
        {"coordinate_update": False},
        {"global_node": False},
        {"vector_activation": False},
        {"placeholders": False, "marker_gate": False},
        {"n_layers": 1},
    ],
    ids=str,
)
def test_exactly_the_parameters_that_cannot_matter_are_frozen(batch, arm):
    """Several processes wait for the gradient of every parameter that is not frozen."""
    network = DefiNetConfig(**{"features": 8, "n_layers": 2, "n_radial": 4} | arm)
    module = DefiNetModule(TrainingConfig(name="toy", network=network))
    frozen = {name for name, parameter in module.model.named_parameters() if not parameter.requires_grad}
    assert frozen == parameters_without_gradient(network)
    module.model.requires_grad_(requires_grad=True)
    module._loss(batch).backward()
    without = {name for name, parameter in module.model.named_parameters() if parameter.grad is None}
    assert without == frozen


@torch.no_grad()
def test_mixed_precision_computes_the_loss_in_full(batch):
    torch.manual_seed(0)
    module = DefiNetModule(TrainingConfig(name="toy", network=NETWORK))
    full = module._loss(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = module._loss(batch)
    assert mixed.dtype == torch.float32
    assert float(mixed) == pytest.approx(float(full), rel=0.02)
    assert float(mixed) != float(full)
