"""What became of jobs that were lost or crashed is put on record, and they are queued again, once each."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fireworks.core.launchpad import LaunchPad
from pydantic import BaseModel, ConfigDict, Field

from definet_flows.launch.fireworks.cluster import Cluster, batches
from definet_flows.launch.fireworks.jobs import FINISHED, Assignment, states_of
from definet_flows.launch.fireworks.leftovers import record_of_leftovers
from definet_flows.launch.fireworks.routing import MARK
from definet_flows.launch.fireworks.status import Work, reason_of, works_of
from definet_flows.launch.fireworks.waves import CLAIM_SECONDS, Submission, Waves

logger = logging.getLogger(__name__)

_CONTINUED = "WalltimeError"
"""What a run that only ran out of time ends with: it goes on as often as it takes."""


class Recovery(BaseModel):
    """What a recovery did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the campaign")
    lost: int = Field(description="Jobs whose launcher gave no sign of life")
    crashed: int = Field(description="Jobs that ended without a result")
    failed: int = Field(description="Relaxations with a failed record that are run again on request")
    recorded: int = Field(description="Relaxations put on record from what they left behind")
    requeued: int = Field(description="Jobs queued again")
    given_up: int = Field(description="Jobs left alone because they were recovered before")
    freed_chunks: int = Field(description="Chunks whose submission was interrupted, waiting again")
    released_chunks: int = Field(description="Chunks that became jobs now")


@dataclass(frozen=True)
class Rescue:
    """Which jobs to recover.

    Attributes
    ----------
    lost_after
        s without a sign of life after which a running job is lost.
    failed
        Also relaxations with a failed record.
    reason
        Only where the reason contains this text.
    again
        Also jobs that were recovered before.
    """

    lost_after: float
    failed: bool = False
    reason: str | None = None
    again: bool = False


def recover(cluster: Cluster, submission: Submission, rescue: Rescue) -> Recovery:
    """Recover a campaign; calling it twice recovers nothing twice.

    Parameters
    ----------
    cluster
        Where it was submitted.
    submission
        The campaign.
    rescue
        Which jobs.
    """
    launchpad = cluster.launchpad
    with cluster.answering():
        works = works_of(launchpad, submission.key, rescue.lost_after)
        lost = [work for work in works if work.state == "LOST"]
        for work in lost:
            launchpad.mark_fizzled(work.launch)
        crashed = [work for work in works if work.state == "FIZZLED"]
        ended = [(work, _why(launchpad, work)) for work in (*lost, *crashed)]
        failed = list(_failed(cluster, works)) if rescue.failed else []
        wanted = [(work, why) for work, why in (*ended, *failed) if rescue.reason is None or rescue.reason in why]
        taken = [(work, why) for work, why in wanted if _claim(launchpad, work, why, rescue)]
        n_recorded = _record(cluster, submission, [pair for pair in taken if pair[0].state != "COMPLETED"])
        for work, _ in taken:
            launchpad.rerun_fw(work.fw_id)
        waves = Waves(launchpad, submission.key)
        n_freed = waves.free_claims(CLAIM_SECONDS)
        n_released = waves.release()
    return Recovery(
        name=submission.name,
        lost=len(lost),
        crashed=len(crashed),
        failed=len(failed),
        recorded=n_recorded,
        requeued=len(taken),
        given_up=len(wanted) - len(taken),
        freed_chunks=n_freed,
        released_chunks=n_released,
    )


def _why(launchpad: LaunchPad, work: Work) -> str:
    if work.state == "LOST":
        return "the launcher gave no sign of life"
    return reason_of(launchpad, work)


def _failed(cluster: Cluster, works: Sequence[Work]) -> Iterator[tuple[Work, str]]:
    """Jobs that came to their end with a record of failure."""
    ended = {work.key: work for work in works if work.state == "COMPLETED" and work.key is not None}
    for keys in batches(list(ended)):
        criteria = {"key": {"$in": list(keys)}, "state": "failed"}
        for content in cluster.store.stores["relaxations"].query(criteria, properties=["key", "reason"]):
            yield ended[content["key"]], content["reason"] or ""


def _claim(launchpad: LaunchPad, work: Work, why: str, rescue: Rescue) -> bool:
    """Whether a job is this caller's to queue again: the first to raise its count is."""
    asked_for = rescue.again or rescue.failed or _CONTINUED in why
    if work.requeued and not asked_for:
        return False
    count = f"spec.{MARK}.requeued"
    before = work.requeued or {"$in": [None, 0]}
    claimed = launchpad.fireworks.update_one({"fw_id": work.fw_id, count: before}, {"$inc": {count: 1}})
    return bool(claimed.modified_count)


def _record(cluster: Cluster, submission: Submission, ended: Sequence[tuple[Work, str]]) -> int:
    """Put relaxations on record that ended without one; what VASP had done by then counts."""
    relaxations = [(work, why) for work, why in ended if work.key is not None]
    states = states_of(cluster.store, [str(work.key) for work, _ in relaxations])
    missing = [(work, why) for work, why in relaxations if states.get(str(work.key)) not in FINISHED]
    if not missing:
        return 0
    assignment = Assignment.read(cluster.store, submission.key)
    for work, why in missing:
        record = record_of_leftovers(cluster, assignment, submission.place, work, why)
        cluster.store.add_relaxations([record])
    return len(missing)
