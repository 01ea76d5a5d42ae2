"""What pre-relaxation saved: a configuration's two runs, paired, losers included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from definet_flows.defects import VACANCY
from definet_flows.records.documents import (
    ConfigurationSummary,
    PredictionRecord,
    RelaxationRecord,
    RunFigures,
    SavingsRecord,
    StoredDocument,
)
from definet_flows.records.keys import relaxation_key, savings_key
from definet_flows.records.minimum import Comparison, End, FloatArray, compare_ends
from definet_flows.records.store import Criteria, RecordStore

COARSE_FORCE = 0.05
"""eV/Å; the looser threshold at which steps are counted as well."""

CORES_PER_GPU = 32
"""A GPU is charged as so many processor cores, about its share of a node that has some of both."""

_BATCH = 200
Pair = tuple[RelaxationRecord, RelaxationRecord | None, PredictionRecord]


@dataclass(frozen=True)
class Charge:
    """What a prediction cost.

    Parameters
    ----------
    core_hours
        A GPU counted as `CORES_PER_GPU` cores.
    gpu_hours
        The GPU's own.
    """

    core_hours: float
    gpu_hours: float


def prediction_charge(prediction: PredictionRecord) -> Charge | None:
    """What is charged against the saving of a prediction; None where nothing told its time."""
    if prediction.seconds is None:
        return None
    hours = prediction.seconds / 3600
    return Charge(hours * (prediction.cores + prediction.gpus * CORES_PER_GPU), hours * prediction.gpus)


def steps_to(record: RelaxationRecord, threshold: float) -> int | None:
    """Force evaluations until the largest force was first below a threshold.

    Parameters
    ----------
    record
        A relaxation.
    threshold
        eV/Å.

    Returns
    -------
    int or None
        Counts from 1, the evaluation of the start; None where the force never fell that low.
    """
    return next((step for step, force in enumerate(record.max_force_history, 1) if force < threshold), None)


def same_minimum(unrelaxed: RelaxationRecord, prerelaxed: RelaxationRecord, lattice: FloatArray) -> Comparison | None:
    """Compare where two runs ended; None where either did not converge.

    Parameters
    ----------
    unrelaxed, prerelaxed
        Records with their positions.
    lattice
        [3, 3] rows in Å.
    """
    ends = [_end(record) for record in (unrelaxed, prerelaxed)]
    if ends[0] is None or ends[1] is None:
        return None
    return compare_ends(ends[0], ends[1], lattice, unrelaxed.engine.name)


def pair_runs(
    unrelaxed: RelaxationRecord,
    prerelaxed: RelaxationRecord | None,
    prediction: PredictionRecord,
    lattice: FloatArray,
) -> SavingsRecord:
    """The savings of one configuration.

    Parameters
    ----------
    unrelaxed
        The baseline, with positions.
    prerelaxed
        The run from the prediction, with positions; None after a fallback, which shares the baseline.
    prediction
        The prediction and the guard's verdict.
    lattice
        [3, 3] rows in Å.
    """
    fallback = prerelaxed is None
    other = unrelaxed if prerelaxed is None else prerelaxed
    return SavingsRecord(
        key=savings_key(
            unrelaxed.configuration_id,
            unrelaxed.charge,
            unrelaxed.engine.physics_hash,
            prediction.checkpoint_hash,
            prediction.guard_hash,
        ),
        **_shared_fields(unrelaxed),
        engine_name=unrelaxed.engine.name,
        physics_hash=unrelaxed.engine.physics_hash,
        checkpoint=prediction.checkpoint,
        checkpoint_hash=prediction.checkpoint_hash,
        guard_hash=prediction.guard_hash,
        exposure=prediction.exposure,
        guard_passed=prediction.passed,
        guard_reasons=prediction.reasons,
        fallback=fallback,
        max_displacement=prediction.max_displacement,
        unrelaxed=run_figures(unrelaxed),
        prerelaxed=run_figures(other),
        **_saved(unrelaxed, other, prediction, fallback=fallback),
        **_compared(same_minimum(unrelaxed, other, lattice)),
    )


def run_figures(record: RelaxationRecord) -> RunFigures:
    """A relaxation's figures, as a savings record keeps them."""
    shared = {name: getattr(record, name) for name in RunFigures.model_fields if name != "steps_to_coarse"}
    return RunFigures(**shared, steps_to_coarse=steps_to(record, COARSE_FORCE))


def build_savings(store: RecordStore, criteria: Criteria | None = None) -> list[SavingsRecord]:
    """Pair every configuration's two runs.

    A refused prediction counts, with zero saving, only where the configuration was drawn for comparison: the unrelaxed
    runs that refusals alone brought about would otherwise be counted without their successful neighbours.

    Parameters
    ----------
    store
        Where the runs are.
    criteria
        MongoDB criteria on the predictions, such as ``{"checkpoint_hash": ...}``; all by default.

    Returns
    -------
    list of SavingsRecord
        By label, then configuration id. Configurations that lack one of the runs are left out.
    """
    savings: list[SavingsRecord] = []
    pairs = _pairs(store, criteria)
    while batch := list(islice(pairs, _BATCH)):
        positions = store.positions({run.key for pair in batch for run in pair[:2] if run is not None})
        savings += [_paired(store, pair, positions) for pair in batch]
    return sorted(savings, key=lambda record: (record.label, record.configuration_id, record.key))


def _paired(store: RecordStore, pair: Pair, positions: dict[str, list[list[float]]]) -> SavingsRecord:
    unrelaxed, prerelaxed, prediction = pair
    lattice = store.host(unrelaxed.host.fingerprint).lattice
    located = [run and run.model_copy(update={"positions": positions.get(run.key)}) for run in (unrelaxed, prerelaxed)]
    return pair_runs(located[0] or unrelaxed, located[1], prediction, lattice)


def _pairs(store: RecordStore, criteria: Criteria | None) -> Iterator[Pair]:
    """Baseline and prerelaxed run of each configuration, None for the latter after a fallback."""
    baselines: dict[str, dict[str, RelaxationRecord]] = {}
    prerelaxed: dict[str, RelaxationRecord] = {}
    for run in store.relaxations({"kind": "defect"}):
        if run.start == "unrelaxed":
            baselines.setdefault(run.configuration_id, {})[run.engine.physics_hash] = run
        else:
            prerelaxed[run.key] = run
    drawn = {identity for campaign in store.campaigns() for identity in campaign.baseline_ids}
    for prediction in store.predictions(criteria):
        for physics_hash, baseline in baselines.get(prediction.configuration_id, {}).items():
            if prediction.reference_hash not in ("", physics_hash):
                continue  # predicted on the pristine cell of another engine
            run_from_it = prerelaxed.get(_key_of_run(prediction, physics_hash))
            if prediction.passed and run_from_it is not None:
                yield baseline, run_from_it, prediction
            elif not prediction.passed and prediction.configuration_id in drawn:
                yield baseline, None, prediction


def _key_of_run(prediction: PredictionRecord, physics_hash: str) -> str:
    hashes = physics_hash, prediction.checkpoint_hash, prediction.guard_hash
    return relaxation_key(prediction.configuration_id, prediction.charge, "prerelaxed", *hashes)


def _end(record: RelaxationRecord) -> End | None:
    if record.state != "converged" or record.positions is None or record.energy is None:
        return None
    vacated = {site for site, species in record.defects if species == VACANCY}
    atoms = [site for site in range(record.host.n_sites) if site not in vacated]
    return End(np.array(record.positions)[atoms], record.energy, record.total_moment)


def _shared_fields(record: RelaxationRecord) -> dict[str, Any]:
    names = set(ConfigurationSummary.model_fields) - set(StoredDocument.model_fields)
    return {name: getattr(record, name) for name in names}


def _saved(
    unrelaxed: RelaxationRecord, other: RelaxationRecord, prediction: PredictionRecord, *, fallback: bool
) -> dict[str, Any]:
    lost = unrelaxed.state != "converged", other.state != "converged"
    steps = _difference(unrelaxed.ionic_steps, other.ionic_steps, *lost, fallback=fallback)
    core_hours = _difference(unrelaxed.core_hours, other.core_hours, *lost, fallback=fallback)
    paid = prediction_charge(prediction)
    charge = None if paid is None else paid.core_hours
    states = {(False, False): "both_converged", (False, True): "prerelaxed_lost", (True, False): "unrelaxed_lost"}
    return {
        "pair_state": states.get(lost, "both_lost"),
        "steps_saved": steps,
        "steps_saved_fraction": steps / unrelaxed.ionic_steps if steps is not None and unrelaxed.ionic_steps else None,
        "core_hours_saved": core_hours,
        "prerelax_core_hours": charge,
        "prerelax_gpu_hours": None if paid is None else paid.gpu_hours,
        "net_core_hours_saved": None if core_hours is None or charge is None else core_hours - charge,
    }


def _difference(
    baseline: float | None,
    other: float | None,
    baseline_lost: bool,
    other_lost: bool,
    *,
    fallback: bool,
) -> float | None:
    """What was saved; a lost prerelaxed run costs all it used, because the baseline must then be run as well."""
    if baseline_lost or baseline is None or other is None:
        return None
    if fallback:
        return 0
    return -other if other_lost else baseline - other


def _compared(comparison: Comparison | None) -> dict[str, Any]:
    if comparison is None:
        names = ("same_minimum", "largest_distance", "energy_difference", "moment_difference", "lower_start")
        return dict.fromkeys(names)
    return {
        "same_minimum": comparison.same,
        "largest_distance": comparison.distance,
        "energy_difference": comparison.energy,
        "moment_difference": comparison.moment,
        "lower_start": comparison.lower,
    }
