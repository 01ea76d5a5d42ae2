"""What was saved: the distribution over configurations, losers in it, and the core-hours as bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from definet_flows.analysis.figures.page import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    blank_figure,
    blank_page,
    common_legend,
    finish,
    remark,
    save,
)
from definet_flows.analysis.figures.steps import THRESHOLD
from definet_flows.analysis.savings import Outcome
from definet_flows.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

OUTCOMES = {
    Outcome.SAME_MINIMUM: (BLUE, ""),
    Outcome.OTHER_MINIMUM: (ORANGE, "///"),
    Outcome.FALLBACK: (SKY, "..."),
    Outcome.PRERELAXED_FAILED: (VERMILLION, "xxx"),
    Outcome.PRERELAXED_UNCONVERGED: (PURPLE, "\\\\\\"),
    Outcome.UNRELAXED_LOST: (GREY, "+++"),
}
"""Colour and hatching of each outcome: the figure also reads in grey."""

LOWEST = -1.0
"""Savings of less stand in the first bin: the prediction cost more than a whole relaxation."""


def plot_savings(pairs: pd.DataFrame, path: str | Path, title: str = "") -> Path:
    """How much of its steps each configuration saved, as a histogram whose bars tell the outcomes apart.

    Parameters
    ----------
    pairs
        Of `pairs_table`; one panel for each threshold. Losers count as the savings table counts them.
    path
        Image file; its suffix chooses the format.
    title
        Above the first panel.

    Raises
    ------
    InputError
        If there is no pair to draw.
    """
    _check(pairs)
    parts = list(pairs.groupby(THRESHOLD, sort=False))
    figure = blank_page(2.7 * len(parts) + 0.6)
    panels = list(figure.subplots(len(parts), squeeze=False, sharex=True)[:, 0])
    # Whole quarters, so that zero and every label stand at the edge of a bar.
    lowest = max(LOWEST, min(-0.25, float(np.floor(4 * pairs["saved_fraction"].min()) / 4)))
    for ax, (threshold, part) in zip(panels, parts, strict=True):
        _draw_histogram(ax, part, lowest)
        finish(ax, f"configurations,\nto {threshold:g} eV/Å", legend=False)
    panels[0].set_title(title, loc="left", fontsize=9)
    panels[-1].set_xlabel("share of the unrelaxed start's steps that was saved", fontsize=9)
    common_legend(figure, panels)
    return save(figure, path)


def plot_core_hours(
    pairs: pd.DataFrame, path: str | Path, title: str = "", training_core_hours: float | None = None
) -> Path:
    """Core-hours of all pairs from both starts, as in Fig. 5c of the DefiNet paper, one pair of bars for each supercell.

    The prerelaxed bar is made of the relaxations that stood, those charged to lost runs, and the predictions.

    Parameters
    ----------
    pairs
        Of `pairs_table`.
    path, title
        As for `plot_savings`.
    training_core_hours
        Of labels and training, drawn once, as a bar of its own; None where it is not known.

    Raises
    ------
    InputError
        If no pair tells its core-hours.
    """
    told = pairs[pairs[THRESHOLD] == pairs[THRESHOLD].min()].dropna(
        subset=["unrelaxed_core_hours", "prerelaxed_core_hours"]
    )
    if told.empty:
        raise InputError("No pair of runs tells its core-hours; there are no bars to draw.")
    untold = int((pairs[THRESHOLD] == pairs[THRESHOLD].min()).sum()) - len(told)
    figure, ax = blank_figure(height=3.6)
    cells = [(cell, part) for cell, part in told.sort_values("n_sites").groupby(["host", "supercell"], sort=False)]
    for place, (_, part) in enumerate(cells):
        _draw_bars(ax, place, part)
    names = [f"{host} {cell}\n{len(part)} pairs" for (host, cell), part in cells]
    if training_core_hours is not None:
        ax.bar(
            len(cells),
            training_core_hours,
            0.36,
            color=GREEN,
            hatch="ooo",
            edgecolor="white",
            label="labels and training",
        )
        ax.annotate(
            f"{training_core_hours:.3g}", (len(cells), training_core_hours), ha="center", va="bottom", fontsize=8
        )
        names.append("once")
    ax.set_xticks(range(len(names)), names)
    ax.margins(y=0.12)
    finish(ax, "core-hours", legend=False)
    ax.set_title(title, loc="left", fontsize=9)
    common_legend(figure, [ax])
    remark(figure, f"Not drawn: {untold} pairs of which a run did not tell its core-hours." if untold else "")
    return save(figure, path)


def _check(pairs: pd.DataFrame) -> None:
    if pairs.empty:
        raise InputError(
            "No configuration was relaxed from both starts; raise baseline_fraction and run the campaign again."
        )


def _draw_histogram(ax: Axes, pairs: pd.DataFrame, lowest: float) -> None:
    edges = np.linspace(lowest, 1, round(20 * (1 - lowest)) + 1)
    saved = np.clip(pairs["saved_fraction"].to_numpy(dtype=float), lowest, 1)
    below = np.zeros(len(edges) - 1)
    for outcome, (colour, hatch) in OUTCOMES.items():
        # A share of exactly zero, such as that of a refused prediction, belongs above it, whatever the rounding of the edges.
        counts = np.histogram(saved[(pairs["outcome"] == outcome.value).to_numpy()] + 1e-9, [*edges[:-1], 1.01])[0]
        if counts.any():
            style: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.4}
            label = f"{outcome.value} ({counts.sum()})"
            ax.bar(edges[:-1], counts, np.diff(edges), below, align="edge", label=label, **style)
            below += counts
    ax.axvline(0, color="black", linewidth=0.8)
    median = float(np.median(pairs["saved_fraction"]))
    ax.axvline(np.clip(median, lowest, 1), color="black", linewidth=0.9, linestyle="--")
    ax.set_title(f"median {_percent(median)}", loc="right", fontsize=8)
    ax.set_xlim(lowest, 1)
    ticks = np.arange(lowest, 1.01, 0.25)
    cut = "≤ " if (pairs["saved_fraction"] < lowest).any() else ""
    ax.set_xticks(ticks, [cut + _percent(ticks[0]), *map(_percent, ticks[1:])])


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("-", "−")


def _draw_bars(ax: Axes, place: int, pairs: pd.DataFrame) -> None:
    unrelaxed = float(pairs["unrelaxed_core_hours"].sum())
    lost = pairs["outcome"].isin([Outcome.PRERELAXED_FAILED.value, Outcome.PRERELAXED_UNCONVERGED.value])
    predicted = float(pairs["prediction_core_hours"].fillna(0).sum())
    charged = pairs["prerelaxed_core_hours"] - pairs["prediction_core_hours"].fillna(0)
    parts = {
        "prerelaxed start": (float(charged[~lost].sum()), BLUE, ""),
        "lost, and its unrelaxed run": (float(charged[lost].sum()), PURPLE, "xxx"),
        "predictions": (predicted, ORANGE, "///"),
    }
    ax.bar(place - 0.2, unrelaxed, 0.36, color=VERMILLION, label="unrelaxed start")
    ax.annotate(f"{unrelaxed:.3g}", (place - 0.2, unrelaxed), ha="center", va="bottom", fontsize=8)
    below = 0.0
    for label, (amount, colour, hatch) in parts.items():
        if amount:
            ax.bar(
                place + 0.2,
                amount,
                0.36,
                below,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.4,
                label=label,
            )
            below += amount
    share = 1 - below / unrelaxed if unrelaxed else 0.0
    ax.annotate(
        f"{below:.3g}\n({_percent(share)} saved)",
        (place + 0.2, below),
        ha="center",
        va="bottom",
        fontsize=8,
    )
