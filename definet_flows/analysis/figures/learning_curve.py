"""The learning curve of one training: losses over epochs, from the rows of its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from definet_flows.analysis.figures.page import BLUE, DOTS_PER_INCH, GREY, VERMILLION, blank_page
from definet_flows.errors import InputError


def plot_learning_curve(rows: Sequence[Mapping[str, float]], path: str | Path, title: str = "") -> Path:
    """Training and validation loss over epochs, on a logarithmic axis, the best epoch marked, and the learning rate below.

    Parameters
    ----------
    rows
        One per epoch: ``epoch``, ``train_loss``, ``validation_loss`` (Å, where the loss is a length) and ``learning_rate``.
    path
        Image file; its suffix chooses the format. It is replaced at once, so that a reader never sees half a figure.
    title
        Above the figure.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If there is no epoch.
    """
    if not rows:
        raise InputError("No epoch is finished yet; there is no learning curve to draw.")
    figure = blank_page(height=4.2)
    losses, rate = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    epochs = [row["epoch"] + 1 for row in rows]
    curves = {
        name: np.array([row[name] for row in rows]) for name in ("train_loss", "validation_loss", "learning_rate")
    }
    marker = "." if len(rows) < 30 else ""
    losses.plot(epochs, curves["train_loss"], color=GREY, marker=marker, label="training")
    losses.plot(epochs, curves["validation_loss"], color=BLUE, marker=marker, label="validation, averaged weights")
    best = int(np.argmin(curves["validation_loss"]))
    value = float(curves["validation_loss"][best])
    losses.plot(epochs[best], value, "o", color=VERMILLION, label=f"best: {value:.4g} in epoch {epochs[best]:.0f}")
    losses.set_ylabel("loss (Å)", fontsize=9)
    losses.set_title(title, loc="left", fontsize=9)
    losses.legend(fontsize=8, frameon=False)
    rate.plot(epochs, curves["learning_rate"], color=GREY, marker=marker)
    rate.set_ylabel("learning rate", fontsize=9)
    rate.set_xlabel("epoch", fontsize=9)
    for ax in (losses, rate):
        ax.set_yscale("log")
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    target = Path(path)
    partial = target.with_name(f".partial-{target.name}")
    figure.savefig(partial, dpi=DOTS_PER_INCH)
    partial.replace(target)
    return target
