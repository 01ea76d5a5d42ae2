"""Which worker a job goes to: what predicts to the GPUs, all else to the CPUs, jobs that jobs add included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobflow.core.flow import Flow
from jobflow.core.job import Job, JobConfig

from definet_flows.flows.resources import Resources, Role
from definet_flows.jobs.prerelax import PREDICT_JOB

LIST_JOB = "list relaxations"
"""Name of the job that stands in for a prediction where there is no network."""

MARK = "definet"
"""Field of a Firework's spec that says which campaign it belongs to and what it does."""

ROLES: dict[str, Role] = {
    "predict": "predict",
    "list": "small",
    "release": "small",
    "relax": "relax",
    "prepare": "relax",
    "element": "relax",
}
"""What a job does, by its mark, to what it is to the queue."""


@dataclass
class RoutedConfig(JobConfig):
    """Where a job runs, for its Firework's spec; the job itself does not repeat it, nor hand it on to jobs that it adds."""

    pass_manager_config: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Without what the spec says already, which is a fifth of a waiting job."""
        return {"@module": type(self).__module__, "@class": type(self).__name__}


def routed(flow: Flow, resources: Resources) -> Flow:
    """Say of every job of a flow where it runs.

    By default jobflow gives the jobs that a job adds their parent's worker, which would send relaxations to the GPUs; here
    nothing is passed on, and a job that adds others routes them itself.

    Parameters
    ----------
    flow
        Of jobs only; changed in place.
    resources
        What the campaign asks of the queue.
    """
    for work in flow.jobs:
        assert isinstance(work, Job)  # noqa: S101  for the type checker
        work.config = RoutedConfig(
            manager_config={**work.config.manager_config, **resources.settings_for(role_of(work))}
        )
    return flow


def role_of(work: Job) -> Role:
    """What a job is to the queue, by its name."""
    if PREDICT_JOB in work.name:
        return "predict"
    return "small" if work.name == LIST_JOB else "relax"


def marked(work: Job, campaign: str, role: str, **what: Any) -> Job:
    """Note in the spec of a job's Firework what it does.

    Parameters
    ----------
    work
        The job, changed in place.
    campaign
        Key of its campaign.
    role
        ``predict``, ``list``, ``relax``, ``prepare`` or ``element``.
    what
        The ``configuration`` and record ``key`` of a relaxation, the ``phase`` of an element.
    """
    work.config.manager_config = {**work.config.manager_config, MARK: {"campaign": campaign, "role": role, **what}}
    return work
