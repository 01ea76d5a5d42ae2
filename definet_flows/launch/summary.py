"""What a campaign came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from definet_flows.launch.totals import added
from definet_flows.records.documents import PredictionRecord, RelaxationRecord, SavingsRecord


class CampaignSummary(BaseModel):
    """Counts over everything a campaign planned, earlier runs of the same command included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the campaign")
    directory: str = Field(description="Its directory")
    n_configurations: int = Field(description="Configurations planned")
    n_baseline: int = Field(description="Those drawn to be relaxed from both starts")
    n_fallbacks: int = Field(description="Those whose prediction was refused")
    n_relaxations: int = Field(description="Relaxations planned, the pristine supercell included")
    converged: int = Field(description="Relaxations that converged")
    unconverged: int = Field(description="Relaxations that reached the step limit")
    failed: int = Field(description="Relaxations that failed")
    n_run: int = Field(description="Relaxations run by this command")
    n_skipped: int = Field(description="Relaxations that were on record already")
    ionic_steps: int = Field(description="Force evaluations of all relaxations")
    core_hours: float = Field(description="Core-hours of all relaxations that told them")
    wall_seconds: float = Field(description="Wall time of this command, s")
    savings: list[SavingsRecord] = Field(description="What pre-relaxation saved, per configuration")


def relaxation_counts(relaxations: Iterable[RelaxationRecord]) -> dict[str, Any]:
    """States, steps and core-hours over relaxations, as `CampaignSummary` names them."""
    states: Counter[str] = Counter()
    steps, core_hours = 0, 0.0
    for record in relaxations:
        states[record.state] += 1
        steps += record.ionic_steps or 0
        core_hours += record.core_hours or 0.0
    counts = {state: states[state] for state in ("converged", "unconverged", "failed")}
    return {**counts, "ionic_steps": steps, "core_hours": core_hours}


def fallback_count(predictions: Mapping[str, PredictionRecord] | None) -> int:
    """Number of refused predictions."""
    return sum(not prediction.passed for prediction in (predictions or {}).values())


def total_of(name: str, members: Sequence[CampaignSummary]) -> CampaignSummary:
    """The sum over a campaign's hosts.

    Parameters
    ----------
    name
        Of all of them together.
    members
        At least one.
    """
    savings = [saving for one in members for saving in one.savings]
    return CampaignSummary(name=name, directory=members[0].directory, savings=savings, **added(members))
