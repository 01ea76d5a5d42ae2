"""Small documents after large ones: what is collected carries no coordinates."""

from __future__ import annotations

from collections import Counter
from typing import Any

from jobflow.core.job import JobConfig, job
from jobflow.core.reference import OnMissing

from definet_flows.records.documents import RelaxationRecord
from definet_flows.records.savings import COARSE_FORCE, steps_to

SUMMARIZED = (
    "key",
    "kind",
    "configuration_id",
    "cluster_id",
    "label",
    "start",
    "state",
    "reason",
    "ionic_steps",
    "energy",
    "core_hours",
)


@job(config=JobConfig(on_missing_references=OnMissing.NONE))
def summarize(outcome: dict[str, Any] | None) -> Any:
    """The figures of one relaxation.

    Parameters
    ----------
    outcome
        Output of a `RelaxMaker` job; None where the job was lost.

    Returns
    -------
    dict
        About 300 bytes; ``state`` is ``lost`` where nothing is known and ``shared`` where another run stands for it.
    """
    if outcome is None:
        return {"state": "lost"}
    if "shared" in outcome:
        return {"state": "shared", "configuration_id": outcome["shared"]}
    record = RelaxationRecord.model_validate(outcome)
    figures = record.model_dump(mode="json", include=set(SUMMARIZED))
    return figures | {"steps_to_coarse": steps_to(record, COARSE_FORCE)}


@job(config=JobConfig(on_missing_references=OnMissing.NONE))
def collect(summaries: list[dict[str, Any] | None]) -> Any:
    """Counts over a chunk's relaxations, or over chunks.

    Parameters
    ----------
    summaries
        Outputs of `summarize`, or of `collect` itself; None where a job was lost.

    Returns
    -------
    dict
        ``states`` (how many runs in each), ``ionic_steps`` (their sum) and ``core_hours`` (their sum).
    """
    known = [summary or {"state": "lost"} for summary in summaries]
    states: Counter[str] = Counter()
    for summary in known:
        states.update(summary["states"] if "states" in summary else [summary["state"]])
    return {
        "states": dict(sorted(states.items())),
        "ionic_steps": sum(summary.get("ionic_steps") or 0 for summary in known),
        "core_hours": sum(summary.get("core_hours") or 0.0 for summary in known),
    }
