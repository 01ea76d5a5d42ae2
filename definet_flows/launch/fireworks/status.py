"""How far a submitted campaign has come, from its launchpad and its records together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from definet_flows.launch.fireworks.cluster import Cluster
from definet_flows.launch.fireworks.stopping import was_turned_away
from definet_flows.launch.fireworks.submissions import Submission
from definet_flows.launch.fireworks.waves import Waves
from definet_flows.launch.fireworks.works import Work, reason_of, works_of
from definet_flows.launch.status import (
    PRECEDENCE,
    STATES,
    CampaignStatus,
    Failure,
    configuration_states,
    grouped,
    per_hour,
    predicted,
    recorded_runs,
)

_QUEUED = {"WAITING", "READY", "RESERVED", "DROPPED", "PAUSED"}


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
        reasons = {work.fw_id: reason_of(cluster.launchpad, work) for work in works if work.state == "FIZZLED"}
    works = [replace(one, state="PAUSED") if was_turned_away(reasons.get(one.fw_id, "")) else one for one in works]
    recorded = recorded_runs(cluster.store, record)
    runs = _run_states(works, recorded)
    states = configuration_states(record, runs, predicted(cluster.store, record))
    counts = Counter(state for _, state in runs.values())
    rate = per_hour(content["last_updated"] for content in recorded.values())
    left = _runs_left(submission, counts, states)
    return CampaignStatus(
        name=record.name,
        n_configurations=len(record.configuration_ids),
        states={state: states[state] for state in STATES},
        runs=dict(sorted(counts.items())),
        chunks=chunks,
        per_hour=rate,
        seconds_left=3600 * left / rate if rate and left else None,
        failures=grouped(
            _failures(works, reasons, recorded),
            lambda option, telling: (
                f"definet-flows recover {submission.name}" + (f"{option} --reason '{telling}'" if option else "")
            ),
        ),
        standing="stopped" if submission.stopped else None,
    )


def _run_states(works: Iterable[Work], recorded: Mapping[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Configuration and state of every relaxation, by key."""
    runs = {key: (content["configuration_id"], content["state"]) for key, content in recorded.items()}
    for work in works:
        if work.key is None or work.configuration is None:
            continue
        state = _state_of(work, recorded.get(work.key))
        before = runs.get(work.key)
        if before is None or PRECEDENCE.index(state) < PRECEDENCE.index(before[1]):
            runs[work.key] = (work.configuration, state)
    return runs


def _state_of(work: Work, record: Mapping[str, Any] | None) -> str:
    if work.state in {"LOST", "RUNNING"}:
        return work.state.lower()
    if work.state in _QUEUED:
        return "queued"
    # A job may die between writing its record and telling so.
    return "failed" if record is None else str(record["state"])


def _runs_left(submission: Submission, runs: Mapping[str, int], states: Mapping[str, int]) -> float:
    """Relaxations still to end; those of configurations without jobs are guessed from the share with both starts."""
    known = sum(runs.get(state, 0) for state in ("running", "queued", "lost"))
    plan = submission.plan
    starts = 1 + plan.baseline_fraction if plan.model is not None else 1
    return known + states["waiting"] * starts * len(plan.charges)


def _failures(
    works: Iterable[Work], reasons: Mapping[int, str], recorded: Mapping[str, dict[str, Any]]
) -> dict[str, list[Failure]]:
    """What went wrong, by the option of `recover` that takes it."""
    told: set[str] = set()
    failures: dict[str, list[Failure]] = {"": [], " --failed": []}
    for work in works:
        if work.state in {"FIZZLED", "LOST"}:
            told.add(work.key or "")
            failures[""].append((work.why or reasons[work.fw_id], work.role, work.configuration))
    for key, content in recorded.items():
        if content["state"] == "failed" and key not in told:
            failures[" --failed"].append((content["reason"] or "", "relax", content["configuration_id"]))
    return failures
