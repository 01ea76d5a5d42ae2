"""Records made from what an engine or the network returned."""

from __future__ import annotations

import math
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines import Relaxation
from definet_flows.records.documents import (
    EngineSummary,
    HostSummary,
    ModelSummary,
    PredictionRecord,
    RelaxationRecord,
    State,
)
from definet_flows.records.keys import prediction_key, relaxation_key

if TYPE_CHECKING:
    from definet_flows.definet import Prediction
    from definet_flows.engines.relaxation import Engine, EngineDescription

PRISTINE_LABEL = "pristine"


def pristine_configuration(host: Host) -> DefectConfiguration:
    """The configuration without defects: the pristine supercell, whose energy the others are compared with."""
    return DefectConfiguration(host, ())


def host_summary(host: Host) -> HostSummary:
    """The host in short."""
    return HostSummary(
        name=host.name,
        family=host.family,
        fingerprint=host.fingerprint,
        supercell_matrix=host.supercell_matrix,
        n_sites=host.n_sites,
    )


def record_from_relaxation(
    configuration: DefectConfiguration,
    relaxation: Relaxation,
    engine: EngineDescription,
    campaign: str,
    prediction: PredictionRecord | None = None,
    charge: int = 0,
) -> RelaxationRecord:
    """The record of one relaxation.

    Parameters
    ----------
    configuration
        What was relaxed; `pristine_configuration` for a pristine supercell.
    relaxation
        What the engine reports, failed or not.
    engine
        The engine, for its settings and their hash.
    campaign
        Name of the campaign.
    prediction
        The prediction it started from; None for the unrelaxed start.
    charge
        Total charge of the cell in elementary charges.

    Returns
    -------
    RelaxationRecord
        Converged, unconverged or failed, with the reason.
    """
    state, reason = _state_of(relaxation)
    return RelaxationRecord(
        key=planned_key(configuration, engine, prediction, charge),
        **configuration_summary(configuration, campaign),
        **_charged(configuration, charge),
        kind="defect" if configuration.defects else "pristine",
        state=state,
        reason=reason,
        engine=engine_summary(engine, relaxation.engine_version),
        **_figures(relaxation),
        **_origin(prediction),
    )


def record_of_loss(
    configuration: DefectConfiguration,
    engine: Engine,
    campaign: str,
    reason: str,
    wall_seconds: float,
    prediction: PredictionRecord | None = None,
    charge: int = 0,
) -> RelaxationRecord:
    """The failed record of a run that was lost before it could report anything; arguments as for `record_from_relaxation`.

    Parameters
    ----------
    reason
        Why, in one sentence.
    wall_seconds
        Wall time of all its attempts, s.
    """
    cores = engine.cores
    nothing = Relaxation(
        converged=False,
        error=reason,
        ionic_steps=None,
        max_force_history=[],
        wall_seconds=wall_seconds,
        cores=cores,
        core_hours=wall_seconds * cores / 3600,
        engine_version="",
    )
    record = record_from_relaxation(configuration, nothing, engine, campaign, prediction, charge)
    unknown = record.engine.model_copy(update={"version": None})
    return record.model_copy(update={"engine": unknown})


def record_from_prediction(
    prediction: Prediction, model: ModelSummary, campaign: str, cores: int = 1, gpus: int = 0
) -> PredictionRecord:
    """The record of one prediction and the guard's verdict on it.

    Parameters
    ----------
    prediction
        What the pre-relaxer returned.
    model
        The checkpoint and guard.
    campaign
        Name of the campaign.
    cores, gpus
        Processor cores and GPUs that it held.
    """
    configuration, verdict = prediction.configuration, prediction.verdict
    reference_hash = configuration.host.reference_hash
    return PredictionRecord(
        key=prediction_key(configuration.id, model.checkpoint_hash, model.guard_hash, reference_hash),
        **configuration_summary(configuration, campaign),
        **model.identity,
        reference_hash=reference_hash,
        positions=None if prediction.positions is None else prediction.positions.tolist(),
        passed=verdict.passed,
        reasons=list(verdict.reasons),
        max_displacement=verdict.max_displacement,
        exposure=prediction.exposure,
        seconds=prediction.seconds,
        cores=cores,
        gpus=gpus,
    )


def planned_key(
    configuration: DefectConfiguration,
    engine: EngineDescription,
    prediction: PredictionRecord | None = None,
    charge: int = 0,
) -> str:
    """Key of the relaxation of a configuration, from a prediction or from the unrelaxed start."""
    if prediction is None:
        return relaxation_key(configuration.id, charge, "unrelaxed", engine.physics_hash)
    hashes = prediction.checkpoint_hash, prediction.guard_hash
    return relaxation_key(configuration.id, charge, "prerelaxed", engine.physics_hash, *hashes)


def configuration_summary(configuration: DefectConfiguration, campaign: str) -> dict[str, Any]:
    """The fields by which every document says what it is about, but for the charge.

    Parameters
    ----------
    configuration
        What it is about.
    campaign
        Name of the campaign.
    """
    pristine = not configuration.defects
    return {
        "campaign": campaign,
        "configuration_id": configuration.id,
        "cluster_id": None if pristine else configuration.cluster_id,
        "defects": list(configuration.defects),
        "host": host_summary(configuration.host),
        "label": PRISTINE_LABEL if pristine else configuration.label,
        "n_defects": configuration.n_defects,
        "concentration": configuration.concentration,
        "multiplicity": 1 if pristine else configuration.multiplicity,
        "defect_distance": configuration.defect_distance,
    }


def _charged(configuration: DefectConfiguration, charge: int) -> dict[str, Any]:
    """The charge of a cell, and what it means for its record."""
    lacking = "layer" if configuration.host.dimensionality == 2 else "bulk"
    return {
        "charge": charge,
        "charge_outside_training": charge != 0,
        "charge_correction": lacking if charge else None,
    }


def _state_of(relaxation: Relaxation) -> tuple[State, str | None]:
    if relaxation.error is not None:
        return "failed", relaxation.error
    if relaxation.converged:
        return "converged", None
    force = f"{relaxation.max_force:.3g} eV/Å" if relaxation.max_force is not None else "unknown"
    after = f"after {relaxation.ionic_steps} force evaluations"
    if relaxation.details is not None and relaxation.details.electronic_converged is False:
        return "unconverged", f"the last self-consistency cycle did not converge {after}"
    return "unconverged", f"the largest force was {force} {after}"


def engine_summary(engine: EngineDescription, version: str) -> EngineSummary:
    """The engine, with all that decides its result, and the version that ran."""
    return EngineSummary(
        name=engine.name,
        version=version,
        physics=engine.physics,
        physics_hash=engine.physics_hash,
        execution=engine.execution,
    )


def _figures(relaxation: Relaxation) -> dict[str, Any]:
    return {
        "ionic_steps": relaxation.ionic_steps,
        "electronic_steps": relaxation.electronic_steps,
        "max_force_history": list(takewhile(math.isfinite, relaxation.max_force_history)),
        "max_force": _finite(relaxation.max_force),
        "energy": _finite(relaxation.energy),
        "total_moment": _finite(relaxation.total_moment),
        "wall_seconds": relaxation.wall_seconds,
        "cores": relaxation.cores,
        "core_hours": relaxation.core_hours,
        "positions": relaxation.positions,
        "details": relaxation.details,
    }


def _origin(prediction: PredictionRecord | None) -> dict[str, Any]:
    if prediction is None:
        return {"start": "unrelaxed"}
    return {
        "start": "prerelaxed",
        "checkpoint": prediction.checkpoint,
        "checkpoint_hash": prediction.checkpoint_hash,
        "guard_hash": prediction.guard_hash,
        "exposure": prediction.exposure,
        "prerelax_seconds": prediction.seconds,
    }


def _finite(figure: float | None) -> float | None:
    return figure if figure is not None and math.isfinite(figure) else None
