from __future__ import annotations

import json

import pytest

from definet_flows.definet import load_checkpoint
from definet_flows.errors import DefinetFlowsError, InputError
from definet_flows.training.datasets.split import split_labels
from definet_flows.training.evaluation import evaluate_pool
from definet_flows.training.failures import LossNotFinite, TooLittleMemory, TrainingInterruptedError
from definet_flows.training.module import DefiNetModule
from definet_flows.training.studies.study import labels_of
from definet_flows.training.studies.variants import Variant, budgeted, run_variants, with_equal_steps
from tests.training.studies.conftest import config_of


@pytest.fixture
def pair(config):
    """Two variants of different width."""
    pool, split = labels_of(config)
    wide = config.model_copy(update={"network": config.network.model_copy(update={"features": 16})})
    tests = {"test": split.test, "first": split.test[:1]}
    return pool, [Variant("narrow", config, split, tests), Variant("wide", wide, split, tests)]


def test_every_variant_has_a_folder_and_an_outcome(pair, untrained, tmp_path):
    pool, variants = pair
    outcomes = run_variants(variants, pool, tmp_path / "out")
    assert [outcome.name for outcome in outcomes] == ["narrow", "wide"]
    assert outcomes[0].n_parameters < outcomes[1].n_parameters
    narrow = outcomes[0]
    assert (narrow.epochs, narrow.optimizer_steps) == (2, 20)
    assert narrow.n_training == len(variants[0].split.training)
    figures = evaluate_pool(load_checkpoint(tmp_path / "out/narrow/model"), pool.subset(variants[0].split.test))
    assert narrow.tests["test"]["model"]["MAE (Å)"] == figures["model"]["MAE_angstrom"]
    assert narrow.tests["test"]["Dummy"]["A3 (Å)"] == figures["dummy"]["A3_angstrom"]
    assert narrow.tests["first"]["model"]["configurations"] == 1


def test_what_is_finished_is_not_trained_again(pair, untrained, tmp_path):
    pool, variants = pair
    first = run_variants(variants, pool, tmp_path)
    again = run_variants(variants, pool, tmp_path)
    assert again == first
    assert [name for name, *_ in untrained.calls] == ["narrow", "wide"]


def test_an_interrupted_variant_is_resumed_and_says_how(pair, untrained, tmp_path):
    pool, variants = pair
    untrained.failing = "wide", TrainingInterruptedError("go on with --resume", 130)
    with pytest.raises(TrainingInterruptedError, match="in wide; the same command goes on from there") as caught:
        run_variants(variants, pool, tmp_path)
    assert caught.value.exit_code == 130
    state = tmp_path / "wide/model/training/last.ckpt"
    state.parent.mkdir(parents=True)
    state.touch()
    untrained.failing = None
    assert all(outcome.error is None for outcome in run_variants(variants, pool, tmp_path))
    assert [(name, resume) for name, _, _, resume in untrained.calls] == [
        ("narrow", False), ("wide", False), ("wide", True),
    ]  # fmt: skip


@pytest.mark.parametrize("failure", [LossNotFinite("the loss is no number"), TooLittleMemory("too little memory")])
def test_a_failed_variant_stays_as_a_row_with_its_reason(pair, untrained, tmp_path, failure):
    pool, variants = pair
    untrained.failing = "narrow", failure
    failed, ended = run_variants(variants, pool, tmp_path)
    assert failed.error == str(failure)
    assert failed.row("test") == {
        "training labels": failed.n_training, "parameters": None, "epochs": None, "steps": None, "s per epoch": None,
        "reason": failed.error,
    }  # fmt: skip
    assert ended.error is None
    untrained.failing = None
    assert run_variants(variants, pool, tmp_path)[0] == failed, "a failure is an outcome, not to be tried for ever"


@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")
def test_a_training_that_diverges_says_so_in_every_repeat(pair, tmp_path, monkeypatch):
    """Also where the study was killed before it had noted how the training ended, and finds a whole checkpoint."""
    honest = DefiNetModule._loss

    def exploding(module, batch):
        wide = module.training_config.network.features == 16
        return honest(module, batch) * (float("inf") if wide and module.current_epoch == 1 else 1)

    monkeypatch.setattr(DefiNetModule, "_loss", exploding)
    pool, variants = pair
    first = run_variants(variants, pool, tmp_path)
    assert load_checkpoint(tmp_path / "wide/model").card.name == "toy"
    assert first[0].error is None
    assert "The loss became inf in epoch 2" in first[1].row("test")["reason"]
    assert "MAE (Å)" not in first[1].row("test")
    assert run_variants(variants, pool, tmp_path) == first
    record = tmp_path / "wide/variant.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"outcome": None}))
    assert run_variants(variants, pool, tmp_path) == first


def test_if_none_could_be_trained_the_study_failed(pair, untrained, tmp_path):
    pool, variants = pair
    untrained.failing = "narrow", LossNotFinite("the loss is no number")
    with pytest.raises(DefinetFlowsError, match=r"Not one of 1 variants .* the loss is no number"):
        run_variants(variants[:1], pool, tmp_path)


def test_what_the_user_must_change_is_not_a_failed_row(pair, untrained, tmp_path):
    pool, variants = pair
    untrained.failing = "narrow", InputError("holds a checkpoint already")
    with pytest.raises(InputError, match="already"):
        run_variants(variants, pool, tmp_path)
    with pytest.raises(InputError, match="nowhere"):
        run_variants(
            [Variant("x", variants[0].config.model_copy(update={"device": "nowhere"}), *_rest(variants))],
            pool,
            tmp_path,
        )


def _rest(variants):
    return variants[0].split, variants[0].tests


@pytest.mark.parametrize("change", [{"max_epochs": 3}, {"learning_rate": 0.1}, {"seed": 5}])
def test_another_budget_or_setting_is_refused(pair, untrained, tmp_path, change):
    pool, (narrow, _) = pair
    run_variants([narrow], pool, tmp_path)
    changed = Variant("narrow", narrow.config.model_copy(update=change), narrow.split, narrow.tests)
    with pytest.raises(InputError, match="other settings, labels or budget; choose another output folder"):
        run_variants([changed], pool, tmp_path)
    moved = Variant(
        "narrow", narrow.config.model_copy(update={"threads": 2, "name": "other"}), narrow.split, narrow.tests
    )
    run_variants([moved], pool, tmp_path)


def test_a_damaged_record_is_named(pair, untrained, tmp_path):
    pool, variants = pair
    run_variants(variants, pool, tmp_path)
    record = tmp_path / "wide" / "variant.json"
    assert json.loads(record.read_text())["outcome"]["name"] == "wide"
    record.write_text(record.read_text()[:40])
    with pytest.raises(InputError, match=r"variant.json is damaged .* remove .*wide and run again"):
        run_variants(variants, pool, tmp_path)


def test_equal_steps_are_those_of_the_largest_variant(tmp_path):
    config = config_of(tmp_path, "low", "high", accumulate=2)
    pool = labels_of(config)[0]
    split = split_labels(pool, config.split)
    small = type(split).of(pool, {"training": split.training[:5], "validation": split.validation})
    variants = [Variant("small", config, small, {}), Variant("whole", config, split, {})]
    per_host = [sum(first <= i < first + len(labels) for i in split.training) for first, labels in _starts(pool)]
    steps = -(-sum(-(-n // 4) for n in per_host) // 2)
    assert [v.config.steps_per_epoch for v in with_equal_steps(variants, pool)] == [steps, steps]
    equal, note = budgeted(variants, pool, "steps")
    assert f"at most 2 epochs of {steps} steps" in note
    assert [v.config for v in equal] == [v.config for v in with_equal_steps(variants, pool)]
    assert budgeted(variants, pool, "passes")[0] == variants


def _starts(pool):
    first = 0
    for labels in pool.sets:
        yield first, labels
        first += len(labels)
