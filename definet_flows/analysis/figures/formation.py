"""Formation energies against the distance between the defects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from definet_flows.analysis.figures.page import SERIES, blank_page, common_legend, finish, remark, save
from definet_flows.analysis.figures.tables import LEFT_OUT
from definet_flows.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST_LABELS = 21
"""As many kinds of defects as one figure tells apart; the others are counted in its remark."""

FILLS = ("full", "none", "left")


def plot_formation(formation: pd.DataFrame, path: str | Path, title: str = "") -> Path:
    """Formation energy against the smallest defect–defect distance, one panel for each limit of the chemical potentials.

    Parameters
    ----------
    formation
        One row for each configuration and limit: ``label``, ``distance_angstrom`` (NaN for one defect, drawn at the left),
        ``formation_energy_ev`` and ``limit``; of `formation_table`.
    path
        Image file; its suffix chooses the format.
    title
        Above the first panel.

    Raises
    ------
    InputError
        If there is no formation energy.
    """
    if formation.empty:
        raise InputError(
            "No formation energy is known; relax the elements first: definet-flows elements CAMPAIGN --dir DIR."
        )
    labels = list(formation["label"].value_counts().index[:MOST_LABELS])
    limits = list(dict.fromkeys(formation["limit"]))
    figure = blank_page(3.1 * len(limits) + 0.9)
    panels = list(figure.subplots(len(limits), squeeze=False, sharex=True)[:, 0])
    for ax, limit in zip(panels, limits, strict=True):
        part = formation[formation["limit"] == limit]
        _draw_limit(ax, part[part["label"].isin(labels)], sorted(labels))
        finish(ax, f"formation energy (eV)\n{limit}", legend=False)
    panels[0].set_title(title, loc="left", fontsize=9)
    panels[-1].set_xlabel("smallest distance between two defects (Å)", fontsize=9)
    _name_single(panels, formation)
    common_legend(figure, panels)
    remark(figure, _left_out(formation, labels))
    return save(figure, path)


def _draw_limit(ax: Axes, part: pd.DataFrame, labels: list[str]) -> None:
    for number, label in enumerate(labels):
        here = part[part["label"] == label]
        style, fill = SERIES[number % len(SERIES)], FILLS[number // len(SERIES)]
        distance = here["distance_angstrom"].fillna(0.0).to_numpy(dtype=float)
        energy = here["formation_energy_ev"].to_numpy(dtype=float)
        ax.plot(distance, energy, linestyle="none", markersize=5, fillstyle=fill, label=label, **style)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.grid(axis="y", linewidth=0.3)


def _name_single(panels: list[Axes], formation: pd.DataFrame) -> None:
    """Say that what stands at no distance is one defect alone."""
    if not formation["distance_angstrom"].isna().any():
        return
    largest = float(np.nan_to_num(formation["distance_angstrom"].max(), nan=1.0))
    ticks = np.arange(2, np.ceil(largest) + 1, max(1, round(largest / 8)))
    for ax in panels:
        ax.axvline(1.0, color="black", linewidth=0.4, linestyle=":")
        ax.set_xlim(-0.7, largest + 0.5)
        ax.set_xticks([0, *ticks], ["one\ndefect", *(f"{tick:g}" for tick in ticks)])


def _left_out(formation: pd.DataFrame, labels: list[str]) -> str:
    parts = [f"{number} {reason}" for reason, number in formation.attrs.get(LEFT_OUT, {}).items() if number]
    others = (
        formation.loc[~formation["label"].isin(labels), "configuration_id"].nunique()
        if len(labels) == MOST_LABELS
        else 0
    )
    parts += [f"{others} of other defects"] if others else []
    return f"Configurations not drawn: {', '.join(parts)}." if parts else ""
