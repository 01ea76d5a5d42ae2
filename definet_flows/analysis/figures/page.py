"""What all figures share: sizes, colours, axes, and how they are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from definet_flows.analysis.savings import Outcome
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart under every common colour blindness.
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#7F7F7F"
GREEN, PURPLE, ORANGE, SKY = "#009E73", "#CC79A7", "#E69F00", "#56B4E9"

SERIES: tuple[dict[str, Any], ...] = (
    {"color": VERMILLION, "marker": "o"},
    {"color": BLUE, "marker": "^"},
    {"color": GREEN, "marker": "s"},
    {"color": PURPLE, "marker": "D"},
    {"color": ORANGE, "marker": "v"},
    {"color": SKY, "marker": "P"},
    {"color": GREY, "marker": "X"},
)
"""Colour and shape of each series, in order; the Dummy model is drawn first."""

# One shape for each way to lose, so that a figure also reads in grey.
LOSER_MARKERS = {
    Outcome.OTHER_MINIMUM: "D",
    Outcome.FALLBACK: "s",
    Outcome.PRERELAXED_FAILED: "X",
    Outcome.PRERELAXED_UNCONVERGED: "P",
    Outcome.UNRELAXED_LOST: "*",
}
WIDTH = 7.0
"""Inches; two columns of a journal page."""
DOTS_PER_INCH = 300


def blank_page(height: float, width: float = WIDTH) -> Figure:
    """A figure without panels, its sides in inches, that no global state knows of."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def blank_figure(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure of one panel, its sides in inches."""
    figure = blank_page(height, width)
    return figure, figure.subplots()


def finish(ax: Axes, y_axis: str, *, legend: bool = True) -> None:
    """Name the vertical axis, show the legend, and take away what says nothing."""
    ax.set_ylabel(y_axis, fontsize=9)
    ax.tick_params(labelsize=8, which="both")
    ax.spines[["top", "right"]].set_visible(False)
    if legend and ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=8, frameon=False)


def common_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend above all panels, each entry once."""
    entries: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    columns = 4 if max(map(len, entries), default=0) < 20 else 3
    shape: dict[str, Any] = {"loc": "outside upper center", "ncols": columns, "fontsize": 8, "frameon": False}
    figure.legend(list(entries.values()), list(entries), **shape)


def remark(figure: Figure, sentence: str) -> None:
    """Say below the panels what they do not show; an empty sentence says nothing."""
    if sentence:
        figure.supxlabel(sentence, fontsize=8, color=GREY, x=0.01, ha="left")


def save(figure: Figure, path: str | Path) -> Path:
    """Write the figure at print resolution, in the format of the suffix.

    Raises
    ------
    InputError
        If there is no such format.
    """
    if Path(path).suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
        raise InputError(f"A figure cannot be written as {path}; let its name end in .png, .svg or .pdf.")
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return Path(path)
