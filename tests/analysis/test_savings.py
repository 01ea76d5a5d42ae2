from __future__ import annotations

import pytest

from definet_flows.analysis.savings import Outcome, Threshold, counted_pairs, not_trained_on
from tests.analysis.savings_records import pair, run


def counted(record, threshold=Threshold.ENGINE):
    (found,) = counted_pairs([record], threshold)
    return found


def test_two_converged_runs_count_their_own_steps():
    record = pair(1, run(27, 18), run(11, 3))
    fine, coarse = counted(record), counted(record, Threshold.COARSE)
    assert (fine.unrelaxed_steps, fine.prerelaxed_steps) == (27, 11)
    assert (coarse.unrelaxed_steps, coarse.prerelaxed_steps) == (18, 3)
    assert fine.outcome is Outcome.SAME_MINIMUM
    assert fine.prerelaxed_core_hours == pytest.approx(1.01), "the prediction is charged too"


def test_another_minimum_keeps_its_steps_but_is_named():
    found = counted(pair(1, run(27, 18), run(11, 3), same_minimum=False, lower_start="prerelaxed"))
    assert found.outcome is Outcome.OTHER_MINIMUM
    assert not found.same_minimum
    assert found.prerelaxed_steps == 11


def test_a_refused_prediction_saves_nothing():
    same = run(27, 18)
    found = counted(pair(1, same, same, fallback=True, guard_passed=False, guard_reasons=["atoms too close"]))
    assert found.outcome is Outcome.FALLBACK
    assert found.same_minimum
    assert (found.unrelaxed_steps, found.prerelaxed_steps) == (27, 27)
    assert found.prerelaxed_core_hours > found.unrelaxed_core_hours, "the prediction was made in vain"


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("failed", Outcome.PRERELAXED_FAILED), ("unconverged", Outcome.PRERELAXED_UNCONVERGED)],
)
def test_a_lost_prerelaxed_run_is_charged_on_top_of_the_baseline(state, outcome):
    found = counted(pair(1, run(27, 18, core_hours=2.0), run(500, None, state, core_hours=5.0)))
    assert found.outcome is outcome
    assert found.prerelaxed_steps == 27 + 500
    assert found.prerelaxed_core_hours == pytest.approx(7.01)
    assert not found.same_minimum


def test_an_unconverged_run_may_still_have_passed_the_coarse_threshold():
    record = pair(1, run(27, 18), run(500, 4, "unconverged"))
    assert counted(record, Threshold.COARSE).prerelaxed_steps == 4
    assert counted(record).prerelaxed_steps == 527


def test_a_lost_baseline_stays_in_the_count_and_saves_nothing():
    found = counted(pair(1, run(500, None, "unconverged"), run(11, 3), pair_state="unrelaxed_lost"))
    assert found.outcome is Outcome.UNRELAXED_LOST
    assert found.unrelaxed_steps == found.prerelaxed_steps == 11
    assert not found.same_minimum
    both = counted(pair(1, run(500, None, "unconverged"), run(3, None, "failed"), pair_state="both_lost"))
    assert both.outcome is Outcome.UNRELAXED_LOST
    assert both.unrelaxed_steps == both.prerelaxed_steps == 500


def test_only_configurations_trained_on_at_this_size_are_no_evidence():
    exposures = ("same_size", "other_size", "new", "undefined")
    records = [pair(number, run(20, 10), run(5, 2), exposure=name) for number, name in enumerate(exposures)]
    assert [record.exposure for record in not_trained_on(records)] == ["other_size", "new", "undefined"]
