"""Predicted displacements against relaxed ones, atom by atom, and by the distance from the defect."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from definet_flows.analysis.figures.errors import plot_categories
from definet_flows.analysis.figures.page import GREY, ORANGE, blank_figure, finish, remark, save
from definet_flows.analysis.figures.tables import LEFT_OUT
from definet_flows.analysis.tabular import Row
from definet_flows.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

AXES = "xyz"
SHELLS = (0.0, 3.0, 4.0, 5.0, 6.0, np.inf)
"""Å; edges of the shells around the defects."""

N_BINS = 120


def plot_parity(atoms: pd.DataFrame, path: str | Path, title: str = "") -> Path:
    """Predicted against relaxed displacement, each Cartesian component of each atom, as a histogram over both.

    Parameters
    ----------
    atoms
        Of `atoms_table`. Atoms of configurations whose two starts ended in different minima are drawn over the others.
    path
        Image file; its suffix chooses the format.
    title
        Above the panel.

    Raises
    ------
    InputError
        If there is no atom to draw.
    """
    from matplotlib.colors import LogNorm

    relaxed, predicted = _components(atoms)
    figure, ax = blank_figure(height=5.0, width=5.6)
    limit = 1.05 * max(float(np.abs(relaxed).max()), float(np.abs(predicted).max()), 1e-3)
    edges = np.linspace(-limit, limit, N_BINS + 1)
    counts = np.histogram2d(relaxed.ravel(), predicted.ravel(), (edges, edges))[0]
    shown = np.ma.masked_equal(counts.T, 0)
    mesh = ax.pcolormesh(
        edges, edges, shown, norm=LogNorm(vmin=1, vmax=max(2, int(counts.max()))), cmap="viridis", rasterized=True
    )
    ax.axline((0, 0), slope=1, color=GREY, linewidth=0.9, label="perfect prediction", zorder=1)
    other = atoms["other_minimum"].to_numpy(dtype=bool)
    if other.any():
        number = atoms.loc[other, "configuration_id"].nunique()
        label = f"in another minimum ({number} configurations)"
        style: dict[str, Any] = {"s": 9, "facecolors": "none", "edgecolors": ORANGE, "linewidths": 0.6}
        ax.scatter(relaxed[other].ravel(), predicted[other].ravel(), label=label, zorder=3, **style)
    ax.set_aspect("equal")
    ax.set_xlim(-limit, limit)
    ax.set_ylim(-limit, limit)
    ax.set_xlabel("relaxed displacement component (Å)", fontsize=9)
    finish(ax, "predicted displacement component (Å)")
    ax.set_title(title, loc="left", fontsize=9)
    bar = figure.colorbar(mesh, ax=ax, shrink=0.85)
    bar.set_label("components of atoms", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    remark(figure, _left_out(atoms))
    return save(figure, path)


def plot_shells(atoms: pd.DataFrame, path: str | Path, title: str = "") -> Path:
    """Mean absolute error of a coordinate by the distance from the nearest defect, beside that of not moving the atoms.

    Parameters
    ----------
    atoms, path, title
        As for `plot_parity`.

    Raises
    ------
    InputError
        If there is no atom to draw.
    """
    relaxed, predicted = _components(atoms)
    distance = atoms["distance_angstrom"].to_numpy(dtype=float)
    rows: list[Row] = []
    for low, high in pairwise(SHELLS):
        inside = (distance >= low) & (distance < high)
        if inside.any():
            name = f"{low:g}–{high:g}" if np.isfinite(high) else f"over {low:g}"
            errors = {
                "pristine coordinates (Dummy)": float(np.abs(relaxed[inside]).mean()),
                "prediction": float(np.abs(predicted[inside] - relaxed[inside]).mean()),
            }
            rows.append({"shell": f"{name}\n{inside.sum()} atoms", **errors})
    columns = ("pristine coordinates (Dummy)", "prediction")
    axis = "distance from the nearest defect (Å)"
    return plot_categories(rows, "shell", columns, path, axis=axis, title=title, note=_left_out(atoms))


def _components(atoms: pd.DataFrame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Relaxed and predicted displacements [n_atoms, 3] in Å."""
    if atoms.empty:
        raise InputError("No configuration has both a prediction that passed the guard and a converged relaxation.")
    relaxed, predicted = (
        atoms[[f"{what}_{axis}_angstrom" for axis in AXES]].to_numpy(dtype=float) for what in ("relaxed", "predicted")
    )
    return relaxed, predicted


def _left_out(atoms: pd.DataFrame) -> str:
    parts = [f"{number} {reason}" for reason, number in atoms.attrs.get(LEFT_OUT, {}).items() if number]
    return f"Configurations not drawn: {', '.join(parts)}." if parts else ""
