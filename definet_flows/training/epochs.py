"""The log of a training: one row for each finished epoch, readable while it runs."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from definet_flows.errors import InputError

METRICS_FILE = "metrics.csv"
COLUMNS = ("epoch", "step", "train_loss", "validation_loss", "learning_rate")
"""Epoch from 0; optimiser steps so far; mean losses of the epoch, over training labels while they are learnt and over
validation labels with the averaged weights, Å (plus the weighted force term); learning rate during it."""

OnEpoch = Callable[[Path], None]
"""Called with the folder of logs after an epoch."""

_SHARE = 0.05
"""Of the time that what is called after epochs may take."""


def read_epochs(folder: Path) -> list[dict[str, float]]:
    """Rows of a training's log, by column; resumed parts included.

    Raises
    ------
    InputError
        If there is no log.
    """
    file = folder / METRICS_FILE
    if not file.is_file():
        raise InputError(f"There is no log of a training in {folder}; check the path.")
    with file.open(encoding="utf-8", newline="") as lines:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]


class EpochLog(Callback):
    """Appends a row after every epoch.

    Lightning's own CSV log starts anew at every resumption and spreads an epoch over several rows.

    Parameters
    ----------
    folder
        Where `METRICS_FILE` is.
    on_epoch
        Called after an epoch is logged, unless it would take more than a small part of the time.
    """

    def __init__(self, folder: Path, on_epoch: OnEpoch | None = None) -> None:
        self._folder = folder
        self._on_epoch = on_epoch
        self._not_before = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin the log, or drop what an interrupted run logged after the state that is resumed."""
        if trainer.is_global_zero:
            file = self._folder / METRICS_FILE
            earlier = read_epochs(self._folder) if file.is_file() else []
            rows = [[row[name] for name in COLUMNS] for row in earlier if row["epoch"] < trainer.current_epoch]
            with file.open("w", encoding="utf-8", newline="") as lines:
                csv.writer(lines).writerows([COLUMNS, *([int(epoch), int(step), *rest] for epoch, step, *rest in rows)])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Log the epoch."""
        if not trainer.is_global_zero:
            return
        losses = [float(trainer.callback_metrics[name]) for name in ("train_loss", "validation_loss")]
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        with (self._folder / METRICS_FILE).open("a", encoding="utf-8", newline="") as lines:
            csv.writer(lines).writerow([trainer.current_epoch, trainer.global_step, *losses, rate])
        begin = time.monotonic()
        if self._on_epoch and begin >= self._not_before:
            self._on_epoch(self._folder)
            end = time.monotonic()
            self._not_before = end + (end - begin) / _SHARE
