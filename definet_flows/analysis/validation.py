"""The residual-step experiment's figures: steps from both starts by kind of defect, the worst cases, and when it pays."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from definet_flows.analysis.bootstrap import reduction_of_totals
from definet_flows.analysis.savings import CountedPair, Threshold, counted_pairs, not_trained_on
from definet_flows.analysis.table import SavingsRow, savings_table
from definet_flows.records.documents import RelaxationRecord, SavingsRecord

NEW = "new"
"""Exposure of the headline's configurations."""


@dataclass(frozen=True)
class StepSpread:
    """Ionic steps of a group of configurations from one start.

    Parameters
    ----------
    mean, lower, median, upper
        Mean and quartiles.
    """

    mean: float
    lower: float
    median: float
    upper: float

    @classmethod
    def of(cls, steps: npt.NDArray[np.float64]) -> StepSpread:
        """The spread of some steps."""
        return cls(float(steps.mean()), *(float(one) for one in np.quantile(steps, [0.25, 0.5, 0.75])))


@dataclass(frozen=True)
class GroupRow:
    """Residual steps of the configurations that share a defect type, a number of defects or a supercell.

    Parameters
    ----------
    group
        What they share.
    pairs
        Configurations relaxed from both starts, losers included.
    unrelaxed, prerelaxed
        Steps from either start, counted as in the savings table.
    reduction
        Share of the total steps saved.
    same_minimum
        Pairs whose two starts provably ended in the same minimum.
    """

    group: str
    pairs: int
    unrelaxed: StepSpread
    prerelaxed: StepSpread
    reduction: float
    same_minimum: int


@dataclass(frozen=True)
class Investment:
    """What had to be paid before the first prediction, and after how many configurations it is earned back.

    Parameters
    ----------
    labels, labels_converged
        Relaxations of training configurations, and those of them that could be trained on.
    label_core_hours, training_core_hours
        Core-hours; those of the labels include failed ones and the pristine supercells.
    earlier_core_hours
        What the campaign file says that labels and trainings made before this experiment have cost.
    saved_per_configuration
        Core-hours saved by pre-relaxing one held-out configuration, losers included; None before the first pair.
    """

    labels: int
    labels_converged: int
    label_core_hours: float
    training_core_hours: float
    earlier_core_hours: float
    saved_per_configuration: float | None

    @property
    def core_hours(self) -> float:
        """All that had to be paid."""
        return self.label_core_hours + self.training_core_hours + self.earlier_core_hours

    @property
    def pays_after(self) -> int | None:
        """Configurations after which the savings exceed labels and training; None where nothing is saved."""
        if not self.saved_per_configuration or self.saved_per_configuration <= 0:
            return None
        return math.ceil(self.core_hours / self.saved_per_configuration)


@dataclass(frozen=True)
class ValidationResults:
    """What a residual-step experiment has found so far.

    Parameters
    ----------
    planned
        Held-out configurations.
    headline
        Savings of the held-out configurations whose clusters are new to the network, one row for each threshold.
    rows
        The whole savings table, clusters seen at another size in rows of their own.
    groups
        By defect type, number of defects and supercell, at the engine's threshold.
    worst
        The pairs that cost more steps than their baseline or ended in another minimum, the dearest first.
    investment
        Labels and training.
    pairs
        Held-out configurations relaxed from both starts.
    """

    planned: int
    headline: list[SavingsRow]
    rows: list[SavingsRow]
    groups: list[GroupRow]
    worst: list[CountedPair]
    investment: Investment
    pairs: int

    @property
    def is_partial(self) -> bool:
        """Whether held-out configurations still wait for one of their runs."""
        return self.pairs < self.planned


def validation_results(
    held_out: Collection[str],
    savings: Iterable[SavingsRecord],
    labels: Sequence[RelaxationRecord],
    thresholds: dict[Threshold, float],
    training_core_hours: float = 0.0,
    earlier_core_hours: float = 0.0,
) -> ValidationResults:
    """Settle a residual-step experiment.

    Parameters
    ----------
    held_out
        Ids of the held-out configurations.
    savings
        Pairs under the validated checkpoint; those of other configurations are left out.
    labels
        Relaxations that were made to be trained on, the pristine supercells' among them.
    thresholds
        Force in eV/Å of each threshold to report.
    training_core_hours
        Core-hours of the training.
    earlier_core_hours
        Core-hours that a network which was there before has cost.
    """
    wanted = set(held_out)
    listed = [record for record in savings if record.configuration_id in wanted]
    usable = not_trained_on(listed)
    return ValidationResults(
        planned=len(wanted),
        headline=savings_table([record for record in listed if record.exposure == NEW], thresholds),
        rows=savings_table(listed, thresholds),
        groups=_groups(usable),
        worst=_worst(counted_pairs(usable)),
        investment=_investment(labels, training_core_hours, earlier_core_hours, usable),
        pairs=len(listed),
    )


def _investment(
    labels: Sequence[RelaxationRecord], training: float, earlier: float, held_out: Sequence[SavingsRecord]
) -> Investment:
    defects = [record for record in labels if record.kind == "defect"]
    return Investment(
        labels=len(defects),
        labels_converged=sum(record.state == "converged" for record in defects),
        label_core_hours=sum(record.core_hours or 0.0 for record in labels),
        training_core_hours=training,
        earlier_core_hours=earlier,
        saved_per_configuration=_saved_each(counted_pairs(held_out)),
    )


def _groups(records: Sequence[SavingsRecord]) -> list[GroupRow]:
    kinds: tuple[Callable[[SavingsRecord], str], ...] = (
        lambda one: one.label,
        lambda one: f"{one.n_defects} defect{'s' if one.n_defects > 1 else ''}",
        lambda one: one.host.title,
    )
    rows = []
    for kind in kinds:
        members: dict[str, list[SavingsRecord]] = {}
        for record in records:
            members.setdefault(kind(record), []).append(record)
        rows += [_group(name, counted_pairs(found)) for name, found in sorted(members.items())]
    return rows


def _group(name: str, pairs: Sequence[CountedPair]) -> GroupRow:
    steps = np.array([(pair.unrelaxed_steps, pair.prerelaxed_steps) for pair in pairs], dtype=float)  # [n_pairs, 2]
    return GroupRow(
        group=name,
        pairs=len(pairs),
        unrelaxed=StepSpread.of(steps[:, 0]),
        prerelaxed=StepSpread.of(steps[:, 1]),
        reduction=float(reduction_of_totals(steps)),
        same_minimum=sum(pair.same_minimum for pair in pairs),
    )


def _worst(pairs: Iterable[CountedPair]) -> list[CountedPair]:
    losers = [one for one in pairs if one.prerelaxed_steps > one.unrelaxed_steps or not one.same_minimum]
    return sorted(losers, key=lambda one: one.unrelaxed_steps - one.prerelaxed_steps)


def _saved_each(pairs: Iterable[CountedPair]) -> float | None:
    saved = [hours for pair in pairs if (hours := pair.core_hours_saved) is not None]
    return float(np.mean(saved)) if saved else None
