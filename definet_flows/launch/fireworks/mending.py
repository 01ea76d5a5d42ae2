"""What is left half-written when a launcher is killed, or loses its database, between two changes that belong together.

FireWorks changes a workflow in several steps under a lock that never expires, and hands a job out in three. Whoever dies in
between leaves one of the traces below. Each also appears for an instant where somebody is at work, so one is believed only
if it stays the same for a while by the watch of this process, which no clock on any machine can change.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fireworks.core.launchpad import LaunchPad, WFLock

from definet_flows.launch.fireworks.cluster import batches
from definet_flows.launch.fireworks.routing import MARK
from definet_flows.launch.fireworks.waves import Waves
from definet_flows.launch.fireworks.works import HELD

logger = logging.getLogger(__name__)

Kind = Literal["locked", "stray", "requeued", "ended", "unheld", "claimed", "preparing"]
"""In the order in which they are put right: what is locked cannot be changed, and what a chunk became is looked for last."""

_ENDED = {"COMPLETED", "FIZZLED"}
_QUEUED = {"READY", "WAITING"}
_LOOKS = 10
"""Times that a trace has to be seen, so that two short ones of two launchers are not taken for one that stays."""


@dataclass(frozen=True)
class Trace:
    """Something that is only ever there for an instant, unless somebody died.

    Attributes
    ----------
    kind
        ``locked``: a workflow that nobody else can change. ``stray``: a job in no workflow. ``requeued``: a job queued again
        of which its workflow does not know. ``ended``: a job of whose end the workflow or the job itself does not know.
        ``unheld``: a job that was taken and that no launch holds. ``claimed``: a chunk between waiting and being a
        workflow. ``preparing``: a campaign between being submitted and having its first workflow.
    of
        Id of the job or the chunk, or key of the campaign.
    as_of
        What changes when somebody is at work on it.
    """

    kind: Kind
    of: Any
    as_of: str


def mend(launchpad: LaunchPad, campaign: str, patience: float) -> int:
    """Put right what dead launchers left half-written of a campaign.

    Parameters
    ----------
    launchpad
        The launchpad.
    campaign
        Key of the campaign.
    patience
        s for which something half-written must stay as it is before nobody is believed to be at work on it.

    Returns
    -------
    int
        Number of things put right.
    """
    waves = Waves(launchpad, campaign)
    left = set(_traces(launchpad, waves))
    end = time.monotonic() + patience
    while left and time.monotonic() < end:
        time.sleep(patience / _LOOKS)
        left &= set(_traces(launchpad, waves))
    order = get_args(Kind)
    for trace in sorted(left, key=lambda one: (order.index(one.kind), str(one.of))):
        logger.info("%s %s was left half-written", trace.kind, trace.of)
        _put_right(launchpad, waves, trace)
    return len(left)


def requeue(launchpad: LaunchPad, fw_id: int) -> None:
    """Queue a job again whose workflow the caller has locked.

    Parameters
    ----------
    launchpad
        The launchpad.
    fw_id
        Of the job.
    """
    workflow = launchpad.get_wf_by_fw_id_lzyfw(fw_id)
    launchpad._update_wf(workflow, workflow.rerun_fw(fw_id))  # noqa: SLF001  rerun_fw of the launchpad takes the lock itself


def _traces(launchpad: LaunchPad, waves: Waves) -> Iterator[Trace]:
    filed: dict[int, str] = {}
    for one in launchpad.workflows.find({"metadata.campaign": waves.campaign}):
        filed.update((int(fw_id), state) for fw_id, state in one["fw_states"].items())
        if one.get("locked"):
            yield Trace("locked", one["nodes"][0], str(one["updated_on"]))
    held: dict[int, int] = {}
    fields = {"fw_id": 1, "state": 1, "launches": 1}
    for one in launchpad.fireworks.find({f"spec.{MARK}.campaign": waves.campaign}, fields):
        fw_id, state = one["fw_id"], one["state"]
        kind = _kind_of_state(state, filed.get(fw_id), has_launches=bool(one["launches"]))
        if kind is not None:
            yield Trace(kind, fw_id, f"{state} {filed.get(fw_id)} {one['launches']}")
        elif state in HELD:
            held[one["launches"][-1]] = fw_id
    yield from _unheld(launchpad, held)
    yield from (Trace("claimed", chunk, str(since)) for chunk, since in waves.claims())
    submission = waves.submission()
    if submission is not None and not submission.prepared and submission.preparing and not waves.is_being_prepared():
        yield Trace("preparing", waves.campaign, str(submission.preparing))


def _kind_of_state(state: str, filed: str | None, *, has_launches: bool) -> Kind | None:
    """What is wrong with a job, from its own state and the one in the books of its workflow."""
    if filed is None:
        return "stray"
    if state in _ENDED and filed != state:
        return "ended"
    if state in _QUEUED and filed in _ENDED:
        return "requeued"
    if state in HELD and not has_launches:
        return "unheld"
    return None


def _unheld(launchpad: LaunchPad, held: dict[int, int]) -> Iterator[Trace]:
    """Jobs whose last launch is not what the job believes."""
    for some in batches(list(held)):
        states = {fw["fw_id"]: fw["state"] for fw in _fireworks(launchpad, [held[launch] for launch in some])}
        for one in launchpad.launches.find({"launch_id": {"$in": list(some)}}, {"launch_id": 1, "state": 1}):
            fw_id, state = held[one["launch_id"]], one["state"]
            if state in _ENDED and states[fw_id] == "RUNNING":
                yield Trace("ended", fw_id, f"{one['launch_id']} {state}")
            elif state != states[fw_id]:
                yield Trace("unheld", fw_id, f"{one['launch_id']} {state}")


def _fireworks(launchpad: LaunchPad, fw_ids: list[int]) -> Iterator[dict[str, Any]]:
    yield from launchpad.fireworks.find({"fw_id": {"$in": fw_ids}}, {"fw_id": 1, "state": 1})


def _put_right(launchpad: LaunchPad, waves: Waves, trace: Trace) -> None:
    if trace.kind == "locked":
        launchpad.workflows.update_one({"nodes": trace.of}, {"$unset": {"locked": ""}})
    elif trace.kind == "stray":
        launchpad.fireworks.delete_one({"fw_id": trace.of})
    elif trace.kind == "ended":
        # Its launch tells how it ended; only a job that runs is asked, and the jobs that it adds are added then.
        launchpad.fireworks.update_one({"fw_id": trace.of}, {"$set": {"state": "RUNNING"}})
        launchpad._refresh_wf(trace.of)  # noqa: SLF001  what ``lpad admin refresh`` calls
    elif trace.kind in {"requeued", "unheld"}:
        with WFLock(launchpad, trace.of):
            requeue(launchpad, trace.of)
    elif trace.kind == "claimed":
        waves.free(trace.of)
    else:
        waves.let_prepare()
