"""What became of jobs that were lost or crashed is put on record, and they are queued again, once each."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fireworks.core.firework import FWAction
from fireworks.core.launchpad import LaunchPad, LockedWorkflowError, WFLock
from pydantic import BaseModel, ConfigDict, Field

from definet_flows.launch.fireworks.cluster import Cluster, batches
from definet_flows.launch.fireworks.jobs import FINISHED, Assignment, states_of
from definet_flows.launch.fireworks.leftovers import record_of_leftovers
from definet_flows.launch.fireworks.mending import mend, requeue
from definet_flows.launch.fireworks.routing import MARK
from definet_flows.launch.fireworks.submissions import Submission
from definet_flows.launch.fireworks.waves import Waves
from definet_flows.launch.fireworks.works import Work, reason_of, works_of

logger = logging.getLogger(__name__)

_CONTINUED = "WalltimeError"
"""What a run that only ran out of time ends with: it goes on as often as it takes."""


class Recovery(BaseModel):
    """What a recovery did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the campaign")
    mended: int = Field(description="Things that dead launchers left half-written in the launchpad, put right")
    lost: int = Field(description="Jobs that are no longer in the queue, or whose launcher gave no sign of life")
    dropped: int = Field(description="Jobs that left the queue before they began, waiting again")
    crashed: int = Field(description="Jobs that ended without a result")
    failed: int = Field(description="Relaxations with a failed record that are run again on request")
    recorded: int = Field(description="Relaxations put on record from what they left behind")
    requeued: int = Field(description="Jobs queued again")
    given_up: int = Field(description="Jobs left alone because they were recovered before")
    released_chunks: int = Field(description="Chunks that became jobs now")


@dataclass(frozen=True)
class Rescue:
    """Which jobs to recover.

    Attributes
    ----------
    lost_after
        s without a sign of life after which a running job is lost that no queue knows of.
    failed
        Also relaxations with a failed record.
    reason
        Only where the reason contains this text.
    again
        Also jobs that were recovered before.
    patience
        s that something half-written must stay as it is before it is put right, so that nobody at work is disturbed.
    """

    lost_after: float
    failed: bool = False
    reason: str | None = None
    again: bool = False
    patience: float = 60.0


def recover(cluster: Cluster, submission: Submission, rescue: Rescue) -> Recovery:
    """Recover a campaign; calling it twice recovers nothing twice, and what was killed in it is done by the next.

    Parameters
    ----------
    cluster
        Where it was submitted.
    submission
        The campaign.
    rescue
        Which jobs.

    Raises
    ------
    StoppedCampaignError
        If it is stopped.
    """
    submission.check_going()
    launchpad = cluster.launchpad
    with cluster.answering():
        n_mended = mend(launchpad, submission.key, rescue.patience)
        works = works_of(cluster, submission, rescue.lost_after)
        lost = [work for work in works if work.state == "LOST" and _declare_lost(launchpad, work)]
        dropped = [work for work in works if work.state == "DROPPED"]
        for work in dropped:
            launchpad.cancel_reservation(work.launch)
        crashed = [work for work in works if work.state == "FIZZLED"]
        ended = [*((work, work.why) for work in lost), *((work, reason_of(launchpad, work)) for work in crashed)]
        failed = list(_failed(cluster, works)) if rescue.failed else []
        found = [(work, why) for work, why in (*ended, *failed) if rescue.reason is None or rescue.reason in why]
        wanted = [(work, why) for work, why in found if _may_run_again(work, why, rescue)]
        n_requeued, n_recorded = _requeued(cluster, submission, wanted)
        n_released = Waves(launchpad, submission.key).go_on()
    return Recovery(
        name=submission.name,
        mended=n_mended,
        lost=len(lost),
        dropped=len(dropped),
        crashed=len(crashed),
        failed=len(failed),
        recorded=n_recorded,
        requeued=n_requeued,
        given_up=len(found) - len(wanted),
        released_chunks=n_released,
    )


def _declare_lost(launchpad: LaunchPad, work: Work) -> bool:
    """End a launch that nobody runs any more; False where it ended by itself in the meantime."""
    action = FWAction(stored_data={"_exception": {"_stacktrace": work.why}}, exit=True).to_dict()
    running = {"launch_id": work.launch, "state": "RUNNING"}
    ended = launchpad.launches.update_one(running, {"$set": {"state": "FIZZLED", "action": action}})
    if ended.modified_count:
        launchpad._refresh_wf(work.fw_id)  # noqa: SLF001  mark_fizzled, which calls it, overwrites a job that has just ended
    return bool(ended.modified_count)


def _failed(cluster: Cluster, works: Sequence[Work]) -> Iterator[tuple[Work, str]]:
    """Jobs that came to their end with a record of failure."""
    ended = {work.key: work for work in works if work.state == "COMPLETED" and work.key is not None}
    for keys in batches(list(ended)):
        criteria = {"key": {"$in": list(keys)}, "state": "failed"}
        for content in cluster.store.stores["relaxations"].query(criteria, properties=["key", "reason"]):
            yield ended[content["key"]], content["reason"] or ""


def _may_run_again(work: Work, why: str, rescue: Rescue) -> bool:
    # Whoever set out to queue it again after this very launch was killed before it had done so.
    is_half_done = work.launch is not None and work.launch in work.recovered
    return not work.recovered or is_half_done or rescue.again or rescue.failed or _CONTINUED in why


def _requeued(cluster: Cluster, submission: Submission, wanted: Sequence[tuple[Work, str]]) -> tuple[int, int]:
    """Queue jobs again, what they came to put on record first; how many, and how many were put on record."""
    if not wanted:
        return 0, 0
    assignment = Assignment.read(cluster.store, submission.key)
    outcomes = [_requeue(cluster, submission, assignment, work, why) for work, why in wanted]
    return sum(is_requeued for is_requeued, _ in outcomes), sum(is_recorded for _, is_recorded in outcomes)


def _requeue(
    cluster: Cluster, submission: Submission, assignment: Assignment, work: Work, why: str
) -> tuple[bool, bool]:
    """Queue a job again, unless somebody else has; whether it was, and whether it was put on record before."""
    launchpad = cluster.launchpad
    try:
        with WFLock(launchpad, work.fw_id):
            now = Work.from_document(launchpad.fireworks.find_one({"fw_id": work.fw_id}))
            if now.launches != work.launches or now.state not in {"FIZZLED", "COMPLETED"}:
                return False, False
            is_recorded = work.state != "COMPLETED" and _record(cluster, submission, assignment, work, why)
            noted = {"$addToSet": {f"spec.{MARK}.recovered": work.launch}}
            launchpad.fireworks.update_one({"fw_id": work.fw_id}, noted)
            requeue(launchpad, work.fw_id)
    except LockedWorkflowError:
        logger.warning("job %s was left alone: others change its workflow all the time; recover again", work.fw_id)
        return False, False
    return True, is_recorded


def _record(cluster: Cluster, submission: Submission, assignment: Assignment, work: Work, why: str) -> bool:
    """Put a relaxation on record that ended without one; what VASP had done by then counts."""
    if work.key is None or states_of(cluster.store, [work.key]).get(work.key) in FINISHED:
        return False
    cluster.store.add_relaxations([record_of_leftovers(cluster, assignment, submission.place, work, why)])
    return True
