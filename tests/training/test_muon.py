from __future__ import annotations

import pytest
import torch
from torch import nn

from definet_flows.definet import DefiNet, DefiNetConfig
from definet_flows.training.config import TrainingConfig
from definet_flows.training.module import DefiNetModule
from definet_flows.training.muon import Muon, orthogonalised, weight_matrices

RATE = 0.01


def parameter(*shape, seed=0):
    return nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (16, 16)])
def test_singular_values_become_about_one_and_directions_stay(shape):
    matrix = parameter(*shape).detach()
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalised(matrix)
    within = left.T @ found @ right.T
    values = within.diagonal()
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert torch.allclose(within, torch.diag(values), atol=1e-4)


def test_the_length_of_a_matrix_step_does_not_follow_the_gradient():
    steps = []
    for scale in (1e-6, 1.0, 1e3):
        weight = parameter(16, 48)
        before = weight.detach().clone()
        weight.grad = scale * parameter(16, 48, seed=1).detach()
        Muon([weight], [], RATE).step()
        steps.append(weight.detach() - before)
    assert torch.allclose(steps[0], steps[1], atol=1e-6)
    assert torch.allclose(steps[1], steps[2], atol=1e-6)
    assert float(steps[0].square().mean().sqrt()) == pytest.approx(0.2 * RATE, rel=0.2)


def test_everything_else_moves_as_adamw_moves_it():
    ours, theirs = parameter(7), parameter(7)
    optimizer = Muon([], [ours], RATE, weight_decay=0.1)
    adam = torch.optim.AdamW([theirs], 0.3 * RATE, weight_decay=0.1)
    for seed in range(5):
        ours.grad = parameter(7, seed=seed).detach()
        theirs.grad = ours.grad.clone()
        optimizer.step()
        adam.step()
    assert torch.allclose(ours, theirs, atol=1e-7)


def test_what_has_no_gradient_stays():
    weights = [parameter(4, 4), parameter(4)]
    before = [weight.detach().clone() for weight in weights]
    Muon(weights[:1], weights[1:], RATE, weight_decay=0.1).step()
    assert all(torch.equal(weight, old) for weight, old in zip(weights, before, strict=True))


def test_tables_and_maps_to_one_number_are_no_matrices():
    network = DefiNet(DefiNetConfig(features=8, n_layers=2, n_radial=4))
    names = {id(one): name for name, one in network.named_parameters()}
    found = {names[id(one)] for one in weight_matrices(network)}
    assert "message_passing_layers.1.edge_proj.weight" in found
    assert not [
        name for name in found if "emb" in name or name.endswith(("bias", "lin_gvec.weight", "coord_mlp.2.weight"))
    ]


def test_the_optimiser_of_a_training_has_every_parameter_that_is_trained():
    config = TrainingConfig(name="toy", optimizer="muon", network=DefiNetConfig(features=8, n_layers=1, n_radial=4))
    module = DefiNetModule(config)
    held = [id(one) for group in module._optimizer().param_groups for one in group["params"]]
    assert sorted(held) == sorted(id(one) for one in module.parameters() if one.requires_grad)
