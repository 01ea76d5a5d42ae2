"""The jobs of a submitted campaign as its launchpad, its queue and its clocks together tell of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fireworks.core.launchpad import LaunchPad

from definet_flows.launch.fireworks.clock import clocks, database_seconds, seconds_of
from definet_flows.launch.fireworks.cluster import Cluster, batches
from definet_flows.launch.fireworks.routing import MARK
from definet_flows.launch.fireworks.scheduler import Launch, Scheduler
from definet_flows.launch.fireworks.submissions import Submission

SILENT = "the launcher gave no sign of life"
"""Why a job is lost that no queue knows of."""

HELD = ("RUNNING", "RESERVED")
"""States of a job that a launch holds, by FireWorks."""

NEVER = float("inf")
"""s; no launcher is silent for so long: only the queue is believed."""


@dataclass(frozen=True)
class Work:
    """A Firework of a campaign.

    Attributes
    ----------
    fw_id
        Its id.
    role
        What it does.
    state
        As FireWorks has it; ``LOST`` where what ran it is gone, ``DROPPED`` where its job left the queue before it began.
    launches
        Its launches since it was last queued.
    configuration, key
        Of a relaxation.
    recovered
        The launches after which it was queued again.
    why
        Why it is lost or was dropped; empty otherwise.
    """

    fw_id: int
    role: str
    state: str
    launches: tuple[int, ...]
    configuration: str | None
    key: str | None
    recovered: tuple[int, ...]
    why: str = ""

    @property
    def launch(self) -> int | None:
        """Its last launch; None before the first."""
        return self.launches[-1] if self.launches else None

    @classmethod
    def from_document(cls, content: Mapping[str, Any]) -> Work:
        """The work of a Firework's document."""
        mark = content["spec"][MARK]
        about = mark.get("configuration"), mark.get("key"), tuple(mark.get("recovered", ()))
        return cls(content["fw_id"], mark["role"], content["state"], tuple(content["launches"]), *about)


def works_of(cluster: Cluster, submission: Submission, lost_after: float) -> list[Work]:
    """The Fireworks of a campaign.

    Where the queue can tell, it is believed: a job that it no longer has is lost at once, and one that it has is not, however
    long its launcher was silent. Elsewhere times tell, all of them translated to the database's clock.

    Parameters
    ----------
    cluster
        Where it was submitted.
    submission
        The campaign.
    lost_after
        s without a sign of life after which a running one is lost that no queue knows of.
    """
    launchpad = cluster.launchpad
    fields = {"fw_id": 1, "state": 1, "launches": 1, f"spec.{MARK}": 1}
    found = launchpad.fireworks.find({f"spec.{MARK}.campaign": submission.key}, fields)
    works = [Work.from_document(content) for content in found]
    held = [work for work in works if work.state in HELD and work.launches]
    fates = _fates(cluster, submission, held, lost_after)
    return [fates.get(work.fw_id, work) for work in works]


def reason_of(launchpad: LaunchPad, work: Work) -> str:
    """Why the last launch of a Firework ended without a result, in one line."""
    launch = launchpad.launches.find_one({"launch_id": work.launch}, {"action": 1}) or {}
    stored = (launch.get("action") or {}).get("stored_data") or {}
    trace = (stored.get("_exception") or {}).get("_stacktrace") or ""
    lines = [line for line in trace.splitlines() if line and not line.startswith(" ")]
    return lines[-1] if lines else "the launcher died without a word"


@dataclass(frozen=True)
class _Held:
    """A job that a launch holds, as it was when the launchpad was read."""

    work: Work
    launch: dict[str, Any]

    @property
    def last_sign(self) -> float:
        """When the launch last told that it lives, by the clock of its machine."""
        told = self.launch["state_history"][-1]
        return seconds_of(datetime.fromisoformat(str(told.get("updated_on") or told["created_on"])))


def _fates(cluster: Cluster, submission: Submission, held: Sequence[Work], lost_after: float) -> dict[int, Work]:
    """The jobs that are held by nobody any more, as they are now."""
    if not held:
        return {}
    launchpad, scheduler = cluster.launchpad, Scheduler(submission.plan.resources.scheduler)
    latest, ahead = database_seconds(launchpad.connection) - lost_after, clocks(cluster.store)
    fates = {}
    for one in _holds(launchpad, held):
        told = scheduler.fate_of(Launch.from_document(one.launch))
        is_running = one.work.state == "RUNNING"
        if told is not None and told[0] == "gone":
            fates[one.work.fw_id] = replace(one.work, state="LOST" if is_running else "DROPPED", why=told[1])
        elif told is None and is_running and one.last_sign - ahead.get(one.launch["host"], 0.0) <= latest:
            fates[one.work.fw_id] = replace(one.work, state="LOST", why=SILENT)
    # One that ended well between the two questions told the launchpad before it left the queue.
    return {one.work.fw_id: fates[one.work.fw_id] for one in _holds(launchpad, [w for w in held if w.fw_id in fates])}


def _holds(launchpad: LaunchPad, held: Sequence[Work]) -> Iterator[_Held]:
    """Those that are still held by their last launch."""
    by_launch = {work.launches[-1]: work for work in held}
    fields = {"launch_id": 1, "state": 1, "host": 1, "launch_dir": 1, "state_history": 1}
    for some in batches(list(by_launch)):
        for content in launchpad.launches.find({"launch_id": {"$in": list(some)}}, fields):
            work = by_launch[content["launch_id"]]
            if content["state"] == work.state:
                yield _Held(work, content)
