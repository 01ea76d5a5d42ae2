"""The tables that figures are drawn from, one row for each pair of runs, atom or configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from definet_flows.analysis.results import CampaignResults
from definet_flows.analysis.savings import TRAINED_ON
from definet_flows.defects.distances import minimum_image, site_distances
from definet_flows.records.documents import PredictionRecord, RelaxationRecord
from definet_flows.records.energetics import ScreenEnergies
from definet_flows.records.query.packages import needed
from definet_flows.records.store import RecordStore

if TYPE_CHECKING:
    import pandas as pd

LEFT_OUT = "left_out"
"""Name in a table's ``attrs`` of what it does not hold: number by reason."""

PAIR_COLUMNS = (
    *("campaign", "configuration_id", "label", "host", "supercell", "n_sites", "exposure", "outcome"),
    *("threshold_ev_per_angstrom", "unrelaxed_steps", "prerelaxed_steps", "saved_fraction"),
    *("unrelaxed_core_hours", "prerelaxed_core_hours", "prediction_core_hours"),
)
ATOM_COLUMNS = (
    *("campaign", "configuration_id", "label", "site", "element", "distance_angstrom", "other_minimum"),
    *("relaxed_x_angstrom", "relaxed_y_angstrom", "relaxed_z_angstrom"),
    *("predicted_x_angstrom", "predicted_y_angstrom", "predicted_z_angstrom"),
)
FORMATION_COLUMNS = (
    *("configuration_id", "label", "host", "supercell", "n_defects", "charge", "distance_angstrom"),
    *("limit", "formation_energy_ev"),
)


def pairs_table(results: Iterable[CampaignResults]) -> pd.DataFrame:
    """Every pair of runs at every threshold of its campaign, as the savings table counts it.

    Configurations that the checkpoint was trained on are left out where there are others.

    Returns
    -------
    pandas.DataFrame
        With `PAIR_COLUMNS`. Steps and core-hours are those charged to either start, the prediction's own core-hours included in
        the prerelaxed start's; ``saved_fraction`` is one less their ratio, negative where more steps were needed.
    """
    rows = [row for one in results for row in _pairs(one)]
    return needed("pandas", "Figures").DataFrame(rows, columns=list(PAIR_COLUMNS))


def atoms_table(stores: Iterable[tuple[RecordStore, CampaignResults]]) -> pd.DataFrame:
    """Displacements of every atom from its pristine site, relaxed and predicted, their mean over the atoms taken away.

    A configuration's relaxed end is that from the unrelaxed start, as in training, else that from the prediction.

    Parameters
    ----------
    stores
        Each campaign with the store that holds its coordinates.

    Returns
    -------
    pandas.DataFrame
        With `ATOM_COLUMNS`; ``distance_angstrom`` is that of the site from the nearest defect. Its `LEFT_OUT` counts the
        configurations without a prediction that the guard let pass, and those without a relaxed end.
    """
    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for store, results in stores:
        for part in _displacements(store, results, left_out):
            rows += part
    table = needed("pandas", "Figures").DataFrame(rows, columns=list(ATOM_COLUMNS))
    table.attrs[LEFT_OUT] = dict(left_out)
    return table


def formation_table(screens: Iterable[ScreenEnergies]) -> pd.DataFrame:
    """Formation energies at every limit.

    Returns
    -------
    pandas.DataFrame
        With `FORMATION_COLUMNS`; ``distance_angstrom`` is the smallest between two defects, NaN for one defect. Its `LEFT_OUT`
        counts the configurations that have none, by reason.
    """
    rows = []
    left_out: Counter[str] = Counter()
    for screen in screens:
        left_out += screen.left_out
        for one in screen.formation:
            shared = {
                "configuration_id": one.configuration_id,
                "label": one.label,
                "host": one.host.name,
                "supercell": one.host.supercell,
                "n_defects": one.n_defects,
                "charge": one.charge,
                "distance_angstrom": one.defect_distance,
            }
            rows += [
                {**shared, "limit": limit, "formation_energy_ev": energy}
                for limit, energy in one.formation_energies.items()
            ]
    table = needed("pandas", "Figures").DataFrame(rows, columns=list(FORMATION_COLUMNS))
    table.attrs[LEFT_OUT] = dict(left_out)
    return table.astype({"distance_angstrom": float, "formation_energy_ev": float})


def _pairs(results: CampaignResults) -> Iterator[dict[str, Any]]:
    for threshold, force in results.thresholds.items():
        for record, pair in zip(results.evidence, results.pairs(threshold), strict=True):
            yield {
                "campaign": results.campaign.name,
                "configuration_id": record.configuration_id,
                "label": record.label,
                "host": record.host.name,
                "supercell": record.host.supercell,
                "n_sites": record.host.n_sites,
                "exposure": record.exposure,
                "outcome": pair.outcome.value,
                "threshold_ev_per_angstrom": force,
                "unrelaxed_steps": pair.unrelaxed_steps,
                "prerelaxed_steps": pair.prerelaxed_steps,
                "saved_fraction": 1 - pair.prerelaxed_steps / max(pair.unrelaxed_steps, 1),
                "unrelaxed_core_hours": pair.unrelaxed_core_hours,
                "prerelaxed_core_hours": pair.prerelaxed_core_hours,
                "prediction_core_hours": record.prerelax_core_hours,
            }


def _displacements(
    store: RecordStore, results: CampaignResults, left_out: Counter[str]
) -> Iterator[list[dict[str, Any]]]:
    ends = _ends(results.relaxations)
    others = {one.configuration_id for one in results.savings if one.same_minimum is False}
    chosen = [one for one in results.predictions if one.exposure != TRAINED_ON] or results.predictions
    drawable = []
    for prediction in chosen:
        end = ends.get(prediction.configuration_id)
        if not prediction.passed:
            left_out["refused by the guard"] += 1
        elif end is None:
            left_out["without a converged relaxation"] += 1
        else:
            drawable.append((prediction, end))
    for prediction, end in drawable:
        found = store.positions([prediction.key, end.key])
        if len(found) == 2:
            named = {
                "campaign": results.campaign.name,
                "configuration_id": prediction.configuration_id,
                "label": prediction.label,
                "other_minimum": prediction.configuration_id in others,
            }
            yield _atoms(store, prediction, [found[end.key], found[prediction.key]], named)


def _ends(relaxations: Sequence[RelaxationRecord]) -> dict[str, RelaxationRecord]:
    """The converged relaxation of each neutral configuration, that from the unrelaxed start where there is one."""
    converged = [one for one in relaxations if one.state == "converged" and one.kind == "defect" and not one.charge]
    return {one.configuration_id: one for one in sorted(converged, key=lambda one: (one.start, one.key))}


def _atoms(
    store: RecordStore, prediction: PredictionRecord, positions: Sequence[Any], named: dict[str, Any]
) -> list[dict[str, Any]]:
    configuration = store.configuration(prediction)
    host, there = configuration.host, np.flatnonzero(configuration.occupied)
    moved = minimum_image(np.array(positions)[:, there] - host.positions[there], host.lattice)  # [2, n_atoms, 3]
    moved -= moved.mean(axis=1, keepdims=True)
    nearest = site_distances(host, configuration.defect_sites).min(axis=0)
    species = configuration.species
    names = ATOM_COLUMNS[-6:]
    return [
        {
            **named,
            "site": int(site),
            "element": species[site],
            "distance_angstrom": float(nearest[site]),
            **dict(zip(names, (*relaxed.tolist(), *predicted.tolist()), strict=True)),
        }
        for site, relaxed, predicted in zip(there, moved[0], moved[1], strict=True)
    ]
