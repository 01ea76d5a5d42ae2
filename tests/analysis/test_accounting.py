from __future__ import annotations

import numpy as np
import pytest

from definet_flows.analysis.accounting import campaign_account, engine_costs
from definet_flows.records.savings import prediction_charge
from tests import copper
from tests.analysis.savings_records import pair, run


def campaign(n_configurations):
    return copper.campaign_record("test", configuration_ids=[f"{number:016x}" for number in range(n_configurations)])


def pairs_saving(*core_hours):
    """Pairs that save so many core-hours each, the prediction's 0.01 not yet charged."""
    return [
        pair(number, run(20, 10, core_hours=5.0), run(5, 2, core_hours=5.0 - saved))
        for number, saved in enumerate(core_hours)
    ]


def account(savings, n_configurations=0, predictions=(), relaxations=()):
    return campaign_account(campaign(n_configurations), relaxations, list(predictions), savings)


def test_the_measured_saving_is_the_sum_over_pairs_with_the_predictions_charged():
    found = account(pairs_saving(3.0, 2.0, 1.0))
    assert found.measured.configurations == 3
    assert found.measured.core_hours == pytest.approx(6.0 - 0.03)
    low, high = found.measured.interval
    assert 3 * 0.99 <= low < 5.97 < high <= 3 * 2.99
    assert found.extrapolated is None


def test_the_whole_campaign_saves_the_mean_times_its_configurations():
    found = account(pairs_saving(3.0, 2.0, 1.0), n_configurations=60)
    assert found.extrapolated.configurations == 60
    assert found.extrapolated.core_hours == pytest.approx(20 * found.measured.core_hours)
    assert found.extrapolated.interval == pytest.approx(tuple(20 * limit for limit in found.measured.interval))


def test_the_interval_covers_the_mean_of_the_campaign_it_was_drawn_from():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(60):
        whole = rng.gamma(2.0, 2.0, 400)
        drawn = rng.choice(whole, 40, replace=False)
        savings = [
            pair(n, run(20, 10, core_hours=30.0), run(5, 2, core_hours=30.0 - saved), prerelax_core_hours=0.0)
            for n, saved in enumerate(drawn)
        ]
        low, high = campaign_account(campaign(400), [], [], savings, seed=trial).extrapolated.interval
        covered += low <= whole.sum() <= high
    assert 52 <= covered <= 60


def test_losers_cost_what_they_used():
    lost = pair(1, run(20, 10, core_hours=2.0), run(50, None, "failed", core_hours=5.0))
    found = account([*pairs_saving(3.0), lost])
    assert found.measured.core_hours == pytest.approx(2.99 - 5.01)
    assert found.measuring == pytest.approx(5.0), "the lost pair's unrelaxed run was needed"


def test_a_pair_that_tells_no_core_hours_is_left_out_and_said():
    untold = pair(7, run(20, 10, core_hours=None), run(5, 2))
    found = account([*pairs_saving(3.0, 2.0), untold])
    assert (found.measured.configurations, found.untold) == (2, 1)
    nothing = account([untold])
    assert nothing.measured is nothing.extrapolated is None


def test_a_loss_that_tells_no_core_hours_is_a_loss_all_the_same():
    """Left out, it would make a mean over survivors; its own cost is not known, that of the run that replaces it is."""
    killed = pair(8, run(20, 10, core_hours=5.0), run(9, None, "failed", core_hours=None))
    found = account([*pairs_saving(3.0), killed])
    assert (found.measured.configurations, found.untold, found.losses_untold) == (2, 0, 1)
    assert found.measured.core_hours == pytest.approx(2.99 - 0.01)
    baseline_lost = pair(9, run(20, None, "failed", core_hours=None), run(5, 2, core_hours=1.0))
    found = account([*pairs_saving(3.0), baseline_lost])
    assert (found.measured.configurations, found.untold, found.losses_untold) == (2, 0, 0)
    assert found.measured.core_hours == pytest.approx(2.99 - 0.01)


def test_a_prediction_of_unknown_time_is_not_charged_and_said():
    free = pair(7, run(20, 10, core_hours=5.0), run(5, 2, core_hours=2.0), prerelax_core_hours=None)
    found = account([free])
    assert (found.measured.core_hours, found.uncharged) == (3.0, 1)
    assert found.measured.interval is None


def test_configurations_trained_on_are_in_no_saving(copper):
    trained = copper.prediction(copper.configuration(), exposure="same_size")
    new = copper.prediction(copper.configuration({0: "Al"}))
    whole = campaign(10).model_copy(
        update={"configuration_ids": [trained.configuration_id, new.configuration_id, "another"]}
    )
    savings = [*pairs_saving(3.0, 2.0), pair(9, run(20, 10), run(1, 1), exposure="same_size")]
    found = campaign_account(whole, [], [trained, new], savings)
    assert (found.trained_on, found.measured.configurations, found.extrapolated.configurations) == (1, 2, 2)


def test_costs_are_told_by_engine_and_start_with_the_lost_ones(copper):
    one, other = copper.configuration(), copper.configuration({0: "Al"})
    untold = copper.record(other, error="killed").model_copy(update={"core_hours": None})
    dft = copper.record(one, steps=30)
    dft = dft.model_copy(update={"engine": dft.engine.model_copy(update={"name": "vasp", "physics": {}})})
    records = [copper.record(one), untold, copper.record(one, copper.prediction(one), converged=False), dft]
    potential = f"forcefield {copper.EMT}"
    found = [
        (cost.engine, cost.start, cost.runs, cost.converged, cost.failed, cost.untold) for cost in engine_costs(records)
    ]
    assert found == [
        (potential, "unrelaxed", 2, 1, 1, 1),
        (potential, "prerelaxed", 1, 0, 0, 0),
        ("vasp", "unrelaxed", 1, 1, 0, 0),
    ]
    assert [cost.core_hours for cost in engine_costs(records)] == pytest.approx([0.05, 0.05, 0.3])


def test_a_gpu_is_charged_as_its_share_of_a_node(copper):
    prediction = copper.prediction(copper.configuration())
    assert prediction_charge(prediction).core_hours == pytest.approx(0.002)
    on_gpu = prediction_charge(prediction.model_copy(update={"cores": 1, "gpus": 1}))
    assert (on_gpu.core_hours, on_gpu.gpu_hours) == (pytest.approx(0.002 * 33), pytest.approx(0.002))
    assert prediction_charge(prediction.model_copy(update={"seconds": None})) is None
    cost = account([], predictions=[prediction, prediction.model_copy(update={"seconds": None})]).predictions
    assert (cost.predictions, cost.untold, cost.wall_seconds) == (2, 1, 7.2)


def test_charged_pairs_are_counted_and_in_no_saving():
    charged = pair(9, run(20, 10, core_hours=5.0), run(60, 30, core_hours=15.0), charge=1, charge_outside_training=True)
    with_it, without = account([*pairs_saving(3.0, 2.0), charged], 10), account(pairs_saving(3.0, 2.0), 10)
    assert (with_it.charged, without.charged) == (1, 0)
    assert (with_it.measured, with_it.extrapolated) == (without.measured, without.extrapolated)
    assert with_it.measuring == without.measuring
