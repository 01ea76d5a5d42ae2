"""Where training runs: devices, several processes, precisions, several hosts."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch

from definet_flows.definet import load_checkpoint, save_checkpoint
from definet_flows.errors import InputError
from definet_flows.training import evaluate
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.datasets.sources import load_labels
from definet_flows.training.datasets.split import SplitSettings, split_labels
from definet_flows.training.failures import LossNotFinite, TrainingError, of_another_process
from definet_flows.training.fitting import fit_checkpoint, train_config
from definet_flows.training.provenance import model_card
from definet_flows.training.running import _moved_average, check_hardware
from definet_flows.training.state import FOLDER
from tests.training.conftest import configurations_of, labelled

pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")

SULPHIDE = configurations_of(3, "V_S", "V_Mo", "V_Mo+V_S", "W_Mo+V_S+Se_S")[:16]
NETWORK = {"features": 8, "n_layers": 1, "n_radial": 4}


def settings(**changes):
    defaults = {
        "name": "toy",
        "network": NETWORK,
        "split": SplitSettings(validation=0.2, test=0.2),
        "batch_size": 4,
        "learning_rate": 0.01,
        "ema_decay": 0.5,
        "max_epochs": 2,
        "device": "cpu",
        "threads": 1,
    }
    return TrainingConfig(**(defaults | changes))


@pytest.fixture
def files(tmp_path):
    """Label sets of two hosts: other elements, lattices, numbers of sites and neighbours."""
    nitride = configurations_of(4, "V_B", "V_N", "V_B+V_N", "C_B+V_N", host="hBN")[:12]
    sets = {"mos2": labelled(SULPHIDE), "hbn": labelled(nitride)}
    return {name: str(labels.save(tmp_path / f"{name}.safetensors")) for name, labels in sets.items()}


def logged(folder):
    with (folder / FOLDER / "metrics.csv").open(encoding="utf-8") as lines:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]


def test_several_hosts_in_one_training(files, tmp_path):
    config = settings(labels=tuple(files.values()), max_epochs=15, accumulate=2, batch_size=3)
    folder = train_config(config, tmp_path / "both")
    card = load_checkpoint(folder).card
    assert card.hosts == ("MoS2", "hBN")
    assert card.crystals == ("BN-187", "MoS2-187")
    by_host = {one.host: one for one in card.coverage}
    assert by_host["MoS2"].supercells == ("3x3x1",)
    assert by_host["hBN"].supercells == ("4x4x1",)
    assert set(by_host["hBN"].elements) == {"B", "C", "N"}
    assert {"Mo", "S"} < set(by_host["MoS2"].elements)
    assert set(card.elements) == set(by_host["MoS2"].elements) | {"B", "C", "N"}
    assert "16 of MoS2 3x3x1" in card.label_source
    assert "12 of hBN 4x4x1" in card.label_source
    assert "## Trained on" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    for file in files.values():
        figures = evaluate(folder, file, device="cpu").summary()
        assert figures["model"]["error_length_angstrom"] < 0.9 * figures["dummy"]["error_length_angstrom"], file


def test_the_validation_loss_is_the_mean_over_labels_of_all_hosts(files, tmp_path):
    """Batches of two and more hosts weigh by their labels, not by their number."""
    losses = []
    for batch_size in (2, 100):
        config = settings(labels=tuple(files.values()), max_epochs=1, batch_size=batch_size, learning_rate=1e-30)
        losses.append(logged(train_config(config, tmp_path / str(batch_size)))[0]["validation_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=0.02), (
        "labels of one host differ in their number of atoms by one or two"
    )


def test_an_epoch_may_be_a_number_of_steps(files, tmp_path):
    config = settings(labels=(files["mos2"],), steps_per_epoch=5, accumulate=3, max_epochs=3)
    assert [row["step"] for row in logged(train_config(config, tmp_path / "run"))] == [5, 10, 15]


@pytest.mark.parametrize(("precision", "dtype"), [("bf16-mixed", torch.float32), ("64", torch.float64)])
def test_precisions(files, tmp_path, precision, dtype):
    config = settings(labels=(files["mos2"],), precision=precision, max_epochs=25)
    folder = train_config(config, tmp_path / "run")
    assert load_checkpoint(folder).model.lin_comb.weight.dtype == dtype
    figures = evaluate(folder, files["mos2"], device="cpu").summary()
    assert figures["model"]["error_length_angstrom"] < 0.9 * figures["dummy"]["error_length_angstrom"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"precision": "16-mixed"}, "16-mixed needs a GPU; use bf16-mixed or 32"),
        ({"device": "abacus"}, "'abacus' is not a device"),
        ({"device": "cuda"}, "torch sees no CUDA device"),
    ],
)
def test_hardware_that_is_not_there_is_told_before_labels_are_read(tmp_path, monkeypatch, changes, told):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=told):
        train_config(settings(labels=("none.safetensors",), **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_more_gpus_than_there_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert check_hardware(settings(device="cuda", devices=2)).index == 0
    with pytest.raises(InputError, match="4 GPUs were asked for, but torch sees 2; lower devices"):
        check_hardware(settings(device="cuda", devices=4))
    with pytest.raises(InputError, match="device cuda:1 is one GPU"):
        check_hardware(settings(device="cuda:1", devices=2))
    with pytest.raises(InputError, match="no bf16 arithmetic"):
        check_hardware(settings(device="cuda", precision="bf16-mixed"))


def test_nothing_to_train_on(tmp_path):
    with pytest.raises(InputError, match=r"no labels to train on; .*--from-store DIR"):
        train_config(settings(), tmp_path / "run")
    pool = LabelPool((labelled(SULPHIDE),))
    split = split_labels(pool, SplitSettings(validation=0.2))
    empty = type(split).of(pool, {"training": split.training})
    with pytest.raises(InputError, match="and 0 to validate with, on 1 devices"):
        fit_checkpoint(settings(), pool, empty, tmp_path / "run")


def test_a_split_is_saved_and_used_again(files, tmp_path):
    first = train_config(settings(labels=(files["mos2"],), split={"seed": 3, "validation": 0.2}), tmp_path / "first")
    saved = first / FOLDER / "split.json"
    second = train_config(settings(labels=(files["mos2"],), split={"file": str(saved)}), tmp_path / "second")
    assert load_checkpoint(second).content_hash == load_checkpoint(first).content_hash
    assert (second / FOLDER / "split.json").read_bytes() == saved.read_bytes()


class TestStartingFromACheckpoint:
    @pytest.fixture
    def before(self, files, tmp_path):
        return train_config(settings(labels=(files["mos2"],), name="before"), tmp_path / "before")

    def test_what_it_has_seen_stays_seen_and_it_is_for_what_it_was_trained_on_last(self, before, files, tmp_path):
        folder = train_config(
            TrainingConfig(**settings(labels=(files["hbn"],), start_from=str(before)).model_dump(exclude={"network"})),
            tmp_path / "after",
        )
        after, first = load_checkpoint(folder), load_checkpoint(before)
        assert after.config == first.config
        assert after.card.hosts == ("hBN",)
        assert after.card.crystals == ("BN-187",)
        assert after.card.configuration_ids > first.card.configuration_ids
        assert after.card.cluster_ids > first.card.cluster_ids
        assert after.card.elements == ("B", "C", "N")
        assert after.card.max_displacement_trained >= first.card.max_displacement_trained
        assert f"started from before ({first.content_hash})" in after.card.label_source

    def test_elements_that_it_met_in_the_same_host_stay_known(self, before, files):
        known = load_checkpoint(before)
        (met,) = known.card.coverage
        earlier = met.model_copy(update={"elements": ("Mo", "Nb", "S")})
        started = replace(known, card=known.card.model_copy(update={"coverage": (earlier,)}))
        elsewhere = replace(known, card=known.card.model_copy(update={"coverage": (), "elements": ("Pt",)}))
        config = settings(labels=(files["mos2"],))
        pool = load_labels(config)
        shares = pool, split_labels(pool, config.split), {}
        assert {"Mo", "Nb", "S"} <= set(model_card(config, *shares, started).elements)
        assert "Pt" in model_card(config, *shares, elsewhere).elements

    def test_after_weights_of_unknown_origin_no_host_is_called_new(self, before, files):
        known = load_checkpoint(before)
        imported = replace(known, card=known.card.model_copy(update={"crystals": ()}))
        config = settings(labels=(files["mos2"],))
        pool = load_labels(config)
        shares = pool, split_labels(pool, config.split), {}
        assert model_card(config, *shares, known).crystals == ("MoS2-187",)
        assert model_card(config, *shares, imported).crystals == ()

    def test_it_starts_there(self, before, files, tmp_path):
        still = settings(labels=(files["mos2"],), start_from=str(before), learning_rate=1e-30, max_epochs=1, seed=5)
        weights = load_checkpoint(train_config(still, tmp_path / "still")).model.state_dict()
        for name, weight in load_checkpoint(before).model.state_dict().items():
            torch.testing.assert_close(weights[name], weight)

    def test_labels_it_has_seen_are_no_test(self, before, files, tmp_path):
        """The same labels divided otherwise: only those that neither run has trained on are measured."""
        config = settings(
            labels=(files["mos2"],), start_from=str(before), split={"seed": 9, "validation": 0.2, "test": 0.3}
        )
        card = load_checkpoint(train_config(config, tmp_path / "after")).card
        pool = LabelPool((labelled(SULPHIDE),))
        test = [pool.configurations[i] for i in split_labels(pool, config.split).test]
        unseen = [c for c in test if load_checkpoint(before).card.exposure(c) in {"new", "undefined"}]
        assert 0 < len(unseen) < len(test)
        assert card.metrics["model_n_configurations"] == len(unseen)

    def test_another_network_is_refused(self, before, files, tmp_path):
        config = settings(labels=(files["mos2"],), start_from=str(before), network=NETWORK | {"features": 16})
        with pytest.raises(InputError, match=r"is another one \(features\); leave out network"):
            train_config(config, tmp_path / "after")

    def test_another_start_is_not_resumed(self, before, files, tmp_path):
        checkpoint = load_checkpoint(before)
        folder = train_config(settings(labels=(files["mos2"],), start_from=str(before)), tmp_path / "after")
        with torch.no_grad():
            checkpoint.model.lin_comb.weight.add_(1)
        save_checkpoint(tmp_path / "other", checkpoint.model, checkpoint.card)
        other = settings(labels=(files["mos2"],), start_from=str(tmp_path / "other"), max_epochs=3)
        with pytest.raises(InputError, match="another start_from"):
            train_config(other, folder, resume=True)


def test_what_another_process_raised_is_one_sentence():
    from torch.multiprocessing.spawn import ProcessRaisedException

    def told(line):
        return of_another_process(
            ProcessRaisedException(f"\n\n-- Process 1 terminated\nTraceback\n  x\n{line}\n", 1, 7)
        )

    found = told("definet_flows.training.failures.LossNotFinite: The loss became nan in epoch 3")
    assert isinstance(found, LossNotFinite)
    assert str(found) == "The loss became nan in epoch 3"
    found = told("OSError: [Errno 28] No space left on device")
    assert isinstance(found, TrainingError)
    assert "No space left on device" in str(found)
    assert "--resume" in str(found)


@pytest.mark.slow
def test_two_processes_share_every_step(files, tmp_path):
    """As gradients are averaged, two processes with one batch each are one process that accumulates two."""
    alone = settings(labels=tuple(files.values()), accumulate=2, batch_size=3, steps_per_epoch=4)
    one = train_config(alone, tmp_path / "one")
    two = train_config(alone.model_copy(update={"accumulate": 1, "devices": 2}), tmp_path / "two")
    for mine, theirs in zip(logged(two), logged(one), strict=True):
        losses = mine.pop("validation_loss"), theirs.pop("validation_loss")
        assert losses[0] == pytest.approx(losses[1], rel=1e-3), "other batches, in which atoms weigh the same"
        assert mine == pytest.approx(theirs, rel=1e-5)
    weights = load_checkpoint(two).model.state_dict()
    for name, weight in load_checkpoint(one).model.state_dict().items():
        torch.testing.assert_close(weights[name], weight, atol=1e-5, rtol=1e-4)


def test_the_moving_average_forgets_the_untrained_weights_in_a_short_training():
    average = torch.zeros(1)
    for step in range(1, 101):
        average = _moved_average(0.999, average, torch.ones(1), step)
    assert float(average) > 0.99
    assert float(_moved_average(0.9, torch.zeros(1), torch.ones(1), torch.tensor(10**6))) == pytest.approx(0.1)
