"""What a submission will cost: from what earlier runs cost where there are any, else from assumptions that it names."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean

from definet_flows.flows.resources import Resources
from definet_flows.launch.fireworks.submitting import Plan
from definet_flows.records.store import RecordStore

START_SECONDS = 60.0
"""Assumed: s until a prediction job has loaded its network."""

PREDICTION_SECONDS = 0.1
"""Assumed: s per prediction on a GPU."""


@dataclass(frozen=True)
class Estimate:
    """A cost and where its figure comes from.

    Attributes
    ----------
    hours
        GPU- or core-hours; None where nothing tells.
    basis
        In a few words.
    """

    hours: float | None
    basis: str


def gpu_hours(plan: Plan, store: RecordStore) -> Estimate:
    """GPU-hours of the predictions of a plan."""
    model = plan.record.model
    if model is None:
        return Estimate(0.0, "nothing is predicted")
    criteria = {"checkpoint_hash": model.checkpoint_hash, "gpus": {"$gt": 0}, "seconds": {"$gt": 0}}
    found = store.stores["predictions"].query(criteria, properties=["seconds"], limit=10_000)
    known = [content["seconds"] for content in found]
    each = mean(known) if known else PREDICTION_SECONDS
    basis = f"{len(known)} stored predictions" if known else f"assumed: {PREDICTION_SECONDS} s each"
    hours = (plan.n_new * each + len(plan.chunks) * START_SECONDS) / 3600
    return Estimate(hours, f"{basis}, {START_SECONDS:.0f} s assumed for the start of each job")


def core_hours(plan: Plan, store: RecordStore) -> Estimate:
    """Core-hours of the relaxations of a plan, if every prediction passes the guard."""
    campaign = plan.submission.plan
    physics_hash = campaign.engine.physics_hash
    predicts = plan.record.model is not None
    n_prerelaxed = plan.n_new * len(campaign.charges) if predicts else 0
    n_unrelaxed = (plan.n_baseline if predicts else plan.n_new) * len(campaign.charges)
    of_start = {start: _core_hours(store, physics_hash, start) for start in ("unrelaxed", "prerelaxed")}
    # An unrelaxed start is the dearer of the two, and stands in for the other where only it is known.
    unrelaxed = of_start["unrelaxed"] or of_start["prerelaxed"]
    prerelaxed = of_start["prerelaxed"] or of_start["unrelaxed"]
    if unrelaxed and prerelaxed:
        hours = n_unrelaxed * mean(unrelaxed) + n_prerelaxed * mean(prerelaxed)
        n_known = sum(len(known) for known in of_start.values())
        return Estimate(hours, f"{n_known} stored relaxations with the same engine settings")
    return _at_most(campaign.resources, n_unrelaxed + n_prerelaxed, campaign.engine.cores)


def _core_hours(store: RecordStore, physics_hash: str, start: str) -> list[float]:
    criteria = {"engine.physics_hash": physics_hash, "start": start, "kind": "defect", "core_hours": {"$gt": 0}}
    found = store.stores["relaxations"].query(criteria, properties=["core_hours"], limit=10_000)
    return [content["core_hours"] for content in found]


def _at_most(resources: Resources, n_runs: int, cores: int) -> Estimate:
    if resources.relax.seconds is None:
        return Estimate(None, "no stored relaxation with these engine settings, no resources.relax.walltime")
    hours = n_runs * cores * resources.relax.seconds / 3600
    return Estimate(hours, f"at most: {n_runs} relaxations on {cores} cores for their whole wall time")
