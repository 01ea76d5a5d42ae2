"""The residual-step experiment as one run: label, train, then relax what was held out from both starts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from definet_flows.defects import DefectConfiguration, write_configurations
from definet_flows.errors import InputError
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.hosts import naming
from definet_flows.flows.validation import ValidationSplit, split_configurations
from definet_flows.jobs import ConfigurationSource, ModelSettings
from definet_flows.launch.local import run_campaigns
from definet_flows.launch.progress import OnProgress
from definet_flows.launch.summary import CampaignSummary

if TYPE_CHECKING:
    from definet_flows.training.config import TrainingConfig
    from definet_flows.training.datasets.pool import LabelPool
    from definet_flows.training.datasets.split import Split

FOLDER = "validation"
SPLIT_FILE = "split.json"
TRAINING_FILE = "training.json"
"""In a checkpoint's folder: what its training has taken so far."""


class ExposedError(InputError):
    """A held-out configuration was trained on."""


@dataclass(frozen=True)
class Validation:
    """A residual-step experiment that has come to its end.

    Attributes
    ----------
    split
        What was trained on and what was held out.
    labelled, tested
        What the engine did for either, one entry for each host.
    checkpoint
        Name or folder of the network.
    """

    split: ValidationSplit
    labelled: list[CampaignSummary]
    tested: list[CampaignSummary]
    checkpoint: str


def validate(
    campaigns: Sequence[Campaign],
    directory: Path,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
    *,
    retry_failed: bool = False,
) -> Validation:
    """Run what is missing of a residual-step experiment.

    The split is fixed before anything is relaxed. May be stopped at any moment: the same call goes on.

    Parameters
    ----------
    campaigns
        Those of one campaign file, with its ``validation``.
    directory
        Where results, split and checkpoint go.
    workers, on_progress, retry_failed
        As for `run_campaigns`.

    Raises
    ------
    InputError
        If the file does not say what to validate, another split was fixed before, or a campaign or the training cannot be run.
    ModuleNotFoundError
        If a package is missing that training needs; before anything is relaxed.
    ExposedError
        If the network was trained on what is held out.
    TrainingError
        If training ended before its time.
    """
    split = split_of(campaigns)
    training = _training_of(campaigns[0])
    split.fix(directory / FOLDER / SPLIT_FILE)
    labels = _restricted(campaigns, split.training, directory, "training")
    unlabelled = [one.model_copy(update={"model": None, "baseline_fraction": 1.0}) for one in labels]
    labelled = _run(unlabelled, directory, workers, on_progress, retry_failed=retry_failed)
    checkpoint = _trained(training, split, directory) if training else None
    tests = _restricted(campaigns, split.held_out, directory, "held-out")
    tests = [
        one.model_copy(update={"model": _model(one, checkpoint), "baseline_fraction": 1.0, "baseline_seed": 0})
        for one in tests
    ]
    _refuse_exposed(tests, split)
    tested = _run(tests, directory, workers, on_progress, retry_failed=retry_failed)
    return Validation(split, labelled, tested, _checkpoint_of(tests[0]))


def split_of(campaigns: Sequence[Campaign]) -> ValidationSplit:
    """The split that a campaign file says.

    Raises
    ------
    InputError
        If the file does not say what to validate, or its configurations cannot be had.
    """
    settings = campaigns[0].validation
    _check_network(campaigns)
    listed = {}
    for one in campaigns:
        with naming(one):
            listed[one.name] = one.configurations.configurations(one.host.host())
    return split_configurations(listed, settings.held_out if settings else None)


def training_core_hours(directory: Path) -> float:
    """What all trainings of an experiment have taken, also those that a later one replaced."""
    taken = [json.loads(file.read_text(encoding="utf-8")) for file in (directory / FOLDER).glob(f"*/{TRAINING_FILE}")]
    return float(sum(one["seconds"] * one["threads"] for one in taken)) / 3600


def _check_network(campaigns: Sequence[Campaign]) -> None:
    settings = campaigns[0].validation
    trains = settings is not None and settings.training is not None
    for one in campaigns:
        if trains and one.model is not None:
            raise InputError(f"{one.name}: 'model' and 'validation.training' are two networks; leave out one of them.")
        if not trains and one.model is None:
            raise InputError(
                f"{one.name}: there is no network to validate; name a model, or give validation: {{training: train.yaml, "
                "held_out: {fraction: 0.2}}."
            )


def _restricted(
    campaigns: Sequence[Campaign], share: Mapping[str, Sequence[DefectConfiguration]], directory: Path, name: str
) -> list[Campaign]:
    """The campaigns with the configurations of one share only; those that have none are left out."""
    restricted = []
    for one in campaigns:
        if one.name in share:
            file = directory / FOLDER / f"{one.name.replace('/', '-')}-{name}.jsonl"
            source = ConfigurationSource(files=(str(write_configurations(share[one.name], file)),))
            restricted.append(one.model_copy(update={"configurations": source}))
    return restricted


def _run(
    campaigns: Sequence[Campaign],
    directory: Path,
    workers: int | None,
    on_progress: OnProgress | None,
    *,
    retry_failed: bool,
) -> list[CampaignSummary]:
    if not campaigns:
        return []
    return run_campaigns(campaigns, directory, workers, on_progress, retry_failed=retry_failed)


def _model(campaign: Campaign, checkpoint: Path | None) -> ModelSettings | None:
    return campaign.model if checkpoint is None else ModelSettings(checkpoint=str(checkpoint))


def _checkpoint_of(campaign: Campaign) -> str:
    return "" if campaign.model is None else campaign.model.checkpoint


def _training_of(campaign: Campaign) -> TrainingConfig | None:
    """How the network is trained, None where a model is given; read before the labels, which may take days, are made."""
    settings = campaign.validation
    if settings is None or settings.training is None:
        return None
    from definet_flows.definet import load_checkpoint
    from definet_flows.training import fitting  # noqa: F401  missing packages show now
    from definet_flows.training.config import load_training_config

    config = load_training_config(settings.training)
    if config.labels:
        raise InputError(
            f"{settings.training} names labels, but those of this experiment are its own relaxations; leave them out."
        )
    if config.start_from:
        load_checkpoint(config.start_from)
    # The experiment's own held-out configurations are the test.
    return config.model_copy(update={"split": config.split.model_copy(update={"test": 0.0})})


def _trained(config: TrainingConfig, split: ValidationSplit, directory: Path) -> Path:
    """Folder of the checkpoint trained on the labels, made or finished now."""
    from definet_flows.definet.checkpoint import CONFIG_FILE
    from definet_flows.training.datasets.split import split_labels

    pool = _labels(split, directory)
    shares = split_labels(pool, config.split)
    folder = directory / FOLDER / f"checkpoint-{_identity(config, pool, shares)}"
    if not (folder / CONFIG_FILE).is_file():
        _train(config, pool, shares, folder)
    return folder


def _labels(split: ValidationSplit, directory: Path) -> LabelPool:
    """The relaxed configurations of the training share."""
    from definet_flows.training.datasets.campaign import read_campaign
    from definet_flows.training.datasets.pool import LabelPool

    pool = LabelPool(tuple(read_campaign(directory)))
    wanted = split.ids(split.training)
    return pool.subset([i for i, one in enumerate(pool.configurations) if one.id in wanted])


def _identity(config: TrainingConfig, pool: LabelPool, shares: Split) -> str:
    """The same for the same training on the same labels."""
    from definet_flows.defects.host import content_hash
    from definet_flows.definet import load_checkpoint
    from definet_flows.training.state import run_identity

    start = load_checkpoint(config.start_from) if config.start_from else None
    return content_hash({**run_identity(config, pool, shares, start), "max_epochs": config.max_epochs}, 12)


def _train(config: TrainingConfig, pool: LabelPool, shares: Split, folder: Path) -> None:
    """Train, or go on with a training that was stopped; what it takes is added up over both."""
    import torch

    from definet_flows.training.fitting import fit_checkpoint
    from definet_flows.training.state import FOLDER as STATE_FOLDER
    from definet_flows.training.state import LAST_STATE

    folder.mkdir(parents=True, exist_ok=True)
    resume = (folder / STATE_FOLDER / LAST_STATE).is_file()
    known = folder / TRAINING_FILE
    before = json.loads(known.read_text(encoding="utf-8"))["seconds"] if resume and known.is_file() else 0.0
    began = time.perf_counter()
    threads = config.threads or torch.get_num_threads()

    def note(_: Path | None = None) -> None:
        seconds = before + time.perf_counter() - began
        known.write_text(json.dumps({"seconds": seconds, "threads": threads}) + "\n", encoding="utf-8")

    fit_checkpoint(config, pool, shares, folder, resume, note)
    note()


def _refuse_exposed(campaigns: Iterable[Campaign], split: ValidationSplit) -> None:
    """Stop before relaxing what says nothing of new configurations."""
    from definet_flows.definet import load_checkpoint

    for one in campaigns:
        card = load_checkpoint(_checkpoint_of(one)).card
        seen = [held for held in split.held_out[one.name] if card.exposure(held) == "same_size"]
        if seen:
            raise ExposedError(
                f"{card.name} was trained on {len(seen)} of the {len(split.held_out[one.name])} held-out configurations of "
                f"{one.name}, such as {seen[0]}; hold out others, or validate another checkpoint."
            )
