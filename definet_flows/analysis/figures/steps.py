"""Figures of a campaign, drawn with matplotlib's object interface so that no global state changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from definet_flows.analysis.savings import CountedPair, Outcome
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart under every common colour blindness.
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#7F7F7F"

# One shape for each way to lose, so that the figure also reads in grey.
LOSER_MARKERS = {
    Outcome.OTHER_MINIMUM: "D",
    Outcome.FALLBACK: "s",
    Outcome.PRERELAXED_FAILED: "X",
    Outcome.PRERELAXED_UNCONVERGED: "P",
    Outcome.UNRELAXED_LOST: "*",
}
WIDTH = 7.0
PANEL_HEIGHT = 3.1
"""Inches; two columns of a journal page."""
DOTS_PER_INCH = 300


def plot_ionic_steps(panels: Mapping[float, Sequence[CountedPair]], path: str | Path, title: str = "") -> Path:
    """Ionic steps of each configuration from both starts, as in Fig. 5a of the DefiNet paper (doi 10.1038/s41524-025-01728-w).

    Parameters
    ----------
    panels
        Pairs to draw at each force threshold in eV/Å, one panel under the other. Configurations are sorted by the steps of
        the unrelaxed start; losers are marked.
    path
        Image file; its suffix chooses the format.
    title
        Above the first panel.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If there is no pair to draw.
    """
    if not any(panels.values()):
        raise InputError(
            "No configuration was relaxed from both starts; raise baseline_fraction and run the campaign again."
        )
    figure = blank_page(PANEL_HEIGHT * len(panels) + 0.5)
    axes = list(figure.subplots(len(panels), squeeze=False)[:, 0])
    for ax, (threshold, pairs) in zip(axes, panels.items(), strict=True):
        _draw_panel(ax, pairs, threshold)
    axes[0].set_title(title, loc="left", fontsize=9)
    axes[-1].set_xlabel("configuration, sorted by the steps of its unrelaxed start", fontsize=9)
    _draw_legend(figure, axes)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return Path(path)


def blank_page(height: float, width: float = WIDTH) -> Figure:
    """A figure without panels, its sides in inches, that no global state knows of."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_panel(ax: Axes, pairs: Sequence[CountedPair], threshold: float) -> None:
    ordered = sorted(pairs, key=lambda pair: (pair.unrelaxed_steps, pair.prerelaxed_steps, pair.configuration_id))
    unrelaxed = np.array([pair.unrelaxed_steps for pair in ordered])
    prerelaxed = np.array([pair.prerelaxed_steps for pair in ordered])
    position = np.arange(1, len(ordered) + 1)
    size = float(np.clip(600 / len(ordered), 4, 26))
    ax.vlines(position, prerelaxed, unrelaxed, color=GREY, linewidth=0.6, alpha=0.6, zorder=1)
    ax.scatter(position, unrelaxed, s=size, color=VERMILLION, marker="o", label="unrelaxed start", zorder=2)
    ax.scatter(position, prerelaxed, s=size, color=BLUE, marker="^", label="prerelaxed start", zorder=3)
    for outcome, marker in LOSER_MARKERS.items():
        lost = np.array([pair.outcome is outcome for pair in ordered])
        if lost.any():
            ax.scatter(
                position[lost],
                prerelaxed[lost],
                s=3 * size,
                marker=marker,
                facecolors="none",
                edgecolors="black",
                linewidths=0.8,
                label=outcome.value,
                zorder=4,
            )
    _draw_medians(ax, float(np.median(unrelaxed)), float(np.median(prerelaxed)))
    ax.set_ylabel(f"ionic steps to {threshold:g} eV/Å", fontsize=9)
    ax.set_xlim(0, len(ordered) + 1)
    ax.set_ylim(bottom=0)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)


def _draw_medians(ax: Axes, unrelaxed: float, prerelaxed: float) -> None:
    for median, colour in ((unrelaxed, VERMILLION), (prerelaxed, BLUE)):
        ax.axhline(median, color=colour, linewidth=0.9, linestyle="--", zorder=0)
        ax.annotate(
            f"median {median:g}",
            (1, median),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            color=colour,
            fontsize=8,
            va="center",
        )


def _draw_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    entries: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=4, fontsize=8, frameon=False)
