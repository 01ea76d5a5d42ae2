from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from definet_flows.defects import Host, enumerate_configurations
from definet_flows.training.datasets.labels import LabelSet

TRAIN = """
name: toy
labels: [labels.safetensors]
network: {features: 8, n_layers: 1, n_radial: 4}
split: {validation: 0.2, test: 0.2}
batch_size: 4
max_epochs: 2
device: cpu
threads: 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Labels that need no engine: every site moves by a hundredth of an ångström in a random direction."""
    where = tmp_path_factory.mktemp("training")
    host = Host.from_preset("MoS2", (4, 4, 1), vacuum=15)
    configurations = list(enumerate_configurations(host, "V_Mo+V_S+V_S"))[:10]
    rng = np.random.default_rng(0)
    relaxed = [(c, host.positions + rng.normal(scale=0.01, size=host.positions.shape)) for c in configurations]
    LabelSet.of(relaxed, {"name": "noise"}).save(where / "labels.safetensors")
    (where / "train.yaml").write_text(TRAIN, encoding="utf-8")
    return where


def test_train_evaluate_and_show_the_outcome(shell, folder, tmp_path):
    trained = shell("train", folder / "train.yaml", "-o", tmp_path / "toy")
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout.rstrip().endswith(f"Checkpoint: {tmp_path / 'toy'}")
    metrics = json.loads(shell("evaluate", tmp_path / "toy", folder / "labels.safetensors", "--json").stdout)
    assert metrics["dummy"]["MAE_angstrom"] == pytest.approx(0.008, rel=0.1), "mean of |N(0, 0.01)|"
    assert metrics["model"]["n_configurations"] == 10
    again = shell("train", folder / "train.yaml", "-o", tmp_path / "toy")
    assert again.returncode == 2
    assert "--resume" in again.stderr


def test_a_model_card_is_shown_for_people_and_programs(invoke, tiny_checkpoint):
    shown = invoke("models", "show", tiny_checkpoint)
    assert shown.stdout.startswith("# tiny")
    content = json.loads(invoke("models", "show", tiny_checkpoint, "--json").stdout)
    assert content["card"]["elements"] == ["Mo", "S", "Se", "W"]
    assert content["network"]["features"] == 8
    assert len(content["content_hash"]) == 16


def test_one_damaged_checkpoint_does_not_hide_the_others(shell, monkeypatch, tiny_checkpoint, tmp_path):
    shutil.copytree(tiny_checkpoint, tmp_path / "good")
    shutil.copytree(tiny_checkpoint, tmp_path / "bad")
    (tmp_path / "bad" / "model.safetensors").write_bytes(b"")
    monkeypatch.setenv("DEFINET_FLOWS_MODELS_DIR", str(tmp_path))
    rows = {row["name"]: row for row in json.loads(shell("models", "list", "--json").stdout)}
    assert rows["good"]["hosts"] == "MoS2"
    assert rows["bad"]["teacher"].startswith("unusable")


def test_labels_that_are_not_there(invoke, tiny_checkpoint, tmp_path):
    reply = invoke("evaluate", tiny_checkpoint, tmp_path / "none.safetensors")
    assert reply.exit_code == 2
    assert "none.safetensors" in reply.stderr


def test_weights_of_the_authors_code_are_imported(shell, tmp_path):
    import torch

    from definet_flows.definet import DefiNet, DefiNetConfig

    torch.save(DefiNet(DefiNetConfig(features=8, n_layers=2)).state_dict(), tmp_path / "model.pt")
    done = shell(
        "models", "import", tmp_path / "model.pt", "-o", tmp_path / "theirs", "--element", "Mo", "--element", "S"
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(shell("models", "show", tmp_path / "theirs", "--json").stdout)
    assert shown["network"]["radial_cutoff"] == 30.0
    assert shown["card"]["elements"] == ["Mo", "S"]
    refused = shell("models", "import", folder_without_weights(tmp_path), "-o", tmp_path / "no")
    assert refused.returncode == 2
    assert "read safely" in refused.stderr


def folder_without_weights(tmp_path):
    (tmp_path / "notes.pt").write_text("not weights")
    return tmp_path / "notes.pt"
