from __future__ import annotations

import csv
import errno
import os
import shutil
import signal

import numpy as np
import pytest
import torch
import yaml

from definet_flows.definet import load_checkpoint
from definet_flows.errors import InputError
from definet_flows.training import evaluate, train
from definet_flows.training.config import load_training_config
from definet_flows.training.datasets.sources import load_labels
from definet_flows.training.datasets.split import split_labels
from definet_flows.training.evaluation import evaluate_pool
from definet_flows.training.failures import LossNotFinite, TrainingError, TrainingInterruptedError
from definet_flows.training.fitting import train_config
from definet_flows.training.module import DefiNetModule
from tests.training.conftest import configurations_of, labelled

# What Lightning says of its own use of torch.
pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")

CONFIGURATIONS = configurations_of(3, "V_S", "V_Mo", "V_Mo+V_S", "W_Mo+V_S+Se_S")[:16]
SETTINGS = """
name: toy
labels: {labels}
network: {{features: 8, n_layers: 1, n_radial: 4}}
split: {{validation: 0.2, test: {test}}}
seed: {seed}
batch_size: 4
learning_rate: {learning_rate}
ema_decay: 0.5
max_epochs: {epochs}
early_stop_patience: {patience}
device: cpu
threads: 1
{more}
"""


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    """Training files beside one label set."""
    folder = tmp_path_factory.mktemp("labels")
    labelled(CONFIGURATIONS).save(folder / "labels.safetensors")

    def write(name="train.yaml", **options):
        defaults = {"seed": 0, "epochs": 2, "learning_rate": 0.01, "patience": 10, "test": 0.2, "more": ""}
        defaults["labels"] = "[labels.safetensors]"
        (folder / name).write_text(SETTINGS.format(**(defaults | options)), encoding="utf-8")
        return folder / name

    return write


@pytest.fixture(scope="module")
def trained(write, tmp_path_factory):
    """A finished run of two epochs."""
    return train(write(), tmp_path_factory.mktemp("runs") / "toy")


@pytest.fixture
def own(write, tmp_path):
    """The same run once more, to go on with."""
    return train(write(), tmp_path / "own")


def metrics(folder):
    with (folder / "training" / "metrics.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def epochs(folder):
    return [int(row["epoch"]) for row in metrics(folder)]


def last(folder):
    return torch.load(folder / "training" / "last.ckpt", weights_only=True)


def pool_and_split(file):
    config = load_training_config(file)
    pool = load_labels(config)
    return pool, split_labels(pool, config.split)


def test_a_run_leaves_a_whole_checkpoint_with_its_provenance(trained, write):
    checkpoint = load_checkpoint(trained)
    pool, split = pool_and_split(write())
    card = checkpoint.card
    known = [pool.configurations[i] for i in (*split.training, *split.validation)]
    assert (card.name, card.hosts, card.teacher) == ("toy", ("MoS2",), "pull")
    assert set(card.elements) == {s for c in known for s in c.species}
    assert card.cluster_ids == {reading for c in known for reading in c.possible_cluster_ids}
    assert card.configuration_ids == {c.placement_id for c in known}
    assert card.training_sizes == ("3x3x1",)
    assert card.training_hash == f"{pool.content_hash}-{split.hash}"
    lengths = np.linalg.norm(pool.subset([*split.training, *split.validation]).sets[0].displacements, axis=-1)
    assert card.max_displacement_trained == pytest.approx(lengths.max())
    assert list(card.displacement_quantiles.values()) == sorted(card.displacement_quantiles.values())
    assert (checkpoint.config.features, checkpoint.config.n_radial) == (8, 4)
    assert epochs(trained) == [0, 1]


def test_the_card_knows_what_training_has_not_seen(trained, write):
    card = load_checkpoint(trained).card
    pool, split = pool_and_split(write())
    for share, seen in ((split.training, True), (split.validation, True), (split.test, False)):
        for position in share:
            configuration = pool.configurations[position]
            assert (card.exposure(configuration) == "same_size") == seen


def test_the_cards_metrics_are_those_of_the_test_share(trained, write):
    pool, split = pool_and_split(write())
    found = evaluate_pool(load_checkpoint(trained), pool.subset(split.test))
    expected = {f"{who}_{name}": value for who, figures in found.items() for name, value in figures.items()}
    assert load_checkpoint(trained).card.metrics == pytest.approx(expected)
    assert expected["model_n_configurations"] == len(split.test)


def test_the_best_epochs_averaged_weights_are_shipped(trained):
    stored = torch.load(trained / "training" / "best.ckpt", weights_only=True)
    shipped = load_checkpoint(trained).model.state_dict()
    for name, weight in shipped.items():
        assert torch.equal(weight, stored["state_dict"][f"model.{name}"])
    assert any(
        not torch.equal(stored["state_dict"][name], weight) for name, weight in stored["current_model_state"].items()
    )


def test_training_learns(write, tmp_path):
    folder = train(write("long.yaml", epochs=40), tmp_path / "long")
    figures = evaluate(folder, write().parent / "labels.safetensors", device="cpu").summary()
    assert figures["model"]["error_length_angstrom"] < 0.8 * figures["dummy"]["error_length_angstrom"]
    losses = [float(row["train_loss"]) for row in metrics(folder) if row["train_loss"]]
    assert losses[-1] < 0.8 * losses[0]


def test_a_run_is_repeatable_and_the_seed_matters(trained, write, tmp_path):
    again = train(write(), tmp_path / "again")
    other = train(write("seed.yaml", seed=1), tmp_path / "other")
    identity = load_checkpoint(trained).content_hash
    assert load_checkpoint(again).content_hash == identity
    assert load_checkpoint(other).content_hash != identity


class PowerFailureError(Exception):
    pass


def dying_in_epoch(number, how):
    """Stand-in for the hook before an epoch, for a run that ends there."""

    def hook(module):
        if module.current_epoch == number:
            how()

    return hook


def cut_power():
    raise PowerFailureError


# Under `restless` nothing gets better, so that the learning rate falls after every epoch: a forgotten one would show.
@pytest.mark.parametrize(
    "more",
    [
        pytest.param("{plateau_patience: 0, plateau_factor: 0.5, learning_rate: 0.0000001}", id="restless"),
        pytest.param("{schedule: cosine}", id="cosine"),
        pytest.param("{optimizer: muon, schedule: cosine}", id="muon"),
        pytest.param("{steps_per_epoch: 2, accumulate: 2}", id="short epochs"),
    ],
)
def test_an_interrupted_run_ends_as_the_uninterrupted_one_bit_for_bit(write, tmp_path, monkeypatch, more):
    config = load_training_config(write()).model_copy(update=yaml.safe_load(more) | {"max_epochs": 5})
    whole = train_config(config, tmp_path / "whole")
    parts = tmp_path / "parts"
    for stop in (2, 4):
        with monkeypatch.context() as patch:
            patch.setattr(DefiNetModule, "on_train_epoch_start", dying_in_epoch(stop, cut_power))
            with pytest.raises(PowerFailureError):
                train_config(config, parts, resume=stop == 4)
        assert last(parts)["epoch"] == stop - 1
        assert not (parts / "config.json").exists(), "an interrupted run is not a checkpoint"
    with pytest.raises(InputError, match="holds a training run already; go on with --resume"):
        train_config(config, parts)
    assert train_config(config, parts, resume=True) == parts
    assert metrics(parts) == metrics(whole)
    assert epochs(parts) == [0, 1, 2, 3, 4]
    assert load_checkpoint(parts).content_hash == load_checkpoint(whole).content_hash
    for name in ("state_dict", "current_model_state"):
        assert all(torch.equal(weight, last(whole)[name][key]) for key, weight in last(parts)[name].items())


def test_a_row_without_its_state_is_dropped_at_resumption(own, write):
    """The run was killed between logging an epoch and saving its state."""
    log = own / "training" / "metrics.csv"
    log.write_text(log.read_text(encoding="utf-8") + "2,99,9.0,9.0,0.01\n", encoding="utf-8")
    train(write("more.yaml", epochs=3), own, resume=True)
    assert epochs(own) == [0, 1, 2]
    assert float(metrics(own)[2]["train_loss"]) < 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"learning_rate": 0.02}, "another learning_rate; restore the training file's learning_rate"),
        ({"split": {"seed": 5, "validation": 0.2, "test": 0.2}}, "another split"),
        ({"max_labels": 12}, "another labels, split"),
        ({"seed": 3, "batch_size": 5}, "another seed, batch_size"),
    ],
)
def test_another_run_is_not_continued(own, write, changes, told):
    before = (own / "training" / "last.ckpt").read_bytes()
    file = write()
    content = yaml.safe_load(file.read_text(encoding="utf-8")) | changes
    (file.parent / "changed.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(InputError, match=told):
        train(file.parent / "changed.yaml", own, resume=True)
    assert (own / "training" / "last.ckpt").read_bytes() == before


def test_a_finished_run_can_be_continued_to_more_epochs(own, write, tmp_path):
    """It ends as if it had been asked for them at once, and later and worse epochs do not replace a better one."""
    whole = train(write("more.yaml", epochs=6), tmp_path / "whole")
    for n_epochs in (3, 6):
        train(write("more.yaml", epochs=n_epochs), own, resume=True)
    assert metrics(own) == metrics(whole)
    assert load_checkpoint(own).content_hash == load_checkpoint(whole).content_hash
    losses = [float(row["validation_loss"]) for row in metrics(own)]
    best = torch.load(own / "training" / "best.ckpt", weights_only=True)
    assert best["epoch"] == np.argmin(losses)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 1), (signal.SIGINT, 130)])
def test_an_interruption_keeps_the_state_and_says_how_to_go_on(write, tmp_path, monkeypatch, signum, code):
    file, folder = write("four.yaml", epochs=4), tmp_path / "run"
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    with monkeypatch.context() as patch:
        patch.setattr(DefiNetModule, "on_train_epoch_start", dying_in_epoch(2, lambda: os.kill(os.getpid(), signum)))
        with pytest.raises(
            TrainingInterruptedError, match=f"{signum.name}.*last finished epoch is kept .*--resume"
        ) as end:
            train(file, folder)
    assert end.value.exit_code == code
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == handlers
    train(file, folder, resume=True)
    assert epochs(folder) == [0, 1, 2, 3]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_during_a_destructor_is_not_lost(write, tmp_path, monkeypatch):
    """Python drops what is raised there, the stop with it."""

    class Told:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(DefiNetModule, "on_train_epoch_start", dying_in_epoch(1, Told))
    with pytest.raises(TrainingInterruptedError, match="last finished epoch is kept"):
        train(write("four.yaml", epochs=4), tmp_path / "run")


def test_an_interruption_before_the_first_epoch_leaves_nothing_to_resume(write, tmp_path, monkeypatch):
    stop = dying_in_epoch(0, lambda: os.kill(os.getpid(), signal.SIGTERM))
    monkeypatch.setattr(DefiNetModule, "on_train_epoch_start", stop)
    for _ in range(2):
        with pytest.raises(TrainingInterruptedError, match="no epoch was finished, start it again"):
            train(write(), tmp_path / "run")


def test_a_full_disk_is_told_in_one_sentence(write, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(DefiNetModule, "on_save_checkpoint", fail)
        with pytest.raises(TrainingError, match=r"cannot be written to .*run/training \(No space left.*--resume"):
            train(write(), tmp_path / "run")
    train(write(), tmp_path / "run")


def test_a_loss_that_is_no_number_ends_training_and_keeps_the_best_epoch(write, tmp_path, monkeypatch):
    def loss(module, batch):
        return honest(module, batch) * (float("nan") if module.current_epoch == 2 else 1)

    honest = DefiNetModule._loss
    with monkeypatch.context() as patch:
        patch.setattr(DefiNetModule, "_loss", loss)
        with pytest.raises(
            LossNotFinite, match=r"became nan in epoch 3; .* kept as the checkpoint .*Lower learning_rate"
        ):
            train(write("nan.yaml", epochs=9), tmp_path / "run")
    assert last(tmp_path / "run")["epoch"] == 1
    before = load_checkpoint(tmp_path / "run")
    assert "The loss became nan in epoch 3." in before.card.limits
    assert before.content_hash == load_checkpoint(train(write(), tmp_path / "two")).content_hash


def test_resuming_a_finished_run_changes_nothing(own, trained, write):
    train(write(), own, resume=True)
    assert load_checkpoint(own).content_hash == load_checkpoint(trained).content_hash
    assert metrics(own) == metrics(trained)


def test_a_finished_run_takes_other_remarks_into_its_card(own, trained, write):
    train(write("remarks.yaml", more="remarks: [Measured later.]"), own, resume=True)
    assert "Measured later." in load_checkpoint(own).card.remarks
    assert load_checkpoint(own).content_hash == load_checkpoint(trained).content_hash


def test_the_state_follows_epochs_that_do_not_improve(write, tmp_path):
    """A learning rate too small to change a weight: no epoch is better than the first, and none is lost."""
    folder = train(write("still.yaml", epochs=3, learning_rate=1e-30), tmp_path / "still")
    assert last(folder)["epoch"] == 2


def test_training_stops_early(write, tmp_path):
    folder = train(write("early.yaml", epochs=30, learning_rate=1e-30, patience=2), tmp_path / "early")
    assert epochs(folder) == [0, 1, 2]


def test_without_a_test_share_the_validation_share_is_reported(write, tmp_path):
    file = write("untested.yaml", epochs=1, test=0)
    figures = load_checkpoint(train(file, tmp_path / "untested")).card.metrics
    assert figures["model_n_configurations"] == len(pool_and_split(file)[1].validation)


def test_nothing_is_overwritten(own, write):
    before = {file.name: file.read_bytes() for file in own.iterdir() if file.is_file()}
    with pytest.raises(InputError, match="holds a training run already"):
        train(write(), own)
    shutil.rmtree(own / "training")
    with pytest.raises(InputError, match="holds a checkpoint already; choose another folder"):
        train(write(), own)
    assert {file.name: file.read_bytes() for file in own.iterdir()} == before


def test_there_must_be_something_to_resume(write, tmp_path):
    with pytest.raises(InputError, match=r"no interrupted training in .*nothing; start it without --resume"):
        train(write(), tmp_path / "nothing", resume=True)


def test_a_damaged_state_is_refused(own, write):
    state = own / "training" / "last.ckpt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"last.ckpt is damaged; remove .* train from the start"):
        train(write(), own, resume=True)


def test_the_state_of_another_network_is_refused(own, write):
    file = write("wide.yaml")
    file.write_text(file.read_text(encoding="utf-8").replace("features: 8", "features: 16"), encoding="utf-8")
    with pytest.raises(InputError, match="was trained with another network; restore the training file's network"):
        train(file, own, resume=True)


def test_weights_that_explode_never_become_a_checkpoint(write, tmp_path, monkeypatch):
    monkeypatch.setattr(DefiNetModule, "_loss", lambda self, _: next(self.parameters()).sum() * float("nan"))
    with pytest.raises(LossNotFinite, match="in epoch 1, before any was finished; lower learning_rate"):
        train(write("nan.yaml", epochs=1), tmp_path / "nan")
    assert not (tmp_path / "nan" / "model.safetensors").exists()
