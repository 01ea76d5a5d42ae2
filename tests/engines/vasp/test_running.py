"""Real processes: custodian, the stand-in for VASP, files, figures; and every way in which it can go wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from definet_flows.engines.vasp.outputs.physics import charge_of
from definet_flows.engines.vasp.outputs.runs import read_run
from definet_flows.engines.vasp.running.custody import WalltimeError
from definet_flows.errors import DefinetFlowsError, InputError
from definet_flows.jobs import RelaxMaker
from tests import copper

ZBRENT = "ZBRENT: fatal error in bracketing"
EDDDAV = "Error EDDDAV: Call to ZHEGV failed. Returncode = 8"


@pytest.fixture(scope="module")
def shifted(pair):
    """A start other than the pristine one, to the same minimum."""
    generator = np.random.default_rng(3)
    return pair.host.positions + 0.02 * generator.standard_normal(pair.host.positions.shape)


def folder_of(outcome):
    return Path(outcome.details.directory)


def test_a_run_is_relaxed_and_reported(engine, pair):
    outcome = engine().relax(pair)
    assert (outcome.converged, outcome.error, outcome.ionic_steps) == (True, None, 8)
    assert outcome.electronic_steps == sum(outcome.details.electronic_steps_history) == 43
    assert outcome.max_force == pytest.approx(outcome.max_force_history[-1], abs=1e-6)
    assert outcome.max_force < 0.01 <= min(outcome.max_force_history[:-1])
    assert (outcome.cores, outcome.total_moment, outcome.details.functional) == (1, 0.0, "PBE")
    assert outcome.core_hours > 0
    positions = np.array(outcome.positions)
    assert np.array_equal(positions[~pair.occupied], pair.host.positions[~pair.occupied])
    assert 0.01 < np.abs(positions - pair.host.positions).max() < 0.5
    files = {path.name for path in folder_of(outcome).iterdir()}
    assert {"vasprun.xml.gz", "OUTCAR.gz", "custodian.json.gz", "task.json.gz"} <= files
    with gzip.open(folder_of(outcome) / "task.json.gz") as file:
        assert json.load(file)["state"] == "successful"


def test_both_starts_end_in_one_minimum_in_folders_of_their_own(engine, pair, shifted):
    vasp = engine(force_threshold=0.001)
    unrelaxed, prerelaxed = vasp.relax(pair), vasp.relax(pair, shifted)
    assert unrelaxed.energy == pytest.approx(prerelaxed.energy, abs=1e-5)
    difference = np.array(unrelaxed.positions) - prerelaxed.positions
    assert np.abs(difference - difference[pair.occupied].mean(axis=0))[pair.occupied].max() < 0.01
    names = [folder_of(outcome).name for outcome in (unrelaxed, prerelaxed)]
    assert [("-unrelaxed-" in name, "-prerelaxed-" in name) for name in names] == [(True, False), (False, True)]


def test_a_run_that_has_ended_is_read_and_not_repeated(engine, pair):
    first = engine().relax(pair)
    assert engine([{"do": "exit"}]).relax(pair) == first


def test_atoms_that_cross_the_cell_edge_stay_where_they_are(engine, pair):
    """Site 0 of the host lies at the origin: VASP folds what moves below it to the other side."""
    outcome = engine().relax(copper.configuration({1: "Vac"}))
    assert np.abs(np.array(outcome.positions) - pair.host.positions).max() < 0.5


@pytest.mark.parametrize("text", [ZBRENT, "BRMIX: very serious problems", EDDDAV])
def test_an_error_that_custodian_knows_is_corrected_and_its_steps_count(engine, pair, text):
    outcome = engine([{"do": "print", "text": text, "after": 2, "times": 1}]).relax(pair)
    assert (outcome.converged, outcome.error) == (True, None)
    first, last = outcome.details.attempts
    assert (first.source, first.ionic_steps, first.ended, last.ended) == ("error.1.tar.gz", 2, False, True)
    assert outcome.ionic_steps == 2 + last.ionic_steps == len(outcome.max_force_history)
    (correction,) = outcome.details.corrections
    assert correction.handler == "SafeErrorHandler"
    assert "measured around VASP" in outcome.details.caveats["wall_seconds"]


FAILURES = {
    "custodian's patience ends": ({"do": "print", "text": EDDDAV, "after": 1}, {"max_errors": 2}, "Max errors", 2),
    "killed": ({"do": "signal", "after": 2}, {}, "VasprunXMLValidator", 2),
    "exits": ({"do": "exit", "after": 1, "number": 3}, {}, "VasprunXMLValidator", 1),
    "before the first step": ({"do": "signal"}, {}, "VasprunXMLValidator", 0),
    "cut files": ({"do": "truncate"}, {}, "VasprunXMLValidator", None),
    "disk full": ({"do": "disk full"}, {}, "No space left on device", None),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_says_why_where_and_what_it_cost(engine, pair, case):
    rule, options, why, steps = FAILURES[case]
    outcome = engine([rule], **options).relax(pair)
    assert not outcome.converged
    assert why in outcome.error
    assert outcome.details.directory in outcome.error
    assert steps is None or outcome.ionic_steps == steps
    assert outcome.core_hours > 0


def test_a_run_that_reaches_nsw_is_unconverged_and_restarted_by_nobody(engine, pair):
    outcome = engine([{"do": "diverge"}], max_steps=5).relax(pair)
    assert (outcome.converged, outcome.error, outcome.ionic_steps) == (False, None, 5)
    assert outcome.details.corrections == []


def test_electrons_that_do_not_settle_are_corrected_then_given_up(engine, pair):
    outcome = engine([{"do": "unsettled"}], max_errors=2, user_incar_settings={"NELM": 20}).relax(pair)
    assert (outcome.converged, outcome.details.electronic_converged) == (False, False)
    assert {one.handler for one in outcome.details.corrections} == {"ElectronicErrorHandler"}
    assert "Max errors" in outcome.error


def test_a_frozen_run_goes_on_from_its_last_step(engine, pair):
    outcome = engine([{"do": "hang", "after": 2, "times": 1}], frozen_seconds=4).relax(pair)
    assert outcome.converged
    assert outcome.details.attempts[0].ionic_steps == 2
    assert outcome.details.corrections[0].handler == "FrozenJobErrorHandler"
    assert outcome.wall_seconds > 4


def test_a_failed_run_goes_on_when_it_is_tried_again(engine, pair):
    vasp = engine([{"do": "signal", "after": 3, "times": 1}])
    failed, again = vasp.relax(pair), vasp.relax(pair)
    assert (failed.ionic_steps, again.converged) == (3, True)
    assert [attempt.source for attempt in again.details.attempts] == ["launch-1", "."]
    assert again.ionic_steps == 3 + again.details.attempts[-1].ionic_steps
    assert again.max_force_history[:3] == failed.max_force_history
    assert again.core_hours > failed.core_hours
    assert again.energy == pytest.approx(engine(directory=vasp.directory / "whole").relax(pair).energy, abs=1e-3)


def test_what_is_left_of_the_steps_is_left_after_a_restart(engine, pair):
    vasp = engine([{"do": "signal", "after": 3, "times": 1}, {"do": "diverge"}], max_steps=7)
    vasp.relax(pair)
    outcome = vasp.relax(pair)
    assert (outcome.converged, outcome.error, outcome.ionic_steps) == (False, None, 7)
    with gzip.open(next(vasp.directory.glob("*/INCAR.gz")), "rt") as file:
        assert "NSW = 4" in file.read()


def test_the_wall_time_stops_a_run_that_goes_on_in_another_job(engine, pair):
    slow = {"rules": [{"do": "slow", "seconds": 0.5}], "walltime_buffer": 1}
    with pytest.raises(WalltimeError, match="goes on from there"):
        engine(**slow, walltime=2).relax(pair)
    outcome = engine().relax(pair)
    assert outcome.converged
    assert [attempt.source for attempt in outcome.details.attempts] == ["launch-1", "."]


def test_nothing_is_started_when_the_wall_time_is_nearly_over(engine, pair, tmp_path):
    with pytest.raises(WalltimeError, match="nothing more is started"):
        engine(walltime=5, walltime_buffer=5).relax(pair)
    assert list((tmp_path / "vasp").glob("*/OUTCAR*")) == []


def test_the_pristine_supercell_becomes_the_reference(engine, pair):
    vasp = engine()
    host = vasp.relaxed_host(pair.host)
    assert host.reference.physics_hash == vasp.physics_hash
    assert vasp.relaxed_host(host) is host
    assert engine(relax_host=False).relaxed_host(pair.host) is pair.host


def test_a_pristine_supercell_that_fails_ends_it_all(engine, pair):
    with pytest.raises(DefinetFlowsError, match="did not relax with VASP"):
        engine([{"do": "exit"}]).relaxed_host(pair.host)


def test_no_command_no_potcar_no_package(engine, pair, monkeypatch):
    with pytest.raises(InputError, match=r"there is no command 'vasp_of_nobody -n 4'.*set vasp_cmd"):
        engine(vasp_cmd="vasp_of_nobody -n 4").relax(pair)
    with pytest.raises(InputError, match=r"no POTCAR Ag for Ag in the set PBE_54.*PMG_VASP_PSP_DIR"):
        engine().relax(copper.configuration({0: "Ag"}))
    with pytest.raises(InputError, match="no POTCAR Cu_gw for Cu"):
        engine(potcars={"Cu": "Cu_gw"}).relax(pair)
    monkeypatch.setitem(__import__("sys").modules, "definet_flows.engines.vasp.running.job", None)
    with pytest.raises(InputError, match=r"pip install 'definet-flows\[vasp\]'"):
        engine().relax(pair)


def test_of_several_moments_the_lowest_in_energy_is_relaxed_and_all_are_paid_for(engine, pair):
    only = engine().relax(pair)
    rules = [{"where": "moments-high_spin", "do": "exit", "after": 0}]
    outcome = engine(rules, moments=("high_spin", "flipped"), max_errors=1).relax(pair)
    assert (outcome.converged, outcome.ionic_steps) == (True, only.ionic_steps)
    failed, flipped = outcome.details.single_points
    assert (failed.name, failed.energy, flipped.name) == ("moments high_spin", None, "moments flipped")
    assert "Validation failed" in failed.error
    assert flipped.energy == pytest.approx(outcome.details.energy_history[0], abs=1e-6)
    assert outcome.wall_seconds > flipped.wall_seconds
    with gzip.open(folder_of(outcome) / "INCAR.gz", "rt") as file:
        assert "-0.6" in file.read()


def test_a_single_point_follows_a_converged_relaxation_only(engine, pair):
    level = {"functional": "HSE06", "user_incar_settings": {"NELM": 100}}
    outcome = engine(single_point=level).relax(pair)
    (hybrid,) = outcome.details.single_points
    assert (hybrid.name, hybrid.error) == ("HSE06", None)
    assert hybrid.energy == pytest.approx(outcome.energy, abs=1e-6)
    with gzip.open(folder_of(outcome) / "single-point" / "INCAR.gz", "rt") as file:
        assert {"LHFCALC = True", "NELM = 100", "NSW = 0"} <= set(file.read().splitlines())
    assert engine([{"do": "exit"}], single_point=level).relax(pair) == outcome
    unconverged = engine([{"do": "diverge"}], single_point=level, max_steps=3).relax(pair)
    assert unconverged.details.single_points == []


def test_the_charge_on_record_reaches_vasp(engine, pair):
    outcome, neutral = engine().relax(pair, charge=-1), engine().relax(pair)
    assert outcome.converged
    assert "-q-1-unrelaxed-" in folder_of(outcome).name
    assert folder_of(outcome) != folder_of(neutral)
    assert charge_of(read_run(folder_of(outcome)).first) == -1
    assert charge_of(read_run(folder_of(neutral)).first) == 0


def test_a_dipole_correction_of_a_charged_cell_is_refused_before_anything_runs(engine, sulphur_vacancy, tmp_path):
    vasp = engine(dipole=True, kpoints=(1, 1, 1))
    with pytest.raises(InputError, match=r"not defined for a cell of charge \+2"):
        vasp.relax(sulphur_vacancy, charge=2)
    assert not (tmp_path / "vasp").exists()


def test_the_single_point_starts_from_the_moments_that_were_chosen(engine, pair):
    rules = [{"where": "moments-high_spin", "do": "exit", "after": 0}]
    settings = {"moments": ("high_spin", "flipped"), "max_errors": 1, "single_point": {"functional": "HSE06"}}
    outcome = engine(rules, **settings).relax(pair)
    assert [one.error is None for one in outcome.details.single_points] == [False, True, True]
    with gzip.open(folder_of(outcome) / "single-point" / "INCAR.gz", "rt") as file:
        assert "-0.6" in file.read()


def test_the_charge_of_a_job_is_that_of_its_record_and_of_vasp(engine, pair):
    maker = RelaxMaker(engine=engine())
    record = RelaxMaker.make.original(maker, pair.content, pair.host.to_dict(), charge=1)
    assert (record["state"], record["charge"]) == ("converged", 1)
    assert charge_of(read_run(record["details"]["directory"]).first) == 1


def test_what_a_lost_run_left_behind_is_read_without_running_anything(engine, pair):
    vasp = engine([{"do": "signal", "after": 3}])
    assert vasp.left_behind(pair) is None
    failed = vasp.relax(pair)
    assert engine(vasp_cmd="vasp_of_nobody").left_behind(pair) == failed
