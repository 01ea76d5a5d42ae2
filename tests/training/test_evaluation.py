from __future__ import annotations

import numpy as np
import pytest
import torch

from definet_flows.definet import DefiNet, DefiNetConfig, ModelCard, Prerelaxer, load_checkpoint, save_checkpoint
from definet_flows.definet.checkpoint import Checkpoint
from definet_flows.errors import InputError
from definet_flows.training.evaluation import evaluate, evaluate_pool
from definet_flows.training.datasets.labels import centred_displacements
from definet_flows.training.datasets.sources import LabelPool
from tests.training.conftest import configurations_of, labelled, relaxed

CONFIGURATIONS = {3: configurations_of(3, "V_Mo+V_S"), 4: configurations_of(4, "W_Mo+Se_S")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    card = ModelCard(name="toy", hosts=("MoS2",), elements=("Mo", "S"), teacher="pull", max_displacement_trained=0.1)
    where = tmp_path_factory.mktemp("checkpoints") / "toy"
    save_checkpoint(where, DefiNet(DefiNetConfig(features=8, n_layers=1, n_radial=4)), card)
    return where


@pytest.fixture(scope="module")
def pool():
    return LabelPool(tuple(labelled(configurations) for configurations in CONFIGURATIONS.values()))


def component_errors(predicted):
    """Every component of every real atom's error, from the positions before they became labels."""
    errors = []
    for configuration, displacements in predicted:
        target = centred_displacements(configuration, relaxed(configuration))
        errors += (displacements - target)[configuration.occupied].ravel().tolist()
    return np.array(errors)


def test_model_and_dummy_against_plain_sums(folder, pool):
    found = evaluate_pool(load_checkpoint(folder), pool, "cpu")
    predictions = [
        (p.configuration, p.positions - p.configuration.host.positions)
        for labels in pool.sets
        for p in Prerelaxer(folder, device="cpu", guard=None).predict(labels.configurations)
    ]
    assert found["model"]["MAE_angstrom"] == pytest.approx(abs(component_errors(predictions)).mean(), rel=1e-4)
    still = [(c, np.zeros((c.host.n_sites, 3))) for c in pool.configurations]
    assert found["dummy"]["MAE_angstrom"] == pytest.approx(abs(component_errors(still)).mean(), rel=1e-4)
    assert found["dummy"]["A3_angstrom"] > found["dummy"]["A6_angstrom"] > found["dummy"]["MAE_angstrom"]
    assert found["model"].keys() == found["dummy"].keys()
    assert found["model"]["n_configurations"] == len(pool.configurations)


def test_from_files(folder, pool, tmp_path):
    file = pool.sets[0].save(tmp_path / "labels.safetensors")
    found = evaluate(folder, file, device="cpu")
    assert found == evaluate_pool(load_checkpoint(folder), LabelPool(pool.sets[:1]), "cpu")
    assert found["dummy"]["n_configurations"] == len(CONFIGURATIONS[3])


def test_a_prediction_that_is_not_finite_counts_as_no_displacement(folder, pool):
    broken = load_checkpoint(folder)
    with torch.no_grad():
        for parameter in broken.model.parameters():
            parameter.fill_(float("nan"))
    checkpoint = Checkpoint(broken.model, broken.config, broken.card, broken.content_hash)
    found = evaluate_pool(checkpoint, pool, "cpu")
    assert found["model"] == found["dummy"]


def test_what_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(InputError, match="There is no label set"):
        evaluate(folder, tmp_path / "labels.safetensors")
    with pytest.raises(InputError, match="nowhere"):
        evaluate(tmp_path / "nowhere", labelled(CONFIGURATIONS[3]).save(tmp_path / "labels.safetensors"))
