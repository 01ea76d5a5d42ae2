"""Figures of coordinate errors, drawn from plain rows with matplotlib's object interface."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from definet_flows.analysis.figures.page import SERIES, VERMILLION, blank_figure, finish, remark, save
from definet_flows.analysis.tabular import Row

if TYPE_CHECKING:
    import numpy.typing as npt

MAE_AXIS = "coordinate MAE (Å)"


def plot_categories(
    rows: Sequence[Row],
    category: str,
    columns: Sequence[str],
    path: str | Path,
    *,
    axis: str | None = None,
    title: str = "",
    note: str = "",
) -> Path:
    """Errors of several columns side by side for each value of a category, on a logarithmic axis.

    Parameters
    ----------
    rows
        One per category; the columns are MAEs in Å.
    category
        Column that names the rows.
    columns
        One series each.
    path
        Image file; its suffix chooses the format.
    axis
        Name of the horizontal axis; by default the category's.
    title
        Above the panel.
    note
        Below it.
    """
    figure, ax = blank_figure(height=3.4)
    position = np.arange(len(rows))
    for offset, (column, style) in enumerate(zip(columns, SERIES, strict=False)):
        shift = (offset - (len(columns) - 1) / 2) * 0.12
        ax.plot(position + shift, _values(rows, column), linestyle="none", markersize=5, label=column, **style)
    ax.set_xticks(position, [str(row[category]) for row in rows], rotation=90 if len(rows) > 8 else 0)
    ax.set_xlabel(axis or category, fontsize=9)
    ax.set_yscale("log")
    finish(ax, MAE_AXIS)
    ax.set_title(title, loc="left", fontsize=9)
    remark(figure, note)
    return save(figure, path)


def plot_lengths(edges: npt.NDArray[Any], counts: npt.NDArray[Any], path: str | Path) -> Path:
    """Parity of displacement lengths as a two-dimensional histogram on logarithmic axes.

    Parameters
    ----------
    edges
        [n_bins + 1] Å, of both axes.
    counts
        [n_bins, n_bins] atoms; rows are relaxed lengths, columns predicted ones.
    path
        Image file.
    """
    from matplotlib.colors import LogNorm

    figure, ax = blank_figure(height=4.6, width=5.2)
    shown = np.ma.masked_equal(counts.T, 0)
    mesh = ax.pcolormesh(edges, edges, shown, norm=LogNorm(vmin=1, vmax=max(2, int(counts.max()))), cmap="viridis")
    ax.plot(edges[[0, -1]], edges[[0, -1]], color=VERMILLION, linewidth=0.9, label="perfect prediction")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_aspect("equal")
    ax.set_xlabel("relaxed displacement length (Å)", fontsize=9)
    finish(ax, "predicted displacement length (Å)")
    figure.colorbar(mesh, ax=ax, label="atoms")
    return save(figure, path)


def _values(rows: Sequence[Row], column: str) -> npt.NDArray[np.float64]:
    """A column as numbers, NaN (not drawn) where there is none."""
    return np.array([np.nan if (cell := row.get(column)) is None else float(cell) for row in rows])
