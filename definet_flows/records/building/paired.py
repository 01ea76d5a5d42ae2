"""The savings record of one pair of runs, from their documents alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from definet_flows.defects import VACANCY
from definet_flows.records.building.pairing import RunPair
from definet_flows.records.building.trust import committee_spread, displacement_quantile, trust
from definet_flows.records.documents import (
    ConfigurationSummary,
    PredictionRecord,
    Provenance,
    RelaxationRecord,
    RunFigures,
    SavingsRecord,
    StoredDocument,
)
from definet_flows.records.errors import StoreContentError
from definet_flows.records.minimum import Comparison, End, FloatArray, compare_ends
from definet_flows.records.savings import COARSE_FORCE, prediction_charge, steps_to


@dataclass(frozen=True)
class PairDocuments:
    """A pair with its documents, coordinates included.

    Parameters
    ----------
    pair
        Which documents these are.
    unrelaxed
        The baseline.
    prerelaxed
        The run from the prediction; None after a fallback, which shares the baseline.
    prediction
        The prediction and the guard's verdict.
    committee
        Predictions of other checkpoints.
    lattice
        [3, 3] rows in Å.
    """

    pair: RunPair
    unrelaxed: RelaxationRecord
    prerelaxed: RelaxationRecord | None
    prediction: PredictionRecord
    committee: tuple[PredictionRecord, ...]
    lattice: FloatArray


def savings_of(documents: PairDocuments) -> SavingsRecord:
    """What one configuration saved.

    Parameters
    ----------
    documents
        Of both of its runs.

    Raises
    ------
    StoreContentError
        If their coordinates do not fit their host.
    """
    pair, unrelaxed, prediction = documents.pair, documents.unrelaxed, documents.prediction
    fallback = documents.prerelaxed is None
    other = unrelaxed if documents.prerelaxed is None else documents.prerelaxed
    return SavingsRecord(
        key=pair.key,
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
        **_trusted(documents),
        unrelaxed=run_figures(unrelaxed),
        prerelaxed=run_figures(other),
        **_saved(unrelaxed, other, prediction, fallback=fallback),
        **_compared(same_minimum(unrelaxed, other, documents.lattice)),
        provenance=_provenance(documents),
    )


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


def run_figures(record: RelaxationRecord) -> RunFigures:
    """A relaxation's figures, as a savings record keeps them."""
    shared = {name: getattr(record, name) for name in RunFigures.model_fields if name != "steps_to_coarse"}
    return RunFigures(**shared, steps_to_coarse=steps_to(record, COARSE_FORCE))


def _trusted(documents: PairDocuments) -> dict[str, Any]:
    prediction, quantiles = documents.prediction, documents.pair.displacement_quantiles
    largest = prediction.max_displacement
    members = [atoms for one in documents.committee if (atoms := _atoms(one)) is not None]
    own = _atoms(prediction)
    return {
        "displacement_quantile": displacement_quantile(largest, quantiles),
        "trust": trust(prediction.passed, largest, quantiles),
        "committee_size": 1 + len(members),
        "committee_spread": None if own is None else committee_spread(own, members),
    }


def _provenance(documents: PairDocuments) -> Provenance:
    written = [one for one in (documents.unrelaxed, documents.prerelaxed, documents.prediction) if one is not None]
    return Provenance(
        campaigns=sorted({*documents.pair.campaigns, *(one.campaign for one in written)}),
        prediction_key=documents.prediction.key,
        engine_version=documents.unrelaxed.engine.version,
        code_versions=sorted({one.code_version for one in written}),
        sources_hash=documents.pair.sources_hash,
    )


def _atoms(record: RelaxationRecord | PredictionRecord) -> FloatArray | None:
    """[n_atoms, 3] Å, coordinates of the real atoms; None where there are none on record."""
    if record.positions is None:
        return None
    if len(record.positions) != record.host.n_sites:
        raise StoreContentError(
            f"Document {record.key} has coordinates of {len(record.positions)} sites, its host {record.host.n_sites}: it was "
            "changed by something else than definet-flows."
        )
    vacated = {site for site, species in record.defects if species == VACANCY}
    atoms = [site for site in range(record.host.n_sites) if site not in vacated]
    return np.array(record.positions)[atoms]


def _end(record: RelaxationRecord) -> End | None:
    atoms = _atoms(record)
    if record.state != "converged" or atoms is None or record.energy is None:
        return None
    return End(atoms, record.energy, record.total_moment)


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
