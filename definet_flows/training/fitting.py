"""The one training entry point: from a training file to a checkpoint folder."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from torch.multiprocessing.spawn import ProcessRaisedException

from definet_flows.definet.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from definet_flows.definet.importing import read_torch_file
from definet_flows.errors import InputError
from definet_flows.training.batches import Batch, as_batch
from definet_flows.training.config import TrainingConfig, load_training_config
from definet_flows.training.datasets.sources import LabelPool, load_labels
from definet_flows.training.datasets.split import Split, split_labels
from definet_flows.training.epochs import OnEpoch
from definet_flows.training.evaluation import evaluate_pool
from definet_flows.training.failures import LossNotFinite, failing_in_one_sentence, of_another_process
from definet_flows.training.module import DefiNetModule, LabelModule
from definet_flows.training.provenance import model_card
from definet_flows.training.running import check_hardware, end_processes, make_trainer
from definet_flows.training.state import BEST_STATE, FOLDER, SPLIT_FILE, check_output, check_state, run_identity

logger = logging.getLogger(__name__)


def train(
    config_path: str | Path, output_dir: str | Path, resume: bool = False, on_epoch: OnEpoch | None = None
) -> Path:
    """Train a checkpoint.

    Parameters
    ----------
    config_path
        Training file, see `TrainingConfig`.
    output_dir
        Becomes the checkpoint folder; logs and the resumable state go into its ``training``.
    resume
        Go on from the last finished epoch of an interrupted run. On a CPU the outcome is that of the uninterrupted run, bit for
        bit.
    on_epoch
        Called with the folder of logs now and then after an epoch, in the process that trains.

    Returns
    -------
    Path
        The checkpoint folder.

    Raises
    ------
    InputError
        If the file or its labels cannot be used, or there is nothing to resume, or what is to be resumed is another run.
    TrainingError
        If it ended before its time: interrupted, out of disk or memory, or the loss was no number any more.
    """
    return train_config(load_training_config(config_path), output_dir, resume, on_epoch)


def train_config(
    config: TrainingConfig, output_dir: str | Path, resume: bool = False, on_epoch: OnEpoch | None = None
) -> Path:
    """Train a checkpoint from settings in hand; see `train`."""
    if not config.labels:
        raise InputError("There are no labels to train on; name them in the training file or give --from-store DIR.")
    check_hardware(config)  # before the labels, which take longer to read
    check_output(Path(output_dir), resume=resume)
    pool = load_labels(config)
    split = split_labels(pool, config.split)
    return fit_checkpoint(config, pool, split, output_dir, resume, on_epoch)


def fit_checkpoint(
    config: TrainingConfig,
    pool: LabelPool,
    split: Split,
    output_dir: str | Path,
    resume: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Path:
    """Train a checkpoint on chosen labels, divided as chosen; see `train`.

    Parameters
    ----------
    config
        The training run; where its labels come from and how they are divided is not read.
    pool, split
        The labels, and the positions in them of each share.
    output_dir, resume, on_epoch
        As for `train`.
    """
    out = Path(output_dir)
    folder = out / FOLDER
    state = check_output(out, resume=resume)
    if not split.training or len(split.validation) < config.devices:
        raise InputError(
            f"The split leaves {len(split.training)} labels to train on and {len(split.validation)} to validate with, on "
            f"{config.devices} devices; give more labels or change it."
        )
    start = _start(config)
    config = config if start is None else config.model_copy(update={"network": start.config})
    identity = run_identity(config, pool, split, start)
    if state:
        check_state(state, identity)
    module = _module(config, identity, start)
    with failing_in_one_sentence(folder):
        failure = _fit(config, module, pool, split, folder, state, on_epoch)
        warning = f"{failure}." if failure else None
        save_checkpoint(out, module.model, model_card(config, pool, split, {}, start, warning))
        metrics = _held_out_metrics(load_checkpoint(out), pool, split, start, config.device)
        save_checkpoint(out, module.model, model_card(config, pool, split, metrics, start, warning))
    if failure:
        raise LossNotFinite(f"{failure}; the best epoch before is kept as the checkpoint {out}. Lower learning_rate.")
    return out


def _start(config: TrainingConfig) -> Checkpoint | None:
    """The checkpoint to start from."""
    if config.start_from is None:
        return None
    start = load_checkpoint(config.start_from)
    if "network" in config.model_fields_set and config.network != start.config:
        differing = [
            name for name, value in start.config.model_dump().items() if getattr(config.network, name) != value
        ]
        raise InputError(
            f"The network of start_from, {config.start_from}, is another one ({', '.join(differing)}); leave out network."
        )
    return start


def _module(config: TrainingConfig, identity: dict[str, Any], start: Checkpoint | None) -> DefiNetModule:
    seed_everything(config.seed, verbose=False)
    module = DefiNetModule(config, identity)
    if start:
        module.model.load_state_dict(start.model.state_dict())
    return module.double() if config.precision == "64" else module


def _fit(
    config: TrainingConfig,
    module: DefiNetModule,
    pool: LabelPool,
    split: Split,
    folder: Path,
    state: Path | None,
    on_epoch: OnEpoch | None,
) -> LossNotFinite | None:
    """Give the module the averaged weights of the best epoch; return why training ended where it had to.

    Raises
    ------
    LossNotFinite
        If it was so in the first epoch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    split.save(folder / SPLIT_FILE)
    labels = LabelModule(
        config, _batches(pool.subset(split.training), config), _batches(pool.subset(split.validation), config)
    )
    failure = None
    try:
        _run(make_trainer(config, folder, on_epoch), module, labels, state)
    except LossNotFinite as error:
        failure = error
    best = folder / BEST_STATE
    if failure and not best.is_file():
        raise LossNotFinite(f"{failure}, before any was finished; lower learning_rate.") from failure
    module.load_state_dict(read_torch_file(best)["state_dict"])
    module.eval()
    return failure


def _run(trainer: Trainer, module: DefiNetModule, labels: LabelModule, state: Path | None) -> None:
    try:
        with warnings.catch_warnings():
            # The split that was saved there, or the state that is resumed.
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
            # A training starts its own processes, all on one machine, with Slurm installed or not.
            warnings.filterwarnings("ignore", "The `srun` command is available")
            trainer.fit(module, datamodule=labels, ckpt_path=state, weights_only=True)
    except ProcessRaisedException as error:
        raise of_another_process(error) from error
    finally:
        end_processes(trainer)


def _batches(pool: LabelPool, config: TrainingConfig) -> list[Batch]:
    dtype = torch.float64 if config.precision == "64" else torch.float32
    return [as_batch(labels, config.network, dtype) for labels in pool.sets]


def _held_out_metrics(
    checkpoint: Checkpoint, pool: LabelPool, split: Split, start: Checkpoint | None, device: str
) -> dict[str, float]:
    """Errors on the test share (validation share without one), less what the checkpoint it started from has seen."""
    held_out = [
        position
        for position in split.test or split.validation
        if start is None or start.card.exposure(pool.configurations[position]) in {"new", "undefined"}
    ]
    if not held_out:
        logger.warning(
            "Every held-out label was seen by %s already; the card has no metrics.", start and start.card.name
        )
        return {}
    figures = evaluate_pool(checkpoint, pool.subset(held_out), device)
    return {f"{who}_{name}": value for who, errors in figures.items() for name, value in errors.items()}
