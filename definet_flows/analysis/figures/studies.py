"""Figures of studies, drawn from plain rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from definet_flows.analysis.figures.errors import MAE_AXIS
from definet_flows.analysis.figures.page import GREY, SERIES, blank_figure, finish, save
from definet_flows.analysis.tabular import Cell, Row

MAE = "MAE (Å)"


def plot_efficiency(rows: Sequence[Row], path: Path) -> Path:
    """MAE against the number of training labels; the row without labels is the Dummy model's."""
    figure, ax = blank_figure(height=3.4)
    trained = [row for row in rows if row.get("training labels") and row.get(MAE) is not None]
    for row in rows:
        if not row.get("training labels") and row.get(MAE) is not None:
            ax.axhline(number(row[MAE]), color=GREY, linestyle="--", linewidth=0.9, label=str(row["predictor"]))
    counts = [number(row["training labels"]) for row in trained]
    ax.plot(counts, [number(row[MAE]) for row in trained], label="test labels", **SERIES[1])
    ax.set_xscale("log")
    ax.minorticks_off()
    ax.set_xticks(counts, [f"{count:g}" for count in counts], rotation=45)
    ax.set_yscale("log")
    ax.set_xlabel("training labels", fontsize=9)
    finish(ax, MAE_AXIS)
    return save(figure, path)


def plot_arms(rows: Sequence[Row], path: Path) -> Path:
    """MAE of each network with its spread; the row without seeds is the Dummy model's."""
    figure, ax = blank_figure(height=3.6)
    arms = [row for row in rows if "seeds" in row and row.get(MAE) is not None]
    for row in rows:
        if "seeds" not in row and row.get(MAE) is not None:
            ax.axvline(number(row[MAE]), color=GREY, linestyle="--", linewidth=0.9, label=str(row["network"]))
    ax.errorbar(
        [number(row[MAE]) for row in arms],
        range(len(arms)),
        xerr=[number(row.get("MAE ± (Å)") or 0.0) for row in arms],
        linestyle="none",
        capsize=3,
        **SERIES[1],
    )
    ax.set_yticks(range(len(arms)), [str(row["network"]) for row in arms])
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel(MAE_AXIS, fontsize=9)
    finish(ax, "")
    return save(figure, path)


def plot_transfer(rows: Sequence[Row], path: Path) -> Path:
    """MAE on each group of labels after training on each group."""
    figure, ax = blank_figure(height=3.2, width=5.2)
    tests = list(dict.fromkeys(str(row["tested on"]) for row in rows))
    for style, trained in zip(SERIES, dict.fromkeys(str(row["trained on"]) for row in rows), strict=False):
        mine = [row for row in rows if row["trained on"] == trained and row.get(MAE) is not None]
        places = [tests.index(str(row["tested on"])) for row in mine]
        ax.plot(places, [number(row[MAE]) for row in mine], linestyle="none", label=f"trained on {trained}", **style)
    ax.set_xticks(range(len(tests)), [f"tested on {test}" for test in tests])
    ax.set_xlim(-0.5, len(tests) - 0.5)
    ax.set_yscale("log")
    finish(ax, MAE_AXIS)
    return save(figure, path)


def plot_rivals(rows: Sequence[Row], path: Path) -> Path:
    """MAE against seconds per structure; a MAE of zero lies at the lower edge."""
    figure, ax = blank_figure(height=3.6)
    measured = [row for row in rows if row.get(MAE) is not None]
    for index, row in enumerate(measured):
        style = SERIES[index % len(SERIES)]
        label = f"{row['method']} ({row['role']})" if row.get("role") else str(row["method"])
        ax.plot([number(row["s per structure"])], [number(row[MAE])], linestyle="none", label=label, **style)
    ax.set_xscale("log")
    ax.set_yscale("log", nonpositive="clip")
    ax.set_xlabel("seconds per structure, one thread", fontsize=9)
    finish(ax, MAE_AXIS)
    return save(figure, path)


PLOTS: dict[str, Callable[[Sequence[Row], Path], Path]] = {
    "data-efficiency": plot_efficiency,
    "ablation": plot_arms,
    "transfer": plot_transfer,
    "rivals": plot_rivals,
}
"""How the tables of each study are drawn."""


def number(cell: Cell) -> float:
    """A cell as a number, NaN (not drawn) where there is none."""
    return float("nan") if cell is None else float(cell)
