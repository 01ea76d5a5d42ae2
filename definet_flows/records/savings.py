"""How steps and core-hours are counted, wherever savings are."""

from __future__ import annotations

from dataclasses import dataclass

from definet_flows.records.documents import PredictionRecord, RelaxationRecord

COARSE_FORCE = 0.05
"""eV/Å; the looser threshold at which steps are counted as well."""

CORES_PER_GPU = 32
"""A GPU is charged as so many processor cores, about its share of a node that has some of both."""


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
