"""How far a campaign has come, wherever it runs: configurations by state, rate, and failures by reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from definet_flows.launch.totals import added
from definet_flows.records.documents import CampaignRecord
from definet_flows.records.store import RecordStore

State = Literal["waiting", "prerelaxed", "running", "converged", "unconverged", "failed", "lost"]
STATES: tuple[State, ...] = ("waiting", "prerelaxed", "running", "converged", "unconverged", "failed", "lost")
"""Of a configuration; the last three columns of a table are those that want something done."""

PRECEDENCE = ("lost", "running", "queued", "failed", "unconverged", "converged")
"""Of several runs of one configuration, the first of these that any is in is the configuration's."""

_VARYING = re.compile(r"(?<!\S)/\S+|\b[0-9a-f]{8,}\b|\d+(\.\d+)?(e[+-]?\d+)?")
_RATE_HOURS = 24.0

Failure = tuple[str, str, str | None]
"""Reason, role and configuration of a job that failed."""


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
    chunks: dict[str, int] = Field(default_factory=dict, description="Chunks in each state; none on one machine")
    per_hour: float | None = Field(description="Relaxations that ended per hour, over the last day at most")
    seconds_left: float | None = Field(description="Until the last relaxation at that rate, s")
    failures: list[FailureGroup] = Field(description="What went wrong, the most frequent first")
    standing: Literal["stopped", "under way"] | None = Field(
        default=None,
        description="Stopped, on a cluster; under way, where a process on this machine runs it; None where neither is known",
    )

    @property
    def n_left(self) -> int:
        """Configurations of which a run is still to end."""
        return sum(self.states[state] for state in ("waiting", "prerelaxed", "running", "lost"))


def recorded_runs(store: RecordStore, record: CampaignRecord) -> dict[str, dict[str, Any]]:
    """What the relaxations of a campaign came to, by key.

    Parameters
    ----------
    store
        Where they are.
    record
        The campaign.

    Returns
    -------
    dict
        The fields ``key``, ``state``, ``reason``, ``configuration_id`` and ``last_updated`` of each.
    """
    model = record.model
    starts: list[dict[str, Any]] = [{"start": "unrelaxed"}]
    if model is not None:
        starts.append({"checkpoint_hash": model.checkpoint_hash, "guard_hash": model.guard_hash})
    criteria = {"engine.physics_hash": record.physics_hash, "kind": "defect", "$or": starts}
    fields = ["key", "state", "reason", "configuration_id", "last_updated"]
    wanted = set(record.configuration_ids)
    found = store.stores["relaxations"].query(criteria, properties=fields)
    return {content["key"]: content for content in found if content["configuration_id"] in wanted}


def predicted(store: RecordStore, record: CampaignRecord) -> dict[str, bool]:
    """The configurations that the campaign's model has predicted, and whether the guard let them pass.

    Arguments as for `recorded_runs`.
    """
    if record.model is None:
        return {}
    criteria = {"checkpoint_hash": record.model.checkpoint_hash, "guard_hash": record.model.guard_hash}
    found = store.stores["predictions"].query(criteria, properties=["configuration_id", "passed"])
    return {content["configuration_id"]: content["passed"] for content in found}


def configuration_states(
    record: CampaignRecord, runs: Mapping[str, tuple[str, str]], predicted: Iterable[str]
) -> Counter[str]:
    """Number of configurations in each state.

    Parameters
    ----------
    record
        The campaign.
    runs
        Configuration and state of every relaxation, by key.
    predicted
        Ids of the configurations that are predicted.
    """
    seen = set(predicted)
    worst: dict[str, str] = {}
    for configuration, state in runs.values():
        now = worst.get(configuration, state)
        worst[configuration] = min(now, state, key=PRECEDENCE.index)
    states: Counter[str] = Counter()
    for configuration in record.configuration_ids:
        state = worst.get(configuration, "queued")
        before_running = "prerelaxed" if configuration in seen else "waiting"
        states[before_running if state == "queued" else state] += 1
    return states


def per_hour(times: Iterable[str]) -> float | None:
    """How many of some moments there were per hour, over the last day at most; None where fewer than two tell nothing.

    Parameters
    ----------
    times
        ISO 8601, with their zone.
    """
    now = datetime.now(UTC)
    ages = [(now - datetime.fromisoformat(time)).total_seconds() / 3600 for time in times]
    recent = [age for age in ages if age <= _RATE_HOURS]
    if len(recent) < 2 or max(recent) <= 0:
        return None
    return len(recent) / max(recent)


def grouped(failures: Mapping[str, Sequence[Failure]], command: Callable[[str, str], str]) -> list[FailureGroup]:
    """Failures with one reason together, the most frequent first.

    Parameters
    ----------
    failures
        Under what they have in common besides, such as how they are run again.
    command
        Gives what runs a group again, from that and from a stretch of the reason that all of the group share.
    """
    groups: dict[tuple[str, str], list[Failure]] = {}
    for sort, found in failures.items():
        for failure in found:
            groups.setdefault((sort, kind_of_reason(failure[0])), []).append(failure)
    listed = [_group(found, command(sort, _telling(kind))) for (sort, kind), found in groups.items()]
    return sorted(listed, key=lambda group: -group.count)


def _group(found: Sequence[Failure], command: str) -> FailureGroup:
    return FailureGroup(
        reason=found[0][0],
        count=len(found),
        roles=dict(Counter(role for _, role, _ in found)),
        examples=[configuration for *_, configuration in found[:3] if configuration],
        command=command,
    )


def total_of(name: str, members: Sequence[CampaignStatus]) -> CampaignStatus:
    """The sum over a campaign's hosts, without the failures, which each tells of its own.

    Parameters
    ----------
    name
        Of all of them together.
    members
        At least one.
    """
    rates = [one.per_hour for one in members if one.per_hour is not None]
    left = [one.seconds_left * one.per_hour for one in members if one.seconds_left and one.per_hour]
    of_all: dict[str, Any] = {
        "name": name,
        "per_hour": sum(rates) if rates else None,
        "seconds_left": sum(left) / sum(rates) if left and len(rates) == len(members) else None,
        "failures": [],
        "standing": members[0].standing if len({one.standing for one in members}) == 1 else None,
    }
    return CampaignStatus(**added(members) | of_all)


def kind_of_reason(reason: str | None) -> str:
    """A reason without what differs from case to case: paths, ids and numbers."""
    return _VARYING.sub("#", reason or "no reason is on record")


def _telling(kind: str) -> str:
    """The longest stretch of a reason that all of its kind share."""
    return max(kind.split("#"), key=len).strip().replace("'", "")[:60]
