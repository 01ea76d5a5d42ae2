"""What a campaign that has ended leaves on its launchpad, and its removal once the results are elsewhere."""

from __future__ import annotations

from collections import Counter

from pydantic import BaseModel, ConfigDict, Field

from definet_flows.errors import InputError
from definet_flows.launch.fireworks.chunks import CHUNKS
from definet_flows.launch.fireworks.cluster import Cluster, batches
from definet_flows.launch.fireworks.elements import CLAIMS
from definet_flows.launch.fireworks.gate import open_again
from definet_flows.launch.fireworks.jobs import states_of
from definet_flows.launch.fireworks.routing import MARK
from definet_flows.launch.fireworks.submissions import SUBMISSIONS, Submission
from definet_flows.launch.fireworks.waves import Waves
from definet_flows.launch.fireworks.works import HELD, NEVER, Work, works_of

_ENDED = {"COMPLETED", "FIZZLED", "DEFUSED", "ARCHIVED"}
_BUSY = {*HELD, "LOST", "DROPPED"}


class Cleared(BaseModel):
    """What was removed of a campaign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the campaign")
    fireworks: int = Field(description="Jobs")
    chunks: int = Field(description="Chunks")
    outputs: int = Field(description="Outputs in jobflow's store")


def check_ended(cluster: Cluster, submission: Submission, *, clean: bool) -> None:
    """Refuse a campaign of which something runs or is to run.

    Parameters
    ----------
    cluster
        Where it was submitted.
    submission
        The campaign.
    clean
        It is to be removed from the launchpad, so that nothing must be there of which no record tells.

    Raises
    ------
    InputError
        With what has to be done first.
    """
    name = submission.plan.title
    with cluster.answering():
        works = works_of(cluster, submission, NEVER)
        chunks = Waves(cluster.launchpad, submission.key).counts()
    states = Counter(work.state for work in works)
    running = sum(states[state] for state in _BUSY)
    if running:
        raise InputError(
            f"{running} jobs of {submission.name} run: wait for them, or definet-flows stop {name}; "
            f"if they are lost, definet-flows recover {name}."
        )
    open_ones = sum(count for state, count in states.items() if state not in _ENDED)
    if not submission.stopped and open_ones + chunks["waiting"] + chunks["claimed"] + chunks["active"]:
        raise InputError(
            f"{submission.name} has not ended: {open_ones} jobs and {chunks['waiting']} chunks wait. Wait for it "
            f"(definet-flows status {name}), or definet-flows stop {name} first."
        )
    if clean and (untold := _untold(cluster, works)):
        raise InputError(
            f"{untold} relaxations of {submission.name} crashed and are on no record: definet-flows recover {name} puts them "
            "there; or leave out --clean."
        )


def clear(cluster: Cluster, submission: Submission) -> Cleared:
    """Remove a campaign's jobs, chunks and outputs; its records stay. What was killed in it is done by calling it again.

    Parameters
    ----------
    cluster
        Where it was submitted.
    submission
        The campaign, ended or stopped.
    """
    launchpad, key = cluster.launchpad, submission.key
    n_outputs = n_fireworks = 0
    with cluster.answering():
        fields = {"fw_id": 1, "launches": 1, "archived_launches": 1, "spec._tasks.job.uuid": 1}
        found = list(launchpad.fireworks.find({f"spec.{MARK}.campaign": key}, fields))
        for some in batches(found):
            uuids = [task["job"]["uuid"] for one in some for task in one["spec"]["_tasks"] if "job" in task]
            n_outputs += cluster.remove_outputs(uuids)
            launches = [launch for one in some for launch in (*one["launches"], *one.get("archived_launches", ()))]
            launchpad.launches.delete_many({"launch_id": {"$in": launches}})
            launchpad.offline_runs.delete_many({"launch_id": {"$in": launches}})
            removed = launchpad.fireworks.delete_many({"fw_id": {"$in": [one["fw_id"] for one in some]}})
            n_fireworks += removed.deleted_count
        launchpad.workflows.delete_many({"metadata.campaign": key})
        n_chunks = launchpad.db[CHUNKS].delete_many({"campaign": key}).deleted_count
        launchpad.db[CLAIMS].delete_many({"campaign": key})
        open_again(cluster.store, key)
        # Last, so that the campaign can be named until all else is gone.
        launchpad.db[SUBMISSIONS].delete_one({"_id": key})
    return Cleared(name=submission.name, fireworks=n_fireworks, chunks=n_chunks, outputs=n_outputs)


def _untold(cluster: Cluster, works: list[Work]) -> int:
    """Relaxations that crashed before they could write a record."""
    crashed = [work.key for work in works if work.state == "FIZZLED" and work.key is not None]
    return len(crashed) - len(states_of(cluster.store, crashed))
