"""One runner for every study that trains: variants in folders of their own, finished ones kept, interrupted ones resumed."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from definet_flows.defects.host import content_hash
from definet_flows.definet.checkpoint import load_checkpoint
from definet_flows.errors import DefinetFlowsError, InputError
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.datasets.split import Split
from definet_flows.training.epochs import METRICS_FILE, read_epochs
from definet_flows.training.evaluation import DUMMY, Row, error_cells, evaluate_sets
from definet_flows.training.failures import LossNotFinite, TooLittleMemory, TrainingInterruptedError
from definet_flows.training.fitting import fit_checkpoint
from definet_flows.training.provenance import teacher_names
from definet_flows.training.running import check_hardware
from definet_flows.training.state import FOLDER, LAST_STATE, run_identity

logger = logging.getLogger(__name__)

Budget = Literal["steps", "passes"]
"""What variants with different numbers of labels have in common: optimiser steps, or passes over their labels."""

RECORD_FILE = "variant.json"
"""In a variant's folder: what it is, and how it ended."""


@dataclass(frozen=True)
class Variant:
    """One training of a study.

    Parameters
    ----------
    name
        Also of its folder.
    config
        The training.
    split
        Positions in the study's labels of the shares to train and validate on.
    tests
        Name and positions of each group of labels to test on.
    """

    name: str
    config: TrainingConfig
    split: Split
    tests: Mapping[str, tuple[int, ...]]


class Outcome(BaseModel):
    """How a variant ended; what could not be had is None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Of the variant")
    error: str | None = Field(default=None, description="Why there is no checkpoint, in one sentence")
    n_training: int = Field(description="Labels trained on")
    n_validation: int = Field(description="Labels that chose the epoch")
    n_parameters: int | None = Field(default=None, description="Weights of the network")
    epochs: int | None = Field(default=None, description="Epochs trained")
    optimizer_steps: int | None = Field(default=None, description="Optimiser steps")
    seconds_per_epoch: float | None = Field(
        default=None, description="Wall time over epochs, the preparation included; None where an interruption hides it"
    )
    tests: dict[str, dict[str, Row]] = Field(
        default_factory=dict, description="Errors of model and Dummy on each group of labels, as table cells"
    )

    def row(self, test: str) -> Row:
        """What is common to the tables: errors on one group of labels, cost, and why there are none."""
        errors = self.tests.get(test, {}).get("model", {})
        cost: Row = {
            "parameters": self.n_parameters,
            "epochs": self.epochs,
            "steps": self.optimizer_steps,
            "s per epoch": self.seconds_per_epoch,
        }
        return {"training labels": self.n_training, **errors, **cost, "reason": self.error}


class _Record(BaseModel):
    fingerprint: str
    outcome: Outcome | None = None


def run_variants(variants: Sequence[Variant], pool: LabelPool, output: Path) -> list[Outcome]:
    """Train and test every variant that has not been, in the order given.

    Parameters
    ----------
    variants
        With different names.
    pool
        The labels that all of them draw from.
    output
        Holds a folder for each variant.

    Returns
    -------
    list of Outcome
        One for each, failed ones with their reason.

    Raises
    ------
    InputError
        If a folder holds another variant under the same name, a training cannot use its settings, or the device is absent.
    TrainingError
        If a training was interrupted; the same call goes on from there.
    DefinetFlowsError
        If not one variant could be trained.
    """
    check_hardware(variants[0].config)
    outcomes = []
    for number, variant in enumerate(variants, 1):
        logger.info("%d of %d: %s", number, len(variants), variant.name)
        outcomes.append(_run(variant, pool, output / variant.name))
    if all(outcome.error for outcome in outcomes):
        raise DefinetFlowsError(f"Not one of {len(outcomes)} variants could be trained; the first: {outcomes[0].error}")
    return outcomes


def with_equal_steps(variants: Sequence[Variant], pool: LabelPool) -> list[Variant]:
    """The variants with epochs of as many optimiser steps as the largest of them needs for one pass over its labels."""
    steps = max(_steps_per_pass(variant, pool) for variant in variants)
    return [
        Variant(v.name, v.config.model_copy(update={"steps_per_epoch": steps}), v.split, v.tests)
        if v.config.steps_per_epoch is None
        else v
        for v in variants
    ]


def budgeted(variants: Sequence[Variant], pool: LabelPool, budget: Budget) -> tuple[list[Variant], str]:
    """The variants under a budget, and a sentence that states it."""
    config = variants[0].config
    if budget == "passes" and config.steps_per_epoch is None:
        return list(variants), (
            f"Every variant makes at most {config.max_epochs} passes over its own labels, so that fewer labels are also fewer "
            "optimiser steps."
        )
    equal = with_equal_steps(variants, pool)
    return equal, (
        f"Every variant takes the same optimiser steps whatever its number of labels: at most {config.max_epochs} epochs of "
        f"{equal[0].config.steps_per_epoch} steps."
    )


def dummy_row(outcomes: Sequence[Outcome], test: str) -> Row:
    """Errors of the Dummy model on one group of labels, the same for every variant that was tested on it."""
    return next((outcome.tests[test][DUMMY] for outcome in outcomes if test in outcome.tests), {})


def describe_labels(pool: LabelPool, split: Split) -> str:
    """A sentence that says what was learnt from."""
    hosts = {f"{labels.host.name}{f' ({labels.density} density)' if labels.density else ''}" for labels in pool.sets}
    return (
        f"Labels: {len(pool)} relaxations of {', '.join(sorted(hosts))} by {teacher_names(pool)}; {len(split.training)} "
        f"to train on, {len(split.validation)} to choose the epoch, {len(split.test)} to test on."
    )


def _steps_per_pass(variant: Variant, pool: LabelPool) -> int:
    config = variant.config
    batches = sum(-(-len(labels) // config.batch_size) for labels in pool.subset(variant.split.training).sets)
    return -(-batches // (config.accumulate * config.devices))


def _run(variant: Variant, pool: LabelPool, folder: Path) -> Outcome:
    record = _read(folder, _fingerprint(variant, pool))
    if record.outcome is not None:
        failed = record.outcome.error
        logger.info("  %s", f"failed before: {failed}" if failed else "finished before")
        return record.outcome
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, record)
    try:
        outcome = _trained(variant, pool, folder / "model")
    except TrainingInterruptedError as error:
        raise TrainingInterruptedError(
            f"The study was interrupted in {variant.name}; the same command goes on from there.", error.exit_code
        ) from error
    # The study goes on without this variant. Its best epoch is not measured: the training that it stands for did not end.
    except (LossNotFinite, TooLittleMemory) as error:
        logger.warning("%s failed: %s", variant.name, error)
        outcome = _outcome(variant, error=str(error))
    _write(folder, record.model_copy(update={"outcome": outcome}))
    return outcome


def _trained(variant: Variant, pool: LabelPool, folder: Path) -> Outcome:
    before = _progress(folder)[0]
    began = time.perf_counter()
    resumed = (folder / FOLDER / LAST_STATE).is_file()
    fit_checkpoint(variant.config, pool, variant.split, folder, resume=resumed)
    seconds = time.perf_counter() - began
    epochs, steps = _progress(folder)
    checkpoint = load_checkpoint(folder)
    tests: dict[str, dict[str, Row]] = {}
    for name, positions in variant.tests.items():
        total = evaluate_sets(checkpoint, pool.subset(positions).sets, variant.config.device).total()
        counted: Row = {"configurations": total.model.n_configurations}
        tests[name] = {
            "model": counted | {"failed": total.failed} | error_cells(total.model),
            DUMMY: counted | {"failed": 0} | error_cells(total.dummy),
        }
    return _outcome(
        variant,
        n_parameters=sum(parameter.numel() for parameter in checkpoint.model.parameters()),
        epochs=epochs,
        optimizer_steps=steps,
        seconds_per_epoch=seconds / (epochs - before) if epochs > before else None,
        tests=tests,
    )


def _outcome(variant: Variant, **found: Any) -> Outcome:
    n_training, n_validation = len(variant.split.training), len(variant.split.validation)
    return Outcome(name=variant.name, n_training=n_training, n_validation=n_validation, **found)


def _progress(folder: Path) -> tuple[int, int]:
    """Epochs and optimiser steps that a training has behind it."""
    logs = folder / FOLDER
    rows = read_epochs(logs) if (logs / METRICS_FILE).is_file() else []
    return (len(rows), int(rows[-1]["step"])) if rows else (0, 0)


def _fingerprint(variant: Variant, pool: LabelPool) -> str:
    """Of what the variant learns, how, for how long, and what it is tested on."""
    identity = run_identity(variant.config, pool, variant.split, None)
    tests = {name: list(positions) for name, positions in variant.tests.items()}
    return content_hash({**identity, "max_epochs": variant.config.max_epochs, "tests": tests})


def _read(folder: Path, fingerprint: str) -> _Record:
    path = folder / RECORD_FILE
    if not path.is_file():
        return _Record(fingerprint=fingerprint)
    try:
        record = _Record.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}); remove {folder} and run again.") from error
    if record.fingerprint != fingerprint:
        raise InputError(
            f"{folder} was trained with other settings, labels or budget; choose another output folder, or remove this one."
        )
    return record


def _write(folder: Path, record: _Record) -> None:
    partial = folder / f"{RECORD_FILE}.partial"
    partial.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / RECORD_FILE)
