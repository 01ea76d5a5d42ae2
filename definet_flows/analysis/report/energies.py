"""Formation energies on the page: what they are counted from, the most stable placement of each recipe, and a row's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from definet_flows.analysis.report.sections import table
from definet_flows.analysis.results import CampaignResults
from definet_flows.records.energetics import ElementTable, ScreenEnergies, check_table, screen_energies
from definet_flows.records.store import RecordStore

MOST_RECIPES = 40
"""Recipes of one supercell that are listed; the table of configurations has all."""


@dataclass(frozen=True)
class Energetics:
    """The energies of a campaign, one screen for each supercell.

    Parameters
    ----------
    screens
        Those with chemical potentials; none where no elements are known.
    """

    screens: Sequence[ScreenEnergies]

    @property
    def limits(self) -> list[str]:
        """Names of the limits, over all supercells."""
        return list(dict.fromkeys(one.limit for screen in self.screens for one in screen.limits))

    def columns(self) -> dict[tuple[str, int], dict[str, Any]]:
        """What the table of configurations has of each: distance, binding energy and formation energies by limit, in eV."""
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        for screen in self.screens:
            binding = {one.configuration_id: one.binding_energy for one in screen.binding}
            for one in screen.formation:
                rows[one.configuration_id, one.charge] = {
                    "distance": _rounded(one.defect_distance),
                    "binding": _rounded(binding.get(one.configuration_id)),
                    "formation": {limit: _rounded(energy) for limit, energy in one.formation_energies.items()},
                }
        return rows

    def section(self) -> str:
        """The section of the page; nothing where there is nothing to tell."""
        if not self.screens:
            return ""
        return (
            "<section id='energies'><h2>Formation energies</h2>"
            + "".join(_potentials(one) + _recipes(one) for one in self.screens)
            + "<div class='figures'></div></section>"
        )


def energetics(store: RecordStore, results: CampaignResults, elements: ElementTable | None = None) -> Energetics:
    """The energies of a campaign, from the elements that its store holds or a table gives.

    Parameters
    ----------
    store
        Where its hosts and elements are.
    results
        The campaign.
    elements
        A table of the user's.

    Raises
    ------
    InputError
        If the table is of another physics hash than the campaign's.
    """
    current = {one.campaign.physics_hash for one in results.members or [results]}
    runs = [run for run in results.relaxations if run.engine.physics_hash in current]
    screens = screen_energies(store, elements, runs)
    if elements is not None and screens:
        check_table(elements, screens)
    return Energetics([one for one in screens if one.limits])


def _potentials(screen: ScreenEnergies) -> str:
    """The chemical potentials at each limit, and what keeps them there."""
    symbols = list(dict.fromkeys(symbol for one in screen.limits for symbol in one.values))
    header = ["limit", *(f"μ({symbol}), eV" for symbol in symbols), "impurities bounded by"]
    lines = [
        [
            one.limit,
            *(_rounded(one.values.get(symbol)) for symbol in symbols),
            ", ".join(f"{compound} ({symbol})" for symbol, compound in one.bounds.items()) or None,
        ]
        for one in screen.limits
    ]
    notes = [
        f"{compound} would form at the {one.limit} limit, by {excess:.4f} eV per formula unit."
        for one in screen.limits
        for compound, excess in one.exceeded.items()
    ]
    notes += screen.remarks + [f"Left out: {number} {reason}." for reason, number in screen.left_out.items()]
    if screen.engine_name == "forcefield":
        notes.append("These are the energies of a machine-learned potential, not of DFT.")
    listed = "".join(f"<li>{escape(one)}</li>" for one in notes)
    return f"<h3>{escape(screen.host.title)}</h3>{table(header, lines)}<ul class='remarks'>{listed}</ul>"


def _recipes(screen: ScreenEnergies) -> str:
    """The most stable placement of each recipe, the recipe of lowest energy first."""
    limits = [one.limit for one in screen.limits]
    placements = Counter(one.label for one in screen.formation)
    binding = {one.configuration_id: one.binding_energy for one in screen.binding}
    lowest = list({one.label: one for one in sorted(screen.formation, key=lambda one: -one.energy)}.values())
    lowest.sort(key=lambda one: (one.formation_energies.get(limits[0], float("inf")), one.label))
    header = [
        "recipe",
        "placements",
        "most stable",
        "distance (Å)",
        "binding (eV)",
        *(f"formation, {one} (eV)" for one in limits),
    ]
    lines = [
        [
            *(one.label, placements[one.label], one.configuration_id),
            *(_rounded(one.defect_distance), _rounded(binding.get(one.configuration_id))),
            *(_rounded(one.formation_energies.get(limit)) for limit in limits),
        ]
        for one in lowest[:MOST_RECIPES]
    ]
    others = len(lowest) - len(lines)
    remark = f"{others} more recipes stand in the table of configurations." if others else ""
    return table(header, lines) + (f"<p class='remark'>{remark}</p>" if remark else "")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
