"""The record of a relaxation whose job ended without writing one, from what it left behind."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
from fireworks.core.launchpad import LaunchPad

from definet_flows.engines import GpawEngine, Relaxation, VaspEngine
from definet_flows.jobs.hosts import configuration_from
from definet_flows.launch.fireworks.cluster import Cluster
from definet_flows.launch.fireworks.jobs import Assignment
from definet_flows.launch.fireworks.works import Work
from definet_flows.records.documents import PredictionRecord, RelaxationRecord
from definet_flows.records.extract import record_from_relaxation, record_of_loss


def record_of_leftovers(
    cluster: Cluster, assignment: Assignment, place: dict[str, Any], work: Work, why: str
) -> RelaxationRecord:
    """The record of a run: a failure, unless its program had come to its end.

    Parameters
    ----------
    cluster
        Where it ran.
    assignment
        Its campaign.
    place
        Where its campaign's runs are.
    work
        Its job.
    why
        Why it ended.
    """
    defects, prediction_key, charge = _arguments(cluster.launchpad, work)
    configuration = configuration_from(defects, assignment.host)
    prediction = _prediction(cluster, prediction_key)
    engine = assignment.engine(place)
    name = assignment.campaign.name
    outcome = None
    if isinstance(engine, GpawEngine | VaspEngine):
        start = None if prediction is None else np.array(prediction.positions)
        outcome = engine.left_behind(configuration, start, charge)
    if outcome is None:
        return record_of_loss(configuration, engine, name, why, _seconds(cluster.launchpad, work), prediction, charge)
    # What follows a converged relaxation is left to the job that is queued again.
    is_whole = outcome.converged and getattr(engine, "single_point", None) is None
    found = outcome if is_whole else _failed(outcome, why)
    return record_from_relaxation(configuration, found, engine, name, prediction, charge)


def _failed(outcome: Relaxation, why: str) -> Relaxation:
    """The figures so far; whatever they are, the job did not come to its end."""
    reason = f"{why}, after {outcome.ionic_steps} ionic steps"
    return outcome.model_copy(update={"converged": False, "error": reason})


def _arguments(launchpad: LaunchPad, work: Work) -> tuple[list[Any], str | None, int]:
    """The changed sites, the prediction and the charge that a relaxation's job was given."""
    firework = launchpad.fireworks.find_one({"fw_id": work.fw_id}, {"spec._tasks": 1})
    given = firework["spec"]["_tasks"][0]["job"]
    _, _, defects, prediction = given["function_args"]
    return defects, prediction, given["function_kwargs"].get("charge", 0)


def _prediction(cluster: Cluster, key: str | None) -> PredictionRecord | None:
    if key is None:
        return None
    return next(cluster.store.predictions({"key": key}, positions=True), None)


def _seconds(launchpad: LaunchPad, work: Work) -> float:
    """How long its last launch is known to have run, s."""
    launch = launchpad.launches.find_one({"launch_id": work.launch}, {"state_history": 1}) or {}
    times = [
        entry[name]
        for entry in launch.get("state_history", [])
        for name in ("created_on", "updated_on")
        if entry.get(name)
    ]
    moments = sorted(datetime.fromisoformat(str(time)) for time in times)
    return (moments[-1] - moments[0]).total_seconds() if moments else 0.0
