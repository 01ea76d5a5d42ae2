"""The one training entry point: from a training file to a checkpoint folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.callbacks.weight_averaging import EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from definet_flows.definet.card import ModelCard
from definet_flows.definet.checkpoint import CONFIG_FILE, load_checkpoint, save_checkpoint
from definet_flows.definet.prerelaxer import resolve_device
from definet_flows.errors import InputError
from definet_flows.training.batches import Batch, BatchStream, as_batch
from definet_flows.training.config import TrainingConfig, load_training_config
from definet_flows.training.datasets.sources import LabelPool, load_labels
from definet_flows.training.datasets.split import Split, split_labels
from definet_flows.training.evaluation import evaluate_pool
from definet_flows.training.module import DefiNetModule

logger = logging.getLogger(__name__)

LAST_STATE = "last.ckpt"
"""What resuming reads, inside the output folder's ``training``."""

BEST_STATE = "best.ckpt"
"""The epoch with the smallest validation loss, which becomes the checkpoint."""

_QUANTILES = (0.5, 0.9, 0.99, 0.999)


def train(config_path: str | Path, output_dir: str | Path, resume: bool = False) -> Path:
    """Train a checkpoint.

    Parameters
    ----------
    config_path
        Training file, see `TrainingConfig`.
    output_dir
        Becomes the checkpoint folder; logs and the resumable state go into its ``training``.
    resume
        Go on from the last finished epoch of an interrupted run.

    Returns
    -------
    Path
        The checkpoint folder.

    Raises
    ------
    InputError
        If the file or its labels cannot be used, or there is nothing to resume.
    """
    return train_config(load_training_config(config_path), output_dir, resume)


def train_config(config: TrainingConfig, output_dir: str | Path, resume: bool = False) -> Path:
    """Train a checkpoint from settings in hand; see `train`."""
    pool = load_labels(config)
    return fit_checkpoint(config, pool, split_labels(pool, config.split), output_dir, resume)


def fit_checkpoint(
    config: TrainingConfig, pool: LabelPool, split: Split, output_dir: str | Path, resume: bool = False
) -> Path:
    """Train a checkpoint on chosen labels, divided as chosen; see `train`.

    Parameters
    ----------
    config
        The training run; where its labels come from and how they are divided is not read.
    pool, split
        The labels, and the positions in them of each share.
    output_dir, resume
        As for `train`.
    """
    out = Path(output_dir)
    state = out / "training" / LAST_STATE
    if resume and not state.is_file():
        raise InputError(f"There is no interrupted training in {out}; start it without --resume.")
    if not resume and state.is_file():
        raise InputError(f"{out} holds a training run already; go on with --resume or choose another folder.")
    if not resume and (out / CONFIG_FILE).is_file():
        raise InputError(f"{out} holds a checkpoint already; choose another folder.")
    module = _fit(config, pool, split, out / "training", state if resume else None)
    save_checkpoint(out, module.model, model_card(config, pool, split, metrics={}))
    metrics = evaluate_pool(load_checkpoint(out), pool.subset(split.test or split.validation))
    save_checkpoint(out, module.model, model_card(config, pool, split, _flat(metrics)))
    return out


def _fit(config: TrainingConfig, pool: LabelPool, split: Split, folder: Path, state: Path | None) -> DefiNetModule:
    seed_everything(config.seed, verbose=False)
    if config.threads:
        torch.set_num_threads(config.threads)
    whole = {name: _batches(pool.subset(getattr(split, name)), config) for name in ("training", "validation")}
    # Read anew at every epoch, in this process: the labels are in memory already.
    training = DataLoader(BatchStream(whole["training"], config.batch_size, config.seed), batch_size=None)
    validation = DataLoader(BatchStream(whole["validation"], config.batch_size), batch_size=None)
    module = DefiNetModule(config)
    if state:
        _check_state(state, module)
    device = resolve_device(config.device)
    callbacks: list[Callback] = [
        EMAWeightAveraging(decay=config.ema_decay),
        EarlyStopping("validation_loss", patience=config.early_stop_patience, min_delta=0.0),
        ModelCheckpoint(folder, filename=_stem(BEST_STATE), monitor="validation_loss", enable_version_counter=False),
        # After the best one, whose score it holds. Of its own, because `save_last` keeps no epoch that is not the best so far.
        ModelCheckpoint(folder, filename=_stem(LAST_STATE), enable_version_counter=False),
    ]
    trainer = Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        max_epochs=config.max_epochs,
        gradient_clip_val=config.gradient_clip,
        callbacks=callbacks,
        logger=_logger(folder, resumed=state is not None),
        default_root_dir=folder,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    trainer.fit(module, training, validation, ckpt_path=state, weights_only=True)
    return _with_weights(module, folder / BEST_STATE)


def _stem(file: str) -> str:
    return file.removesuffix(".ckpt")


def _check_state(state: Path, module: DefiNetModule) -> None:
    """Refuse a state that cannot be continued, before the trainer meets it.

    Raises
    ------
    InputError
        If the file is damaged or belongs to a network of another shape.
    """
    try:
        stored = torch.load(state, map_location="cpu", weights_only=True)["state_dict"]
    # What a damaged file raises depends on where the damage is.
    except Exception as error:
        raise InputError(
            f"{state} is damaged ({type(error).__name__}); remove {state.parent} and train from the start."
        ) from error
    mine = {name: weight.shape for name, weight in module.state_dict().items()}
    if mine != {name: weight.shape for name, weight in stored.items()}:
        raise InputError(
            f"{state} was trained with another network; restore the training file's network or choose another folder."
        )


def _logger(folder: Path, *, resumed: bool) -> CSVLogger:
    """Writes metrics.csv; every resumption in a folder of its own, because the logger would delete what is there."""
    earlier = len(list(folder.glob("resumed-*")))
    return CSVLogger(folder, name="", version=f"resumed-{earlier + 1}" if resumed else "")


def _batches(pool: LabelPool, config: TrainingConfig) -> list[Batch]:
    return [as_batch(labels, config.network) for labels in pool.sets]


def _with_weights(module: DefiNetModule, path: Path) -> DefiNetModule:
    """The module with the averaged weights of the best epoch."""
    module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"])
    return module.eval()


def model_card(config: TrainingConfig, pool: LabelPool, split: Split, metrics: dict[str, float]) -> ModelCard:
    """What the checkpoint says about its training."""
    trained = pool.subset([*split.training, *split.validation])
    configurations = trained.configurations
    lengths = np.concatenate([np.linalg.norm(labels.displacements, axis=-1).ravel() for labels in trained.sets])
    host = trained.sets[0].host
    sizes = {"x".join(str(abs(row[i])) for i, row in enumerate(s.host.supercell_matrix)) for s in trained.sets}
    return ModelCard(
        name=config.name,
        hosts=tuple(sorted({labels.host.name for labels in trained.sets})),
        elements=tuple(sorted({symbol for configuration in configurations for symbol in configuration.species})),
        teacher=teacher_name(pool.teacher),
        label_source=f"{len(pool.configurations)} relaxations of {host.name}, settings {pool.teacher}",
        training_hash=f"{pool.content_hash}-{split.hash}",
        cluster_ids=frozenset(c.cluster_id for c in configurations if c.cluster_id),
        configuration_ids=frozenset(c.placement_id for c in configurations),
        training_sizes=tuple(sorted(sizes)),
        metrics=metrics,
        max_displacement_trained=float(lengths.max()),
        displacement_quantiles={f"{q:g}": float(np.quantile(lengths, q)) for q in _QUANTILES},
        limits=(
            "Not a DFT-trained model: it reproduces the relaxed structures of its teacher, with the teacher's errors.",
            "Neutral point defects (vacancies, substitutions, antisites) of the listed hosts and elements only.",
            "One relaxed structure per configuration: symmetry-broken or metastable minima are not represented.",
        ),
    )


def teacher_name(teacher: dict[str, Any]) -> str:
    """Short name of what made the labels."""
    return str(teacher.get("potential", teacher.get("name", "unknown")))


def _flat(metrics: dict[str, dict[str, float]]) -> dict[str, float]:
    return {f"{who}_{name}": value for who, figures in metrics.items() for name, value in figures.items()}
