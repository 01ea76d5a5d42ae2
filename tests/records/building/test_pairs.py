from __future__ import annotations

import pytest

from definet_flows.engines import ForceFieldEngine
from definet_flows.records import COARSE_FORCE, RecordStore, build_savings, steps_to
from definet_flows.records.extract import record_from_relaxation

OTHER_ENGINE = ForceFieldEngine(potential="another.Potential")


@pytest.fixture
def store(copper):
    with RecordStore.in_memory() as opened:
        opened.put_campaign(copper.campaign_record(baseline_ids=[copper.configuration().id]))
        yield opened


@pytest.fixture
def pair(store, copper):
    """Put both runs of the vacancy into the store and give the record of what they saved."""

    def put(unrelaxed, prerelaxed, **prediction):
        configuration = copper.configuration()
        predicted = copper.prediction(configuration, **prediction)
        store.add_predictions([predicted])
        store.add_relaxations([copper.record(configuration, **unrelaxed)])
        if prerelaxed is not None:
            store.add_relaxations([copper.record(configuration, predicted, **prerelaxed)])
        (record,) = build_savings(store)
        return record

    return put


def test_a_winner(pair):
    record = pair({"steps": 20, "energy": -1.0}, {"steps": 5, "energy": -1.0002, "shift": 0.3})
    assert record.pair_state == "both_converged"
    assert (record.unrelaxed.ionic_steps, record.prerelaxed.ionic_steps) == (20, 5)
    assert (record.steps_saved, record.steps_saved_fraction) == (15, 0.75)
    assert record.core_hours_saved == pytest.approx(0.15)
    assert record.prerelax_core_hours == pytest.approx(0.002)
    assert record.net_core_hours_saved == pytest.approx(0.148)
    assert record.same_minimum
    assert record.largest_distance == pytest.approx(0, abs=1e-9)  # the shift is a rigid translation
    assert record.energy_difference == pytest.approx(-0.0002)
    assert (record.lower_start, record.moment_difference) == ("equal", None)
    assert (record.fallback, record.guard_passed, record.exposure, record.label) == (False, True, "new", "V_Cu")


def test_a_loser_that_took_longer(pair):
    record = pair({"steps": 10}, {"steps": 14})
    assert (record.steps_saved, record.steps_saved_fraction) == (-4, -0.4)


def test_another_minimum_keeps_its_saving_and_says_so(pair):
    record = pair({"steps": 10, "energy": -1.0}, {"steps": 4, "energy": -1.5})
    assert (record.steps_saved, record.same_minimum, record.lower_start) == (6, False, "prerelaxed")


def test_spin_tells_minima_apart(pair):
    record = pair({"moment": 1.0}, {"moment": 3.0})
    assert (record.same_minimum, record.moment_difference) == (False, 2.0)


@pytest.mark.parametrize(("lost", "state"), [({"converged": False}, "unconverged"), ({"error": "crash"}, "failed")])
def test_a_lost_prerelaxed_run_costs_all_its_steps(pair, lost, state):
    record = pair({"steps": 10}, {"steps": 4} | lost)
    assert (record.pair_state, record.prerelaxed.state) == ("prerelaxed_lost", state)
    assert (record.steps_saved, record.steps_saved_fraction) == (-4, -0.4)
    assert record.core_hours_saved == pytest.approx(-0.04)
    assert record.same_minimum is record.largest_distance is record.lower_start is None


def test_a_lost_baseline_leaves_nothing_to_compare_with(pair):
    record = pair({"steps": 10, "converged": False}, {"steps": 4})
    assert record.pair_state == "unrelaxed_lost"
    assert record.steps_saved is record.core_hours_saved is record.net_core_hours_saved is record.same_minimum is None


def test_both_lost(pair):
    assert pair({"error": "crash"}, {"error": "crash"}).pair_state == "both_lost"


def test_a_fallback_shares_the_unrelaxed_run_and_saves_nothing(pair):
    record = pair({"steps": 10}, None, passed=False)
    assert (record.fallback, record.guard_passed, record.guard_reasons) == (True, False, ["an atom moves too far"])
    assert record.prerelaxed == record.unrelaxed
    assert (record.steps_saved, record.steps_saved_fraction, record.core_hours_saved) == (0, 0, 0)
    assert record.net_core_hours_saved == pytest.approx(-0.002)


def test_a_refusal_outside_the_baseline_is_no_pair(store, copper):
    other = copper.configuration({0: "Al"})
    store.add_predictions([copper.prediction(other, passed=False)])
    store.add_relaxations([copper.record(other)])
    assert build_savings(store) == []


def test_half_a_pair_is_no_pair(store, copper):
    configuration = copper.configuration()
    predicted = copper.prediction(configuration)
    store.add_predictions([predicted])
    store.add_relaxations([copper.record(configuration)])
    assert build_savings(store) == []


def test_runs_of_different_engines_are_not_paired(store, copper):
    configuration = copper.configuration()
    predicted = copper.prediction(configuration)
    store.add_predictions([predicted])
    store.add_relaxations([copper.record(configuration), copper.record(configuration, predicted, engine=OTHER_ENGINE)])
    assert build_savings(store) == []
    store.add_relaxations([copper.record(configuration, engine=OTHER_ENGINE)])
    (record,) = build_savings(store)
    assert record.physics_hash == OTHER_ENGINE.physics_hash


def test_a_prediction_on_another_engines_crystal_is_not_paired(store, copper):
    configuration = copper.configuration()
    store.add_predictions([copper.prediction(configuration, passed=False, reference_hash=OTHER_ENGINE.physics_hash)])
    store.add_relaxations([copper.record(configuration)])
    assert build_savings(store) == []


def test_each_model_has_its_own_pairs(store, copper):
    configuration = copper.configuration()
    store.add_relaxations([copper.record(configuration, steps=10)])
    for number, letter in enumerate("ef"):
        model = copper.MODEL.model_copy(update={"checkpoint_hash": letter * 16})
        predicted = copper.prediction(configuration, model=model)
        store.add_predictions([predicted])
        store.add_relaxations([copper.record(configuration, predicted, steps=3 + number)])
    assert sorted(record.steps_saved for record in build_savings(store)) == [6, 7]
    (record,) = build_savings(store, {"checkpoint_hash": "f" * 16})
    assert record.steps_saved == 6


def test_the_vacated_site_does_not_count(store, copper):
    configuration = copper.configuration()
    predicted = copper.prediction(configuration)
    run = copper.record(configuration, predicted)
    moved = [[9.0, 9.0, 9.0] if site == configuration.defects[0][0] else row for site, row in enumerate(run.positions)]
    store.add_predictions([predicted])
    store.add_relaxations([copper.record(configuration), run.model_copy(update={"positions": moved})])
    assert build_savings(store)[0].same_minimum


def test_savings_come_in_a_fixed_order(store, copper):
    for changes in ({0: "Al"}, {0: "Vac", 1: "Al"}, {0: "Vac"}, {0: "Vac", 9: "Al"}):
        configuration = copper.configuration(changes)
        predicted = copper.prediction(configuration)
        store.add_predictions([predicted])
        store.add_relaxations([copper.record(configuration), copper.record(configuration, predicted)])
    records = build_savings(store)
    assert [one.label for one in records] == ["Al_Cu", "V_Cu", "V_Cu+Al_Cu", "V_Cu+Al_Cu"]
    assert records[2].configuration_id < records[3].configuration_id


def test_steps_to_a_force_count_the_start(copper):
    record = copper.record(copper.configuration()).model_copy(update={"max_force_history": [0.4, 0.04, 0.2, 0.01]})
    assert [steps_to(record, force) for force in (0.5, COARSE_FORCE, 0.02, 0.01)] == [1, 2, 4, None]


def test_each_charge_has_its_own_pair_and_one_prediction_serves_all(store, copper):
    configuration = copper.configuration()
    predicted = copper.prediction(configuration)
    store.add_predictions([predicted])
    for charge, steps in ((0, 10), (-1, 20)):
        for start, needed in ((None, steps), (predicted, 4)):
            outcome = copper.relaxation(configuration, steps=needed)
            run = record_from_relaxation(configuration, outcome, copper.ENGINE, "copper", start, charge)
            store.add_relaxations([run])
    records = build_savings(store)
    assert len({one.key for one in records}) == 2
    assert {one.charge: one.steps_saved for one in records} == {0: 6, -1: 16}


def test_of_two_predictions_on_two_pristine_cells_the_engines_own_counts(store, copper):
    """They would have the same key, for the run from them has."""
    configuration, physics_hash = copper.configuration(), copper.ENGINE.physics_hash
    own = copper.prediction(configuration, reference_hash=physics_hash)
    store.add_predictions([copper.prediction(configuration), own])
    store.add_relaxations([copper.record(configuration), copper.record(configuration, own)])
    (record,) = build_savings(store)
    assert record.provenance.prediction_key == own.key
