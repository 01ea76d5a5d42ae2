from __future__ import annotations

import sys

import pytest

from definet_flows.definet import load_checkpoint
from definet_flows.errors import InputError
from definet_flows.flows import load_campaigns
from definet_flows.launch.validation import FOLDER, ExposedError, training_core_hours, validate
from definet_flows.records import open_store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
]

RECIPES = '{recipes: [V_Cu, Al_Cu, "V_Cu+Al_Cu", "V_Cu+V_Cu", "Al_Cu+Al_Cu"]}'
TRAINING = """
name: copper-tiny
network: {features: 8, n_layers: 2, n_radial: 8, max_neighbours: 20}
batch_size: 4
max_epochs: 2
split: {validation: 0.2}
device: cpu
"""


def campaigns(copper, folder, **changes):
    """The campaigns of a file that trains on two thirds of its configurations."""
    said = {"model": "null", "validation": "{held_out: {fraction: 0.3}, training: train.yaml}"} | changes
    path = copper.write_campaign(folder, configurations=RECIPES, **said)
    (folder / "train.yaml").write_text(TRAINING)
    return load_campaigns(path)


@pytest.fixture(scope="module")
def finished(copper, tmp_path_factory):
    """An experiment that has come to its end."""
    folder = tmp_path_factory.mktemp("validation")
    return folder / "run", validate(campaigns(copper, folder / "files"), folder / "run", 1), folder / "files"


def test_labels_come_from_the_training_share_and_pairs_from_the_other(finished):
    directory, outcome, _ = finished
    trained, held_out = (outcome.split.ids(share) for share in (outcome.split.training, outcome.split.held_out))
    card = load_checkpoint(outcome.checkpoint).card
    assert card.name == "copper-tiny"
    assert card.configuration_ids.isdisjoint(held_out)
    assert len(card.configuration_ids) == len(trained)
    with open_store(directory, read_only=True) as store:
        starts = {(run.configuration_id, run.start) for run in store.relaxations({"kind": "defect"})}
        pairs = {record.configuration_id for record in store.savings()}
    assert starts == {(one, "unrelaxed") for one in trained | held_out} | {(one, "prerelaxed") for one in held_out}
    assert pairs == held_out
    assert training_core_hours(directory) > 0


def test_the_same_command_runs_nothing_again(copper, finished):
    directory, before, files = finished
    again = validate(campaigns(copper, files), directory, 1)
    assert sum(one.n_run for one in (*again.labelled, *again.tested)) == 0
    assert again.checkpoint == before.checkpoint
    assert len(list((directory / FOLDER).glob("checkpoint-*"))) == 1


def test_another_split_is_refused_where_one_was_fixed(copper, finished, tmp_path):
    directory, *_ = finished
    other = "{held_out: {fraction: 0.3, seed: 7}, training: train.yaml}"
    with pytest.raises(InputError, match="has fixed the split"):
        validate(campaigns(copper, tmp_path, validation=other), directory, 1)


def test_a_network_that_was_trained_on_what_is_held_out_is_refused(copper, finished, tmp_path):
    _, outcome, _ = finished
    exposed = campaigns(copper, tmp_path, model=f"{{checkpoint: {outcome.checkpoint}, device: cpu}}", validation="null")
    with pytest.raises(
        ExposedError, match=r"copper-tiny was trained on \d+ of the \d+ held-out configurations of copper"
    ):
        validate(exposed, tmp_path / "run", 1)


def test_a_given_model_is_tested_on_everything(copper, tmp_path):
    (one,) = campaigns(copper, tmp_path, validation="null", model="{checkpoint: tiny, device: cpu}")
    few = one.model_copy(update={"configurations": one.configurations.model_copy(update={"recipes": ("V_Cu+Al_Cu",)})})
    outcome = validate([few], tmp_path / "run", 1)
    assert outcome.labelled == []
    assert [summary.n_baseline for summary in outcome.tested] == [len(outcome.split.ids(outcome.split.held_out))]
    assert training_core_hours(tmp_path / "run") == 0


@pytest.mark.parametrize(
    ("changes", "saying"),
    [
        ({"model": "{checkpoint: tiny, device: cpu}"}, "are two networks"),
        ({"validation": "null"}, "there is no network to validate"),
    ],
)
def test_there_is_one_network(copper, tmp_path, changes, saying):
    with pytest.raises(InputError, match=saying):
        validate(campaigns(copper, tmp_path, **changes), tmp_path / "run", 1)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("said", "saying"),
    [
        ("labels: [elsewhere]", "names labels, but those of this experiment are its own"),
        ("start_from: no-such-checkpoint", "no-such-checkpoint"),
        ("max_epoch: 2", "max_epoch"),
    ],
)
def test_what_is_wrong_with_the_training_shows_before_anything_is_relaxed(copper, tmp_path, said, saying):
    plans = campaigns(copper, tmp_path)
    (tmp_path / "train.yaml").write_text(f"{TRAINING}{said}\n")
    with pytest.raises(InputError, match=saying):
        validate(plans, tmp_path / "run", 1)
    assert not (tmp_path / "run").exists()


def test_without_the_packages_that_training_needs_nothing_is_relaxed(copper, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    for module in ("fitting", "module", "epochs", "running"):
        monkeypatch.delitem(sys.modules, f"definet_flows.training.{module}", raising=False)
        monkeypatch.delattr(f"definet_flows.training.{module}", raising=False)
    with pytest.raises(ModuleNotFoundError, match="lightning"):
        validate(campaigns(copper, tmp_path), tmp_path / "run", 1)
    assert not (tmp_path / "run").exists()
