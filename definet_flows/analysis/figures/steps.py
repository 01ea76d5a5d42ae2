"""Ionic steps from both starts: of each configuration, and against the size of the supercell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from definet_flows.analysis.figures.page import (
    BLUE,
    GREY,
    LOSER_MARKERS,
    VERMILLION,
    blank_page,
    common_legend,
    finish,
    save,
)
from definet_flows.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_HEIGHT = 3.1
STARTS = {"unrelaxed": (VERMILLION, "o"), "prerelaxed": (BLUE, "^")}
"""Colour and shape of each start."""

THRESHOLD = "threshold_ev_per_angstrom"


def plot_ionic_steps(pairs: pd.DataFrame, path: str | Path, title: str = "") -> Path:
    """Ionic steps of each configuration from both starts, as in Fig. 5a of the DefiNet paper (doi 10.1038/s41524-025-01728-w).

    Parameters
    ----------
    pairs
        Of `pairs_table`; one panel for each threshold. Configurations are sorted by the steps of the unrelaxed start; losers
        are marked.
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
    figure, panels = _panels(pairs)
    for ax, (threshold, part) in zip(panels, pairs.groupby(THRESHOLD, sort=False), strict=True):
        _draw_sorted(ax, part)
        finish(ax, f"ionic steps to {threshold:g} eV/Å", legend=False)
    panels[0].set_title(title, loc="left", fontsize=9)
    panels[-1].set_xlabel("configuration, sorted by the steps of its unrelaxed start", fontsize=9)
    common_legend(figure, panels)
    return save(figure, path)


def plot_supercells(pairs: pd.DataFrame, path: str | Path, title: str = "") -> Path:
    """Ionic steps from both starts against the size of the supercell, as in Fig. 5b of the DefiNet paper.

    Every configuration is a point; a bar spans the middle half of each group, with its median. Losers are marked.

    Parameters
    ----------
    pairs, path, title
        As for `plot_ionic_steps`.

    Raises
    ------
    InputError
        If there is no pair to draw.
    """
    figure, panels = _panels(pairs)
    ordered = pairs.sort_values(["n_sites", "host", "supercell"])
    cells = list(ordered.groupby(["host", "supercell", "n_sites"], sort=False).groups)
    for ax, (threshold, part) in zip(panels, pairs.groupby(THRESHOLD, sort=False), strict=True):
        for place, cell in enumerate(cells):
            here = part[(part["host"] == cell[0]) & (part["supercell"] == cell[1]) & (part["n_sites"] == cell[2])]
            _draw_cell(ax, place, here)
        ax.set_xticks(range(len(cells)), [f"{host} {cell}\n{sites} sites" for host, cell, sites in cells])
        ax.set_xlim(-0.6, len(cells) - 0.4)
        ax.set_ylim(bottom=0)
        finish(ax, f"ionic steps to {threshold:g} eV/Å", legend=False)
    panels[0].set_title(title, loc="left", fontsize=9)
    common_legend(figure, panels)
    return save(figure, path)


def mark_losers(ax: Axes, x: Any, y: Any, outcomes: Any, size: float) -> None:
    """Draw the marks of pairs that are losers at their points."""
    for outcome, marker in LOSER_MARKERS.items():
        lost = np.array([one == outcome.value for one in outcomes])
        if lost.any():
            style: dict[str, Any] = {
                "marker": marker,
                "facecolors": "none",
                "edgecolors": "black",
                "linewidths": min(0.8, size / 20),
            }
            ax.scatter(np.asarray(x)[lost], np.asarray(y)[lost], s=size, label=outcome.value, zorder=4, **style)


def _panels(pairs: pd.DataFrame) -> tuple[Figure, list[Axes]]:
    if pairs.empty:
        raise InputError(
            "No configuration was relaxed from both starts; raise baseline_fraction and run the campaign again."
        )
    number = pairs[THRESHOLD].nunique()
    figure = blank_page(PANEL_HEIGHT * number + 0.5)
    return figure, list(figure.subplots(number, squeeze=False)[:, 0])


def _draw_sorted(ax: Axes, pairs: pd.DataFrame) -> None:
    ordered = pairs.sort_values(["unrelaxed_steps", "prerelaxed_steps", "configuration_id"])
    steps = {start: ordered[f"{start}_steps"].to_numpy(dtype=float) for start in STARTS}
    position = np.arange(1, len(ordered) + 1)
    size = float(np.clip(600 / len(ordered), 4, 26))
    width = float(np.clip(120 / len(ordered), 0.05, 0.6))
    ax.vlines(position, steps["prerelaxed"], steps["unrelaxed"], color=GREY, linewidth=width, alpha=0.6, zorder=1)
    for start, (colour, marker) in STARTS.items():
        ax.scatter(position, steps[start], s=size, color=colour, marker=marker, label=f"{start} start", zorder=2)
    mark_losers(ax, position, steps["prerelaxed"], ordered["outcome"], 3 * size)
    _draw_medians(ax, {start: float(np.median(steps[start])) for start in STARTS})
    ax.set_xlim(0, len(ordered) + 1)
    ax.set_ylim(bottom=0)


def _draw_medians(ax: Axes, medians: dict[str, float]) -> None:
    top = max(medians, key=lambda start: medians[start])
    for start, median in medians.items():
        colour = STARTS[start][0]
        ax.axhline(median, color=colour, linewidth=0.9, linestyle="--", zorder=0)
        # Above and below their lines, so that near ones do not write over each other.
        ax.annotate(
            f"median {median:g}",
            (1, median),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            color=colour,
            fontsize=8,
            va="bottom" if start == top else "top",
        )


def _draw_cell(ax: Axes, place: int, pairs: pd.DataFrame) -> None:
    """The pairs of one supercell: points beside each other by start, and the middle half of each."""
    if pairs.empty:
        return
    spread = np.random.default_rng(0).uniform(-0.09, 0.09, len(pairs))
    for shift, (start, (colour, marker)) in zip((-0.17, 0.17), STARTS.items(), strict=True):
        steps = pairs[f"{start}_steps"].to_numpy(dtype=float)
        low, median, high = np.percentile(steps, [25, 50, 75])
        x = place + shift + spread
        ax.scatter(
            x, steps, s=9, color=colour, marker=marker, alpha=0.55, linewidths=0, label=f"{start} start", zorder=2
        )
        ax.vlines(place + shift, low, high, color="black", linewidth=1.2, zorder=3)
        ax.hlines(median, place + shift - 0.13, place + shift + 0.13, color="black", linewidth=1.6, zorder=3)
        side = "right" if shift < 0 else "left"
        ax.annotate(
            f"{median:g}", (place + shift * 1.9, median), ha=side, va="center", fontsize=8, color=colour, zorder=5
        )
        if start == "prerelaxed":
            mark_losers(ax, x, steps, pairs["outcome"], float(np.clip(4000 / len(pairs), 6, 30)))
