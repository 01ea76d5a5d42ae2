"""How the two runs of one configuration are counted against each other.

The rules, the same for tables and figures:

- steps are force evaluations until the largest force is below the threshold, the first included;
- a prediction that the guard refused saves nothing: both starts are the one unrelaxed run;
- where only the prerelaxed run was lost (failed, or never below the threshold), its steps were spent in vain and the
  unrelaxed run is needed as well, so both are charged to it;
- where the unrelaxed run was lost there is nothing to save against: the pair stays in the count with a saving of zero;
- a configuration that the checkpoint was trained on, in this very supercell, is no evidence of what it saves elsewhere: such
  pairs have a row of their own, and count in no sum over rows and no figure;
- nor is a charged cell evidence of what is saved on neutral ones, which networks are trained on: charged pairs have a table of
  their own, a row for each charge, and count nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from definet_flows.records.documents import RunFigures, SavingsRecord

TRAINED_ON = "same_size"
"""Exposure of a configuration whose own relaxation, or an equivalent one's, was a training or validation label."""


class Threshold(StrEnum):
    """When a relaxation counts as done."""

    COARSE = "coarse"
    ENGINE = "engine"


class Outcome(StrEnum):
    """What became of a pair; all but the first are losers, and stay in every mean."""

    SAME_MINIMUM = "same minimum"
    OTHER_MINIMUM = "another minimum"
    FALLBACK = "refused by the guard"
    PRERELAXED_FAILED = "prerelaxed run failed"
    PRERELAXED_UNCONVERGED = "prerelaxed run did not converge"
    UNRELAXED_LOST = "unrelaxed run did not converge"


@dataclass(frozen=True)
class CountedPair:
    """One configuration relaxed from both starts, as it enters tables and figures.

    Parameters
    ----------
    configuration_id, label, exposure
        As in its savings record.
    outcome
        What became of it.
    unrelaxed_steps, prerelaxed_steps
        Force evaluations charged to either start.
    unrelaxed_core_hours, prerelaxed_core_hours
        Core-hours charged to either start for the whole relaxation, the prediction's own included; None where a run that
        converged did not tell its own.
    prediction_charged
        Whether the prediction's time is known, and so charged.
    loss_untold
        The prerelaxed run was lost and did not tell its core-hours: it is charged none of its own.
    """

    configuration_id: str
    label: str
    exposure: str
    outcome: Outcome
    unrelaxed_steps: int
    prerelaxed_steps: int
    unrelaxed_core_hours: float | None
    prerelaxed_core_hours: float | None
    prediction_charged: bool = True
    loss_untold: bool = False

    @property
    def same_minimum(self) -> bool:
        """Whether both starts ended in the same minimum; after a fallback they are one run, a lost run proves nothing."""
        return self.outcome in {Outcome.SAME_MINIMUM, Outcome.FALLBACK}

    @property
    def core_hours_saved(self) -> float | None:
        """Core-hours charged to the unrelaxed start less those of the other; None where a run that converged did not tell."""
        if self.unrelaxed_core_hours is None or self.prerelaxed_core_hours is None:
            return None
        return self.unrelaxed_core_hours - self.prerelaxed_core_hours


def not_trained_on(records: Iterable[SavingsRecord]) -> list[SavingsRecord]:
    """Savings that say something of new configurations: neutral ones, but for those trained on at the same size."""
    return [record for record in neutral(records) if record.exposure != TRAINED_ON]


def neutral(records: Iterable[SavingsRecord]) -> list[SavingsRecord]:
    """Savings of the cells that networks are trained on: all but the charged ones."""
    return [record for record in records if not record.charge]


def counted_pairs(records: Iterable[SavingsRecord], threshold: Threshold = Threshold.ENGINE) -> list[CountedPair]:
    """Count every pair at one threshold, by the rules above.

    Parameters
    ----------
    records
        Savings records of one campaign.
    threshold
        ``coarse`` is 0.05 eV/Å; ``engine`` is the force at which the engine stops.
    """
    return [_counted(record, threshold) for record in records]


def charged_steps(unrelaxed: RunFigures, prerelaxed: RunFigures, threshold: Threshold) -> tuple[int, int]:
    """Force evaluations charged to either start, by the rules above.

    Parameters
    ----------
    unrelaxed, prerelaxed
        The two runs; the same one twice where there was nothing else to start from.
    threshold
        As for `counted_pairs`.
    """
    baseline, steps = _steps_to(unrelaxed, threshold), _steps_to(prerelaxed, threshold)
    if baseline is None:
        baseline = steps = _spent(unrelaxed) if steps is None else steps
    elif steps is None:
        steps = baseline + _spent(prerelaxed)
    return baseline, steps


def _counted(record: SavingsRecord, threshold: Threshold) -> CountedPair:
    baseline, steps = charged_steps(record.unrelaxed, record.prerelaxed, threshold)
    return CountedPair(
        record.configuration_id,
        record.label,
        record.exposure,
        _outcome(record),
        baseline,
        steps,
        *_core_hours(record),
        prediction_charged=record.prerelax_core_hours is not None,
        loss_untold=_loss_is_untold(record),
    )


def _core_hours(record: SavingsRecord) -> tuple[float | None, float | None]:
    """Core-hours charged to either start, the prediction's own included.

    A lost run that told none is charged none of its own, not left out: the mean would be one over survivors.
    """
    unrelaxed, prerelaxed = record.unrelaxed.core_hours, record.prerelaxed.core_hours
    charge = record.prerelax_core_hours or 0.0
    if record.unrelaxed.state != "converged":
        return unrelaxed or 0.0, (unrelaxed or 0.0) + charge
    if unrelaxed is None:
        return None, None
    if record.prerelaxed.state != "converged":
        return unrelaxed, unrelaxed + (prerelaxed or 0.0) + charge
    return unrelaxed, None if prerelaxed is None else prerelaxed + charge


def _loss_is_untold(record: SavingsRecord) -> bool:
    """Whether a prerelaxed run was lost at a cost that counts and that nothing tells."""
    lost = record.unrelaxed.state == "converged" and record.prerelaxed.state != "converged"
    return lost and record.prerelaxed.core_hours is None


def _steps_to(run: RunFigures, threshold: Threshold) -> int | None:
    if threshold is Threshold.COARSE:
        return run.steps_to_coarse
    return run.ionic_steps if run.state == "converged" else None


def _spent(run: RunFigures) -> int:
    """Force evaluations of a lost run; one that was killed left no count."""
    return run.ionic_steps or 0


def _outcome(record: SavingsRecord) -> Outcome:
    if record.unrelaxed.state != "converged":
        return Outcome.UNRELAXED_LOST
    if record.fallback:
        return Outcome.FALLBACK
    if record.prerelaxed.state != "converged":
        failed = record.prerelaxed.state == "failed"
        return Outcome.PRERELAXED_FAILED if failed else Outcome.PRERELAXED_UNCONVERGED
    return Outcome.SAME_MINIMUM if record.same_minimum else Outcome.OTHER_MINIMUM
