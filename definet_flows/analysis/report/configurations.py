"""What the page tells of each configuration: a row of the table, and a page with its runs and structures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from definet_flows.analysis.report.coordinates import Quanta, displacements
from definet_flows.analysis.results import CampaignResults
from definet_flows.analysis.savings import CountedPair, Threshold, counted_pairs
from definet_flows.analysis.table import EXPOSURES
from definet_flows.records.documents import (
    ConfigurationSummary,
    PredictionRecord,
    RelaxationRecord,
    SavingsRecord,
)
from definet_flows.records.store import RecordStore

PREDICTED = "predicted"
ENDS = {"converged": "converged", "unconverged": "did not converge", "failed": "failed"}
"""What became of a configuration that was relaxed from one start only, the worst last."""

_RUN_FIELDS = (
    *("key", "start", "state", "reason", "ionic_steps", "electronic_steps", "max_force", "energy", "total_moment"),
    *("wall_seconds", "cores", "core_hours", "checkpoint", "code_version", "last_updated"),
)
_PAIR_FIELDS = (
    *("steps_saved", "net_core_hours_saved", "same_minimum", "largest_distance", "energy_difference"),
    *("moment_difference", "lower_start", "trust", "committee_spread"),
)


@dataclass
class Configuration:
    """One configuration with everything on record about it.

    Attributes
    ----------
    summary
        Any of its documents.
    prediction
        The network's; None where there is none.
    runs
        Its relaxations.
    pair
        Its savings record; None unless it was relaxed from both starts.
    counted
        The pair as tables and figures count it, at each threshold.
    """

    summary: ConfigurationSummary
    prediction: PredictionRecord | None = None
    runs: list[RelaxationRecord] = field(default_factory=list)
    pair: SavingsRecord | None = None
    counted: dict[Threshold, CountedPair] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """What became of it, in the words of the savings table where it was relaxed from both starts."""
        if self.counted:
            return self.counted[Threshold.ENGINE].outcome.value
        states = {run.state for run in self.runs}
        return next((words for state, words in reversed(ENDS.items()) if state in states), PREDICTED)


def configurations(results: CampaignResults) -> list[Configuration]:
    """The configurations of a campaign of which anything is on record, by label and id."""
    found: dict[tuple[str, int], Configuration] = {}

    def of(record: ConfigurationSummary) -> Configuration:
        return found.setdefault((record.configuration_id, record.charge), Configuration(record))

    for prediction in results.predictions:
        of(prediction).prediction = prediction
    for run in results.relaxations:
        if results.is_current(run):
            of(run).runs.append(run)
    for (identity, charge), one in found.items():
        if charge and (identity, 0) in found:
            one.prediction = found[identity, 0].prediction  # the network's one prediction serves all charges
    for pair in sorted(results.savings, key=lambda one: one.physics_hash == results.campaign.physics_hash):
        one = of(pair)
        one.pair = pair
        one.counted = {threshold: counted_pairs([pair], threshold)[0] for threshold in results.thresholds}
    for one in found.values():
        one.runs.sort(key=lambda run: (run.start != "unrelaxed", run.last_updated, run.key))
    return sorted(found.values(), key=lambda one: (one.summary.label, one.summary.configuration_id, one.summary.charge))


def columns(
    listed: Sequence[Configuration],
    evidence: frozenset[str],
    energies: Mapping[tuple[str, int], Mapping[str, Any]],
) -> dict[str, list[Any]]:
    """The table of configurations, column by column.

    Parameters
    ----------
    listed
        One per row.
    evidence
        Keys of the pairs that figures show.
    energies
        Further columns by id and charge, where any are known.
    """
    unknown = dict.fromkeys(name for each in energies.values() for name in each)
    rows = [
        {**_row(one, evidence), **unknown, **energies.get((one.summary.configuration_id, one.summary.charge), {})}
        for one in listed
    ]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}


def pages(store: RecordStore, listed: Sequence[Configuration]) -> Iterator[tuple[dict[str, Any], list[Quanta]]]:
    """The page of each configuration: its content, and its structures in the order in which the content names them.

    Parameters
    ----------
    store
        Where the coordinates are; they are read together, so give a few hundred configurations at a time.
    listed
        The configurations.
    """
    keys = [run.key for one in listed for run in one.runs]
    positions = store.positions([*keys, *(one.prediction.key for one in listed if one.prediction is not None)])
    for one in listed:
        host = store.host(one.summary.host.fingerprint)
        documents = [*([one.prediction] if one.prediction is not None else []), *one.runs]
        located = [document for document in documents if document.key in positions]
        structures = [displacements(positions[document.key], host, one.summary) for document in located]
        yield _page(one, [document.key for document in located]), structures


def _row(one: Configuration, evidence: frozenset[str]) -> dict[str, Any]:
    summary, pair, prediction = one.summary, one.pair, one.prediction
    ends = {run.start: run for run in one.runs}
    baseline, other = ends.get("unrelaxed"), ends.get("prerelaxed")
    counted, coarse = one.counted.get(Threshold.ENGINE), one.counted.get(Threshold.COARSE)
    converged = [run.energy for run in one.runs if run.state == "converged" and run.energy is not None]
    return {
        "id": summary.configuration_id,
        "charge": summary.charge,
        "label": summary.label,
        "supercell": summary.host.title,
        "sites": summary.host.n_sites,
        "status": one.status,
        "exposure": EXPOSURES[prediction.exposure] if prediction is not None else None,
        "unrelaxed": baseline.ionic_steps if baseline else None,
        "prerelaxed": pair.prerelaxed.ionic_steps if pair else other.ionic_steps if other else None,
        "saved": counted.unrelaxed_steps - counted.prerelaxed_steps if counted else None,
        "core_hours_saved": short(pair.net_core_hours_saved if pair else None),
        "trust": short(pair.trust if pair else None, 2),
        "displacement": short(prediction.max_displacement if prediction else None, 3),
        "energy": short(min(converged, default=None), 9),
        # As tables and figures count them; only of pairs that figures show.
        "shown": bool(pair and pair.key in evidence),
        "counted": [counted.unrelaxed_steps, counted.prerelaxed_steps] if counted else None,
        "coarse": [coarse.unrelaxed_steps, coarse.prerelaxed_steps] if coarse else None,
    }


def _page(one: Configuration, structures: list[str]) -> dict[str, Any]:
    summary, pair, prediction = one.summary, one.pair, one.prediction
    return {
        "host": summary.host.fingerprint,
        "cluster": summary.cluster_id,
        "defects": summary.defects,
        "concentration": short(summary.concentration),
        "multiplicity": summary.multiplicity,
        "prediction": None
        if prediction is None
        else {
            "key": prediction.key,
            "checkpoint": prediction.checkpoint,
            "passed": prediction.passed,
            "reasons": prediction.reasons,
            "seconds": short(prediction.seconds),
        },
        "runs": [_run(run) for run in one.runs],
        "pair": None if pair is None else {name: short(getattr(pair, name)) for name in _PAIR_FIELDS},
        "structures": structures,
    }


def _run(run: RelaxationRecord) -> dict[str, Any]:
    fields = {name: short(getattr(run, name), 9 if name == "energy" else 5) for name in _RUN_FIELDS}
    return fields | {
        "engine": f"{run.engine.name} {run.engine.version or ''}".rstrip(),
        "physics_hash": run.engine.physics_hash,
        "history": [short(force, 4) for force in run.max_force_history],
    }


def short(value: Any, digits: int = 5) -> Any:
    """A number with as many digits as anyone reads, None where it is not finite; anything else as it is."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
