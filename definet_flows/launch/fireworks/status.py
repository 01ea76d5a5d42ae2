"""How far a submitted campaign has come, from its launchpad and its records together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from fireworks.core.launchpad import LaunchPad
from pydantic import BaseModel, ConfigDict, Field

from definet_flows.errors import InputError
from definet_flows.launch.fireworks.cluster import Cluster
from definet_flows.launch.fireworks.waves import SUBMISSIONS, Submission, Waves
from definet_flows.launch.fireworks.works import Work, reason_of, works_of
from definet_flows.records.documents import CampaignRecord
from definet_flows.records.store import RecordStore

State = Literal["waiting", "prerelaxed", "running", "converged", "unconverged", "failed", "lost"]
STATES: tuple[State, ...] = ("waiting", "prerelaxed", "running", "converged", "unconverged", "failed", "lost")
"""Of a configuration; the last three columns of a table are those that want something done."""

_QUEUED = {"WAITING", "READY", "RESERVED", "DROPPED", "PAUSED"}
# Of several runs of one configuration, the first of these that any is in is the configuration's.
_PRECEDENCE = ("lost", "running", "queued", "failed", "unconverged", "converged")
_VARYING = re.compile(r"(?<!\S)/\S+|\b[0-9a-f]{8,}\b|\d+(\.\d+)?(e[+-]?\d+)?")
_RATE_HOURS = 24.0


class FailureGroup(BaseModel):
    """Failures with one reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str = Field(description="Why, as the first of them says it")
    count: int = Field(description="How many")
    roles: dict[str, int] = Field(description="Of which kinds of jobs")
    examples: list[str] = Field(description="Configuration ids of a few")
    command: str = Field(description="What runs them again")


class CampaignStatus(BaseModel):
    """A campaign at a moment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the campaign")
    n_configurations: int = Field(description="Configurations of the campaign")
    states: dict[str, int] = Field(description="Configurations in each state")
    runs: dict[str, int] = Field(description="Relaxations in each state, queued ones included")
    chunks: dict[str, int] = Field(description="Chunks in each state")
    per_hour: float | None = Field(description="Relaxations that ended per hour, over the last day at most")
    seconds_left: float | None = Field(description="Until the last relaxation at that rate, s")
    failures: list[FailureGroup] = Field(description="What went wrong, the most frequent first")


def submissions(launchpad: LaunchPad) -> list[Submission]:
    """All campaigns that were submitted to a launchpad, by name."""
    found = launchpad.db[SUBMISSIONS].find({}).sort("name", 1)
    return [Submission(**{name: one[name] for name in one if name != "_id"}) for one in found]


def submission_named(launchpad: LaunchPad, name: str) -> Submission:
    """The campaign of a name.

    Raises
    ------
    InputError
        If none was submitted under it; the message lists those that were.
    """
    listed = submissions(launchpad)
    for one in listed:
        if one.name == name:
            return one
    others = ", ".join(one.name for one in listed) or "none"
    raise InputError(f"No campaign '{name}' was submitted to this launchpad; there is {others}.")


def status_of(cluster: Cluster, submission: Submission, lost_after: float) -> CampaignStatus:
    """How far a campaign has come.

    Parameters
    ----------
    cluster
        Where it was submitted.
    submission
        The campaign.
    lost_after
        s without a sign of life after which a running job is lost.
    """
    (record,) = cluster.store.campaigns({"key": submission.key})
    with cluster.answering():
        waves = Waves(cluster.launchpad, submission.key)
        works = works_of(cluster, submission, lost_after)
        chunks = waves.counts()
        stopped = {work.fw_id: reason_of(cluster.launchpad, work) for work in works if work.state == "FIZZLED"}
    recorded = _recorded(cluster.store, record)
    runs = _run_states(works, recorded)
    states = _configuration_states(record, runs, _predicted(cluster.store, record))
    counts = Counter(state for _, state in runs.values())
    rate = _per_hour(content["last_updated"] for content in recorded.values())
    left = _runs_left(submission, counts, states)
    return CampaignStatus(
        name=record.name,
        n_configurations=len(record.configuration_ids),
        states={state: states[state] for state in STATES},
        runs=dict(sorted(counts.items())),
        chunks=chunks,
        per_hour=rate,
        seconds_left=3600 * left / rate if rate and left else None,
        failures=_grouped(submission.name, works, stopped, recorded),
    )


def kind_of_reason(reason: str | None) -> str:
    """A reason without what differs from case to case: paths, ids and numbers."""
    return _VARYING.sub("#", reason or "no reason is on record")


def _recorded(store: RecordStore, record: CampaignRecord) -> dict[str, dict[str, Any]]:
    """What the relaxations of a campaign came to, by key."""
    model = record.model
    starts: list[dict[str, Any]] = [{"start": "unrelaxed"}]
    if model is not None:
        starts.append({"checkpoint_hash": model.checkpoint_hash, "guard_hash": model.guard_hash})
    criteria = {"engine.physics_hash": record.physics_hash, "kind": "defect", "$or": starts}
    fields = ["key", "state", "reason", "configuration_id", "last_updated"]
    wanted = set(record.configuration_ids)
    found = store.stores["relaxations"].query(criteria, properties=fields)
    return {content["key"]: content for content in found if content["configuration_id"] in wanted}


def _predicted(store: RecordStore, record: CampaignRecord) -> set[str]:
    if record.model is None:
        return set()
    criteria = {"checkpoint_hash": record.model.checkpoint_hash, "guard_hash": record.model.guard_hash}
    found = store.stores["predictions"].query(criteria, properties=["configuration_id"])
    return {content["configuration_id"] for content in found}


def _run_states(works: Iterable[Work], recorded: Mapping[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Configuration and state of every relaxation, by key."""
    runs = {key: (content["configuration_id"], content["state"]) for key, content in recorded.items()}
    for work in works:
        if work.key is None or work.configuration is None:
            continue
        state = _state_of(work, recorded.get(work.key))
        before = runs.get(work.key)
        if before is None or _PRECEDENCE.index(state) < _PRECEDENCE.index(before[1]):
            runs[work.key] = (work.configuration, state)
    return runs


def _state_of(work: Work, record: Mapping[str, Any] | None) -> str:
    if work.state in {"LOST", "RUNNING"}:
        return work.state.lower()
    if work.state in _QUEUED:
        return "queued"
    # A job may die between writing its record and telling so.
    return "failed" if record is None else str(record["state"])


def _configuration_states(
    record: CampaignRecord, runs: Mapping[str, tuple[str, str]], predicted: set[str]
) -> Counter[str]:
    worst: dict[str, str] = {}
    for configuration, state in runs.values():
        now = worst.get(configuration, state)
        worst[configuration] = min(now, state, key=_PRECEDENCE.index)
    states: Counter[str] = Counter()
    for configuration in record.configuration_ids:
        state = worst.get(configuration, "queued")
        before_running = "prerelaxed" if configuration in predicted else "waiting"
        states[before_running if state == "queued" else state] += 1
    return states


def _runs_left(submission: Submission, runs: Mapping[str, int], states: Mapping[str, int]) -> float:
    """Relaxations still to end; those of configurations without jobs are guessed from the share with both starts."""
    known = sum(runs.get(state, 0) for state in ("running", "queued", "lost"))
    plan = submission.plan
    starts = 1 + plan.baseline_fraction if plan.model is not None else 1
    return known + states["waiting"] * starts


def _per_hour(times: Iterable[str]) -> float | None:
    now = datetime.now(UTC)
    ages = [(now - datetime.fromisoformat(time)).total_seconds() / 3600 for time in times]
    recent = [age for age in ages if age <= _RATE_HOURS]
    if len(recent) < 2 or max(recent) <= 0:
        return None
    return len(recent) / max(recent)


def _grouped(
    name: str, works: Iterable[Work], stopped: Mapping[int, str], recorded: Mapping[str, dict[str, Any]]
) -> list[FailureGroup]:
    groups: dict[tuple[str, str], list[tuple[str, str, str | None]]] = {}
    told: set[str] = set()
    for work in works:
        if work.state in {"FIZZLED", "LOST"}:
            reason = work.why or stopped[work.fw_id]
            told.add(work.key or "")
            groups.setdefault((kind_of_reason(reason), ""), []).append((reason, work.role, work.configuration))
    for key, content in recorded.items():
        if content["state"] == "failed" and key not in told:
            reason = content["reason"] or ""
            about = (reason, "relax", content["configuration_id"])
            groups.setdefault((kind_of_reason(reason), " --failed"), []).append(about)
    listed = [_group(name, option, kind, found) for (kind, option), found in groups.items()]
    return sorted(listed, key=lambda group: -group.count)


def _group(name: str, option: str, kind: str, found: list[tuple[str, str, str | None]]) -> FailureGroup:
    which = f"{option} --reason '{_telling(kind)}'" if option else ""
    return FailureGroup(
        reason=found[0][0],
        count=len(found),
        roles=dict(Counter(role for _, role, _ in found)),
        examples=[configuration for *_, configuration in found[:3] if configuration],
        command=f"definet-flows recover {name}{which}",
    )


def _telling(kind: str) -> str:
    """The longest stretch of a reason that all of its kind share."""
    return max(kind.split("#"), key=len).strip().replace("'", "")[:60]
