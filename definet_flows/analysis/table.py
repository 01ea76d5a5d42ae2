"""The savings table: one row for what training has seen of the defect clusters, and one for each force threshold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from definet_flows.analysis.bootstrap import bootstrap, reduction_of_medians, reduction_of_totals
from definet_flows.analysis.savings import (
    TRAINED_ON,
    CountedPair,
    Outcome,
    Threshold,
    counted_pairs,
    neutral,
    not_trained_on,
)
from definet_flows.records.documents import SavingsRecord

EXPOSURES = {
    "same_size": "seen at the same size",
    "other_size": "seen at another size",
    "new": "new",
    "undefined": "undefined at this size",
    "unknown": "not known",
}
"""How reports name what training has seen of a defect cluster."""

ALL = "all"


@dataclass(frozen=True)
class SavingsRow:
    """Savings of the pairs that share an exposure, at one threshold.

    Parameters
    ----------
    clusters
        What training has seen of these pairs' defect clusters.
    threshold
        Largest force at which a relaxation counts as done, eV/Å.
    pairs
        Configurations relaxed from both starts, losers included.
    excluded
        Pairs left out of this row because the checkpoint was trained on them at the same size; 0 except in the sum over rows.
    median_unrelaxed, median_prerelaxed, total_unrelaxed, total_prerelaxed
        Ionic steps.
    reduction_of_medians, reduction_of_totals
        Share of the steps saved, 1 for all of them; negative where more were needed.
    medians_interval, totals_interval
        95 % confidence intervals of these, from resampling pairs; None for a single pair.
    same_minimum
        Pairs whose two starts provably ended in the same minimum; a fallback did, a lost run proves nothing.
    other_minimum, fallback, failed, unconverged, baseline_lost
        Pairs that ended in different minima, were refused by the guard, lost their prerelaxed run to an error or to the step
        limit, or lost their unrelaxed run.
    core_hours_unrelaxed, core_hours_prerelaxed
        Core-hours of the whole relaxations, predictions included, whatever the threshold, of the pairs that told them.
    """

    clusters: str
    threshold: float
    pairs: int
    excluded: int
    median_unrelaxed: float
    median_prerelaxed: float
    total_unrelaxed: int
    total_prerelaxed: int
    reduction_of_medians: float
    reduction_of_totals: float
    medians_interval: tuple[float, float] | None
    totals_interval: tuple[float, float] | None
    same_minimum: int
    other_minimum: int
    fallback: int
    failed: int
    unconverged: int
    baseline_lost: int
    core_hours_unrelaxed: float
    core_hours_prerelaxed: float

    @property
    def same_minimum_share(self) -> float:
        """Share of all pairs, losers included."""
        return self.same_minimum / self.pairs

    @property
    def losers(self) -> dict[str, int]:
        """How many lost in which way, without the ways in which none did; all of them count in every mean."""
        counts = {
            "in another minimum": self.other_minimum,
            "refused by the guard": self.fallback,
            "lost the prerelaxed run to an error": self.failed,
            "lost the prerelaxed run at the step limit": self.unconverged,
            "lost the unrelaxed run": self.baseline_lost,
        }
        return {fate: number for fate, number in counts.items() if number}


def savings_table(
    records: Iterable[SavingsRecord], thresholds: dict[Threshold, float], seed: int = 0
) -> list[SavingsRow]:
    """Summarise the savings of neutral cells, losers in the denominator.

    Parameters
    ----------
    records
        Savings records of one campaign.
    thresholds
        Force in eV/Å of each threshold to report.
    seed
        Of the resampling behind the confidence intervals.

    Returns
    -------
    list of SavingsRow
        In the order of EXPOSURES, then ``all`` where there are several; exposures without pairs are left out. ``all`` leaves out
        the pairs that the checkpoint was trained on at the same size, and says how many they are.
    """
    listed = neutral(records)
    parts = {EXPOSURES[name]: [record for record in listed if record.exposure == name] for name in EXPOSURES}
    parts = {clusters: part for clusters, part in parts.items() if part}
    excluded = len(parts.get(EXPOSURES[TRAINED_ON], []))
    if len(parts) > 1:
        parts[ALL] = not_trained_on(listed)
    return [
        _row(clusters, force, counted_pairs(part, threshold), seed, excluded if clusters == ALL else 0)
        for clusters, part in parts.items()
        for threshold, force in thresholds.items()
    ]


def charged_table(
    records: Iterable[SavingsRecord], thresholds: dict[Threshold, float], seed: int = 0
) -> list[SavingsRow]:
    """Summarise the savings of charged cells, which the networks were not trained on: a row for each charge.

    Parameters
    ----------
    records, thresholds, seed
        As for `savings_table`, which leaves these pairs out.
    """
    of_charge: dict[int, list[SavingsRecord]] = {}
    for record in records:
        if record.charge:
            of_charge.setdefault(record.charge, []).append(record)
    return [
        _row(f"charge {charge:+d}", force, counted_pairs(of_charge[charge], threshold), seed, 0)
        for charge in sorted(of_charge)
        for threshold, force in thresholds.items()
    ]


def all_trained_on(rows: Iterable[SavingsRow]) -> bool:
    """Whether the checkpoint was trained on every pair of a table, so that they are no evidence for other configurations."""
    return {row.clusters for row in rows} == {EXPOSURES[TRAINED_ON]}


def _row(clusters: str, threshold: float, pairs: Sequence[CountedPair], seed: int, excluded: int) -> SavingsRow:
    steps = np.array([(pair.unrelaxed_steps, pair.prerelaxed_steps) for pair in pairs], dtype=float)  # [n_pairs, 2]
    outcomes = Counter(pair.outcome for pair in pairs)
    medians, totals = np.median(steps, axis=0), steps.sum(axis=0)
    return SavingsRow(
        clusters=clusters,
        threshold=threshold,
        pairs=len(pairs),
        excluded=excluded,
        median_unrelaxed=float(medians[0]),
        median_prerelaxed=float(medians[1]),
        total_unrelaxed=int(totals[0]),
        total_prerelaxed=int(totals[1]),
        reduction_of_medians=float(reduction_of_medians(steps)),
        reduction_of_totals=float(reduction_of_totals(steps)),
        medians_interval=bootstrap(steps, reduction_of_medians, seed),
        totals_interval=bootstrap(steps, reduction_of_totals, seed),
        same_minimum=sum(pair.same_minimum for pair in pairs),
        other_minimum=outcomes[Outcome.OTHER_MINIMUM],
        fallback=outcomes[Outcome.FALLBACK],
        failed=outcomes[Outcome.PRERELAXED_FAILED],
        unconverged=outcomes[Outcome.PRERELAXED_UNCONVERGED],
        baseline_lost=outcomes[Outcome.UNRELAXED_LOST],
        core_hours_unrelaxed=sum(pair.unrelaxed_core_hours or 0.0 for pair in pairs),
        core_hours_prerelaxed=sum(pair.prerelaxed_core_hours or 0.0 for pair in pairs),
    )
