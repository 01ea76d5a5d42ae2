"""A campaign is stopped, so that nothing of it begins, and goes on again; both may be called twice and killed at any moment."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from definet_flows.launch.fireworks.cluster import Cluster, batches
from definet_flows.launch.fireworks.gate import StoppedJobError, open_again, shut
from definet_flows.launch.fireworks.routing import MARK
from definet_flows.launch.fireworks.scheduler import Launch, Scheduler
from definet_flows.launch.fireworks.submissions import Submission
from definet_flows.launch.fireworks.waves import Waves
from definet_flows.launch.fireworks.works import HELD, NEVER, reason_of, works_of


class Stop(BaseModel):
    """What stopping a campaign did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the campaign")
    held: int = Field(description="Jobs that waited and are held now")
    waiting: int = Field(description="Chunks that stay as they are")
    running: int = Field(description="Jobs that run, and finish unless they were cancelled")
    cancelled: int = Field(description="Jobs that were taken out of the queue")
    unreached: int = Field(description="Jobs that should have been, and no queue of this machine knows of them")


class Resumption(BaseModel):
    """What letting a campaign go on did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the campaign")
    freed: int = Field(description="Jobs that were held and wait to be run now")
    released: int = Field(description="Chunks that became jobs now")


def stop(cluster: Cluster, submission: Submission, *, now: bool = False) -> Stop:
    """Let nothing of a campaign begin any more.

    What waits in chunks stays there, what waits as jobs is held, and a job that a launcher takes in this very moment, or that
    a running one adds, ends at the gate without having begun.

    Parameters
    ----------
    cluster
        Where it was submitted.
    submission
        The campaign.
    now
        Also take its jobs out of the queue, those that run included; `recover` then finds what they left.
    """
    waves = Waves(cluster.launchpad, submission.key)
    with cluster.answering():
        shut(cluster.store, submission.key)
        waves.note_stopped(stopped=True)
        works = works_of(cluster, submission, NEVER)
        launches = [work.launch for work in works if work.launch is not None and work.state in HELD]
        cancelled, unreached = _cancelled(cluster, submission, launches) if now else (0, 0)
        for work in works:
            if work.state in {"RESERVED", "DROPPED"}:
                # Held as it is, it would still look as if it were in the queue when it goes on.
                cluster.launchpad.cancel_reservation(work.launch)
        held = [work.fw_id for work in works if work.state in {"WAITING", "READY", "RESERVED", "DROPPED"}]
        n_held = sum(cluster.launchpad.pause_fw(fw_id) is not None for fw_id in held)
        counts = waves.counts()
    return Stop(
        name=submission.name,
        held=n_held,
        waiting=counts["waiting"],
        running=sum(work.state == "RUNNING" for work in works),
        cancelled=cancelled,
        unreached=unreached,
    )


def resume(cluster: Cluster, submission: Submission) -> Resumption:
    """Let a campaign go on where it was stopped.

    Parameters
    ----------
    cluster
        Where it was submitted.
    submission
        The campaign.
    """
    launchpad, waves = cluster.launchpad, Waves(cluster.launchpad, submission.key)
    with cluster.answering():
        waves.note_stopped(stopped=False)
        open_again(cluster.store, submission.key)
        held = launchpad.fireworks.find({f"spec.{MARK}.campaign": submission.key, "state": "PAUSED"}, {"fw_id": 1})
        n_freed = sum(launchpad.resume_fw(one["fw_id"]) is not None for one in list(held))
        works = works_of(cluster, submission, NEVER)
        turned_away = [one for one in works if one.state == "FIZZLED" and was_turned_away(reason_of(launchpad, one))]
        for work in turned_away:
            launchpad.rerun_fw(work.fw_id)
        n_released = waves.go_on()
    return Resumption(name=submission.name, freed=n_freed + len(turned_away), released=n_released)


def was_turned_away(reason: str) -> bool:
    """Whether a job ended, for this reason, because its campaign was stopped when it was to begin."""
    return StoppedJobError.__name__ in reason


def _cancelled(cluster: Cluster, submission: Submission, launches: list[int]) -> tuple[int, int]:
    """How many jobs were taken out of the queue, and how many could not be."""
    scheduler = Scheduler(submission.plan.resources.scheduler)
    fields = {"host": 1, "launch_dir": 1, "state_history": 1}
    outcomes = [
        scheduler.cancel(Launch.from_document(content))
        for some in batches(launches)
        for content in cluster.launchpad.launches.find({"launch_id": {"$in": list(some)}}, fields)
    ]
    # A job that was started by hand is in no queue, and nothing but its launcher can end it.
    return outcomes.count(True), len(outcomes) - outcomes.count(True)
