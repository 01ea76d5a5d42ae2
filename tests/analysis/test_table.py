from __future__ import annotations

import numpy as np
import pytest

from definet_flows.analysis.savings import Threshold
from definet_flows.analysis.table import charged_table, savings_table
from tests.analysis.savings_records import pair, run

BOTH = {Threshold.COARSE: 0.05, Threshold.ENGINE: 0.01}
FINE = {Threshold.ENGINE: 0.01}


def test_rows_come_by_exposure_then_all_and_absent_ones_are_left_out():
    records = [pair(1, run(20, 10), run(5, 2)), pair(2, run(30, 12), run(6, 3), exposure="other_size")]
    rows = savings_table(records, BOTH)
    assert [(row.clusters, row.threshold, row.pairs) for row in rows] == [
        ("seen at another size", 0.05, 1),
        ("seen at another size", 0.01, 1),
        ("new", 0.05, 1),
        ("new", 0.01, 1),
        ("all", 0.05, 2),
        ("all", 0.01, 2),
    ]
    assert len(savings_table(records[:1], BOTH)) == 2, "one exposure needs no sum"
    assert savings_table([], BOTH) == []


def test_pairs_trained_on_have_their_own_row_and_are_in_no_sum():
    """Losers among the rest stay; a loser that was trained on leaves the sum with the winners."""
    records = [
        pair(1, run(20, 10), run(2, 1), exposure="same_size"),
        pair(2, run(20, 10), run(500, None, "unconverged"), exposure="same_size"),
        pair(3, run(30, 12), run(6, 3)),
        pair(4, run(30, 12), run(100, None, "failed"), exposure="other_size"),
    ]
    rows = {row.clusters: row for row in savings_table(records, FINE)}
    assert list(rows) == ["seen at the same size", "seen at another size", "new", "all"]
    assert rows["seen at the same size"].pairs == 2
    assert rows["all"].pairs == 2
    assert (rows["all"].total_unrelaxed, rows["all"].total_prerelaxed) == (60, 6 + 30 + 100)
    assert rows["all"].failed == 1
    assert [row.excluded for row in rows.values()] == [0, 0, 0, 2]
    alone = savings_table(records[:2], FINE)
    assert [(row.clusters, row.excluded) for row in alone] == [("seen at the same size", 0)], "no sum to be misread"


def test_medians_and_totals_against_numbers_worked_out_by_hand():
    steps = [(20, 5), (30, 6), (10, 10)]
    (row,) = savings_table([pair(i, run(u, u), run(p, p)) for i, (u, p) in enumerate(steps)], FINE)
    assert (row.median_unrelaxed, row.median_prerelaxed) == (20, 6)
    assert (row.total_unrelaxed, row.total_prerelaxed) == (60, 21)
    assert row.reduction_of_medians == pytest.approx(0.7)
    assert row.reduction_of_totals == pytest.approx(0.65)
    assert row.same_minimum_share == 1


def test_losers_stay_in_the_denominator():
    same = run(27, 18)
    records = [
        pair(1, run(27, 18), run(9, 3)),
        pair(2, run(27, 18), run(9, 3), same_minimum=False),
        pair(3, same, same, fallback=True, guard_passed=False),
        pair(4, run(27, 18), run(100, None, "failed")),
        pair(5, run(27, 18), run(500, None, "unconverged")),
        pair(6, run(500, None, "unconverged"), run(9, 3)),
    ]
    (row,) = savings_table(records, FINE)
    assert row.pairs == 6
    assert (row.other_minimum, row.fallback, row.failed, row.unconverged, row.baseline_lost) == (1, 1, 1, 1, 1)
    assert row.same_minimum == 2
    assert row.same_minimum_share == pytest.approx(2 / 6)
    assert row.total_unrelaxed == 5 * 27 + 9
    assert row.total_prerelaxed == 9 + 9 + 27 + (27 + 100) + (27 + 500) + 9
    assert row.reduction_of_totals < 0, "two lost runs cost more than the others saved"


def test_the_interval_is_reproducible_and_covers_what_it_should():
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(60):
        baseline = rng.integers(15, 45, 30)
        residual = rng.binomial(baseline, 0.3)
        records = [
            pair(i, run(int(u), int(u)), run(int(p), int(p)))
            for i, (u, p) in enumerate(zip(baseline, residual, strict=True))
        ]
        (row,) = savings_table(records, FINE, seed=trial)
        low, high = row.totals_interval
        assert low <= row.reduction_of_totals <= high
        covered += low <= 0.7 <= high
    assert 52 <= covered <= 60, "a 95 % interval of 30 pairs"
    assert savings_table(records, FINE, seed=5) == savings_table(records, FINE, seed=5)


def test_a_single_pair_has_no_interval():
    (row,) = savings_table([pair(1, run(20, 10), run(5, 2))], FINE)
    assert row.totals_interval is None
    assert row.medians_interval is None


def test_charged_cells_have_a_table_of_their_own_and_count_nowhere_else():
    neutral = [pair(i, run(20, 10), run(5, 2)) for i in range(3)]
    charged = [
        pair(10 + i, run(30, 12), run(30, 12), charge=q, charge_outside_training=True)
        for i, q in enumerate((-1, 1, -1))
    ]
    (row,) = savings_table([*neutral, *charged], FINE)
    assert (row.clusters, row.pairs, row.total_unrelaxed) == ("new", 3, 60)
    assert savings_table(charged, FINE) == []
    rows = charged_table([*neutral, *charged], FINE)
    assert [(one.clusters, one.pairs, one.total_unrelaxed) for one in rows] == [
        ("charge -1", 2, 60),
        ("charge +1", 1, 30),
    ]
    assert charged_table(neutral, BOTH) == []
