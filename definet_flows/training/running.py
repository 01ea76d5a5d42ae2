"""The Lightning trainer of a run: hardware, averaging, stopping, states and logs."""

from __future__ import annotations

import logging
import signal
import sys
from functools import partial
from pathlib import Path

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint, RichProgressBar
from lightning.pytorch.callbacks.weight_averaging import WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from torch import Tensor

from definet_flows.definet.prerelaxer import resolve_device
from definet_flows.errors import InputError
from definet_flows.training.config import TrainingConfig
from definet_flows.training.epochs import EpochLog, OnEpoch
from definet_flows.training.state import BEST_STATE, LAST_STATE


def check_hardware(config: TrainingConfig) -> torch.device:
    """Return the device a run trains on, the first of several.

    Raises
    ------
    InputError
        If there is no such device, there are not so many, or it cannot compute in this precision.
    """
    device = resolve_device(config.device)
    if config.devices > 1 and ":" in config.device:
        raise InputError(f"device {config.device} is one GPU, but devices is {config.devices}; write device: cuda.")
    if device.type == "cpu":
        if config.precision == "16-mixed":
            raise InputError("precision 16-mixed needs a GPU; use bf16-mixed or 32 on a CPU.")
        return device
    present = torch.cuda.device_count()
    if config.devices > present:
        raise InputError(f"{config.devices} GPUs were asked for, but torch sees {present}; lower devices.")
    if config.precision == "bf16-mixed" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise InputError("This GPU has no bf16 arithmetic; use precision 16-mixed or 32.")
    return device


def make_trainer(config: TrainingConfig, folder: Path, on_epoch: OnEpoch | None = None) -> Trainer:
    """Assemble the trainer.

    Parameters
    ----------
    config
        The training run.
    folder
        For states and logs.
    on_epoch
        Called with the folder now and then after an epoch, in the process that trains.
    """
    device = check_hardware(config)
    # It sets its own log level when it is imported, and announces hardware and products on every start.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    several = config.devices > 1
    on_terminal = sys.stderr.isatty()
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=config.devices if several or device.type == "cpu" else [device.index or 0],
        # Spawned, so that whatever started the training is not itself started again; and one machine, whatever Slurm says.
        strategy=DDPStrategy(start_method="spawn") if several else "auto",
        plugins=[LightningEnvironment()],
        precision=config.precision,
        max_epochs=config.max_epochs,
        accumulate_grad_batches=config.accumulate,
        gradient_clip_val=config.gradient_clip,
        callbacks=_callbacks(config, folder, on_epoch, on_terminal=on_terminal),
        logger=TensorBoardLogger(folder, name="", version="tensorboard"),
        default_root_dir=folder,
        enable_model_summary=False,
        enable_progress_bar=on_terminal,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )


def end_processes(trainer: Trainer) -> None:
    """End the processes that a trainer has started, where an interruption left any."""
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        trainer.strategy.launcher.kill(signal.SIGKILL)


def _callbacks(config: TrainingConfig, folder: Path, on_epoch: OnEpoch | None, *, on_terminal: bool) -> list[Callback]:
    callbacks: list[Callback] = [
        WeightAveraging(avg_fn=partial(_moved_average, config.ema_decay)),
        EarlyStopping("validation_loss", patience=config.early_stop_patience, min_delta=0.0),
        LearningRateMonitor(logging_interval="epoch"),
        EpochLog(folder, on_epoch),
        ModelCheckpoint(folder, filename=_stem(BEST_STATE), monitor="validation_loss", enable_version_counter=False),
        # After the best one, whose score it holds. Of its own, because `save_last` keeps no epoch that is not the best so far.
        ModelCheckpoint(folder, filename=_stem(LAST_STATE), enable_version_counter=False),
    ]
    if on_terminal:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    return callbacks


def _moved_average(decay: float, average: Tensor, weights: Tensor, n_averaged: Tensor | int) -> Tensor:
    """The exponential moving average after one more step; a function of the module, so that other processes find it.

    The decay grows to its value as steps are made. From the first step on, it would keep a good part of the untrained weights
    in any training of fewer than a few times 1 / (1 - decay) steps.
    """
    warm = min(decay, (1 + float(n_averaged)) / (10 + float(n_averaged)))
    return torch.lerp(average, weights, 1 - warm)  # exact where the two are equal


def _stem(file: str) -> str:
    return file.removesuffix(".ckpt")
