from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
import torch

from definet_flows.definet import CheckpointError, load_checkpoint
from definet_flows.errors import InputError
from definet_flows.training import evaluate, train
from definet_flows.training.config import load_training_config
from definet_flows.training.datasets.sources import load_labels
from definet_flows.training.datasets.split import split_labels
from definet_flows.training.evaluation import evaluate_pool
from definet_flows.training.module import DefiNetModule
from tests.training.conftest import configurations_of, labelled

# What Lightning says of runs this small, and of its own use of torch.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Your `IterableDataset` has `__len__` defined:UserWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning"),
]

CONFIGURATIONS = configurations_of(3, "V_S", "V_Mo", "V_Mo+V_S", "W_Mo+V_S+Se_S")[:16]
SETTINGS = """
name: toy
labels: [labels.safetensors]
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
"""


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    """Training files beside one label set."""
    folder = tmp_path_factory.mktemp("labels")
    labelled(CONFIGURATIONS).save(folder / "labels.safetensors")

    def write(name="train.yaml", **options):
        defaults = {"seed": 0, "epochs": 2, "learning_rate": 0.01, "patience": 10, "test": 0.2}
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


def metrics(folder, log="metrics.csv"):
    with (folder / "training" / log).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def epochs(folder, log="metrics.csv"):
    return sorted({int(row["epoch"]) for row in metrics(folder, log)})


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
    assert card.cluster_ids == {c.cluster_id for c in known if c.cluster_id}
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


def test_resuming_goes_on_after_the_last_finished_epoch(write, tmp_path, monkeypatch):
    """The run dies in its third epoch, and is called again."""
    file, folder = write("four.yaml", epochs=4), tmp_path / "run"

    def die(module):
        if module.current_epoch == 2:
            raise RuntimeError("power failure")

    with monkeypatch.context() as patch:
        patch.setattr(DefiNetModule, "on_train_epoch_start", die)
        with pytest.raises(RuntimeError, match="power failure"):
            train(file, folder)
    assert last(folder)["epoch"] == 1
    assert not (folder / "config.json").exists(), "an interrupted run is not a checkpoint"
    with pytest.raises(InputError, match="holds a training run already; go on with --resume"):
        train(file, folder)
    trained_in = []
    monkeypatch.setattr(DefiNetModule, "on_train_epoch_start", lambda module: trained_in.append(module.current_epoch))
    assert train(file, folder, resume=True) == folder
    assert trained_in == [2, 3]
    assert epochs(folder) == [0, 1], "the log of the first part is kept"
    assert epochs(folder, "resumed-1/metrics.csv") == [2, 3]
    assert last(folder)["epoch"] == 3
    assert load_checkpoint(folder).card.name == "toy"


def test_a_finished_run_can_be_continued_to_more_epochs(own, write):
    """The best epoch is the first: later and worse ones do not replace it, also across resumptions."""
    losses = [float(row["validation_loss"]) for row in metrics(own) if row["validation_loss"]]
    first = load_checkpoint(own).content_hash
    for part, n_epochs in ((1, 3), (2, 4)):
        train(write("more.yaml", epochs=n_epochs), own, resume=True)
        log = f"resumed-{part}/metrics.csv"
        assert epochs(own, log) == [n_epochs - 1]
        losses += [float(row["validation_loss"]) for row in metrics(own, log) if row["validation_loss"]]
    assert min(losses) == losses[0]
    assert load_checkpoint(own).content_hash == first
    train(write("more.yaml", epochs=20), own, resume=True)
    assert load_checkpoint(own).content_hash != first


def test_resuming_a_finished_run_changes_nothing(own, trained, write):
    train(write(), own, resume=True)
    assert load_checkpoint(own).content_hash == load_checkpoint(trained).content_hash
    assert metrics(own) == metrics(trained)


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
    with pytest.raises(InputError, match=r"last.ckpt is damaged .* train from the start"):
        train(write(), own, resume=True)


def test_the_state_of_another_network_is_refused(own, write):
    file = write("wide.yaml")
    file.write_text(file.read_text(encoding="utf-8").replace("features: 8", "features: 16"), encoding="utf-8")
    with pytest.raises(InputError, match="was trained with another network; restore the training file's network"):
        train(file, own, resume=True)


@pytest.mark.filterwarnings("ignore:.*NaN.*")
def test_weights_that_explode_never_become_a_checkpoint(write, tmp_path, monkeypatch):
    monkeypatch.setattr(DefiNetModule, "_loss", lambda self, _: next(self.parameters()).sum() * float("nan"))
    with pytest.raises(CheckpointError):
        train(write("nan.yaml", epochs=1), tmp_path / "nan")
    assert not (tmp_path / "nan" / "model.safetensors").exists()
