from __future__ import annotations

import csv
import importlib.util
import json
import signal
import subprocess
import time
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from definet_flows.cli import training as command_line
from definet_flows.defects import Host, enumerate_configurations
from definet_flows.definet import load_checkpoint
from definet_flows.flows import load_campaign
from definet_flows.flows.plan import campaign_record
from definet_flows.records.store import open_store
from definet_flows.training import config, fitting
from definet_flows.training.datasets.labels import LabelSet

SETTINGS = """
name: toy
network: {features: 8, n_layers: 1, n_radial: 4}
split: {validation: 0.2, test: 0.2}
batch_size: 4
max_epochs: 2
device: cpu
threads: 1
"""
TRAIN = SETTINGS + "labels: [labels.safetensors]\n"


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
    (where / "unlabelled.yaml").write_text(SETTINGS, encoding="utf-8")
    return where


@pytest.fixture
def given(monkeypatch, tmp_path):
    """What the command hands to training, which does nothing."""
    calls = []

    def stop(settings, output, resume, on_epoch):
        calls.append((settings, output, resume, on_epoch))
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "train_config", stop)
    return calls


def test_train_evaluate_and_show_the_outcome(shell, folder, tmp_path):
    trained = shell("train", folder / "train.yaml", "-o", tmp_path / "toy")
    assert trained.returncode == 0, trained.stderr
    assert trained.stderr == "", "no progress bar without a terminal, no announcements"
    assert trained.stdout.rstrip().endswith(f"Checkpoint: {tmp_path / 'toy'}")
    logs = tmp_path / "toy" / "training"
    assert {file.name for file in logs.iterdir()} == {
        *("best.ckpt", "last.ckpt", "metrics.csv", "learning_curve.png", "split.json", "tensorboard"),
    }
    assert any((logs / "tensorboard").glob("events.out.tfevents.*"))
    with Image.open(logs / "learning_curve.png") as image:
        assert image.size[0] >= 2000
    metrics = json.loads(shell("evaluate", tmp_path / "toy", folder / "labels.safetensors", "--json").stdout)
    assert metrics["dummy"]["MAE_angstrom"] == pytest.approx(0.008, rel=0.1), "mean of |N(0, 0.01)|"
    assert metrics["model"]["n_configurations"] == 10
    again = shell("train", folder / "train.yaml", "-o", tmp_path / "toy")
    assert again.returncode == 2
    assert "--resume" in again.stderr


def test_options_win_over_the_file(invoke, folder, given, tmp_path):
    options = ("--device", "auto", "--devices", 2, "--precision", "bf16-mixed", "--threads", 3, "--max-epochs", 7)
    invoke("train", folder / "train.yaml", "-o", tmp_path / "toy", *options, "--skip-bad", "--resume")
    settings, output, resume, on_epoch = given[0]
    assert (settings.device, settings.devices, settings.precision) == ("auto", 2, "bf16-mixed")
    assert (settings.threads, settings.max_epochs, settings.skip_bad) == (3, 7, True)
    assert (output, resume, on_epoch) == (tmp_path / "toy", True, command_line.draw_learning_curve)
    invoke("train", folder / "train.yaml", "-o", tmp_path / "toy")
    assert given[1][0] == config.load_training_config(folder / "train.yaml")


def test_a_campaign_is_one_more_source_of_labels(invoke, folder, given, tmp_path):
    invoke("train", folder / "train.yaml", "-o", tmp_path / "toy", "--from-store", "a", "--from-store", "b")
    assert given[0][0].labels == (str(folder / "labels.safetensors"), "a", "b")
    invoke("train", folder / "unlabelled.yaml", "-o", tmp_path / "toy", "--from-store", "a")
    assert given[1][0].labels == ("a",)


def test_without_any_labels(invoke, folder, tmp_path):
    reply = invoke("train", folder / "unlabelled.yaml", "-o", tmp_path / "toy")
    assert reply.exit_code == 2
    assert "--from-store DIR" in reply.stderr


def test_precisions_are_those_of_the_training_file():
    assert {one.value for one in command_line.Precision} == set(get_args(config.Precision))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--device", "cuda"), "torch sees no CUDA device"),
        (("--device", "cuda", "--devices", 4), "torch sees no CUDA device"),
        (("--precision", "16-mixed"), "needs a GPU"),
        (("--precision", "8"), "16-mixed"),
        (("--devices", 0), "--devices"),
    ],
)
def test_hardware_that_is_not_there(invoke, folder, monkeypatch, tmp_path, options, told):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    reply = invoke("train", folder / "train.yaml", "-o", tmp_path / "toy", *options)
    assert reply.exit_code == 2
    assert told in reply.stderr
    assert not (tmp_path / "toy").exists()


def test_more_gpus_than_there_are(invoke, folder, monkeypatch, tmp_path):
    for name, answer in {"is_available": True, "device_count": 1, "current_device": 0}.items():
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    reply = invoke("train", folder / "train.yaml", "-o", tmp_path / "toy", "--device", "cuda", "--devices", 4)
    assert reply.exit_code == 2
    assert "4 GPUs were asked for, but torch sees 1" in reply.stderr


def test_without_matplotlib_there_is_no_curve_and_one_line(invoke, folder, given, monkeypatch, tmp_path):
    monkeypatch.setattr(command_line, "find_spec", lambda _: None)
    reply = invoke("train", folder / "train.yaml", "-o", tmp_path / "toy")
    assert given[0][3] is None
    assert reply.stderr.count("matplotlib") == 1
    assert importlib.util.find_spec("matplotlib"), "it is there for everyone else"


def test_an_interrupted_training_says_how_to_go_on_and_can_be_watched(command, folder, tmp_path):
    out, log = tmp_path / "toy", tmp_path / "toy" / "training" / "metrics.csv"
    endless = folder / "endless.yaml"
    endless.write_text(TRAIN + "early_stop_patience: 1000000\n", encoding="utf-8")
    line = command("train", endless, "-o", out, "--max-epochs", 1000000)
    with subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (log.is_file() and log.read_text(encoding="utf-8").count("\n") > 3):
            time.sleep(0.05)
        assert (log.parent / "learning_curve.png").is_file(), "drawn while it runs"
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "interrupted (SIGTERM): the last finished epoch is kept" in told
    assert "--resume" in told
    assert "Traceback" not in told
    with log.open(encoding="utf-8") as lines:
        assert [int(row["epoch"]) for row in csv.DictReader(lines)][:3] == [0, 1, 2]


def test_a_campaigns_own_records_train_and_then_count_in_no_reported_saving(invoke, copper, tmp_path):
    campaign = load_campaign(copper.write_campaign(tmp_path))
    host = copper.host()
    recipes = ("V_Cu", "Al_Cu+Al_Cu", "V_Cu+V_Cu", "V_Cu+Al_Cu", "V_Cu+V_Cu+Al_Cu")
    configurations = [one for recipe in recipes for one in enumerate_configurations(host, recipe)]
    rng = np.random.default_rng(0)
    with open_store(tmp_path / "run") as store:
        store.put_campaign(campaign_record(campaign, host, copper.MODEL, configurations))
        shifts = [rng.normal(scale=0.02, size=int(one.occupied.sum())) for one in configurations]
        baselines = [copper.record(one, shift=shift) for one, shift in zip(configurations, shifts, strict=True)]
        store.add_relaxations(baselines)
    settings = SETTINGS.replace("network: {features: 8, n_layers: 1, n_radial: 4}", "start_from: tiny")
    (tmp_path / "train.yaml").write_text(settings, encoding="utf-8")
    reply = invoke("train", tmp_path / "train.yaml", "--from-store", tmp_path / "run", "-o", tmp_path / "retrained")
    assert reply.exit_code == 0, reply.output
    card = load_checkpoint(tmp_path / "retrained").card
    assert card.hosts == ("Cu",)
    assert "weights started from tiny" in card.label_source

    predictions = [copper.prediction(one, exposure=card.exposure(one)) for one in configurations]
    with open_store(tmp_path / "run") as store:
        store.add_predictions(predictions)
        store.add_relaxations(
            [copper.record(one, p, steps=2) for one, p in zip(configurations, predictions, strict=True)]
        )
    seen = sum(prediction.exposure == "same_size" for prediction in predictions)
    assert 0 < seen == len(card.configuration_ids) < len(configurations), "the test share is new"
    content = json.loads(invoke("report", tmp_path / "run", "--json").stdout)
    counts = {row["clusters"]: (row["pairs"], row["excluded"]) for row in content["rows"]}
    assert counts["seen at the same size"] == (seen, 0)
    assert counts["all"] == (len(configurations) - seen, seen)
    told = invoke("report", tmp_path / "run").stdout
    assert f"Pairs not in the last row, because the checkpoint was trained on them: {seen}" in told
