from __future__ import annotations

import math

import pytest

from definet_flows.engines import Relaxation
from definet_flows.records.documents import RelaxationRecord
from definet_flows.records.extract import (
    planned_key,
    pristine_configuration,
    record_from_relaxation,
    record_of_loss,
)
from definet_flows.records.keys import relaxation_key


def test_a_record_says_what_was_relaxed_and_how(copper):
    configuration = copper.configuration({0: "Vac", 1: "Al"})
    record = copper.record(configuration, energy=-3.5)
    assert (record.label, record.n_defects, record.concentration) == ("V_Cu+Al_Cu", 2, 2 / 32)
    assert (record.configuration_id, record.cluster_id) == (configuration.id, configuration.cluster_id)
    assert record.multiplicity == configuration.multiplicity
    assert record.defects == list(configuration.defects)
    assert record.host.fingerprint == configuration.host.fingerprint
    assert (record.kind, record.start, record.state, record.reason) == ("defect", "unrelaxed", "converged", None)
    assert (record.engine.physics, record.engine.physics_hash) == (copper.ENGINE.physics, copper.ENGINE.physics_hash)
    assert record.engine.execution == {"threads": 1, "device": "cpu"}
    assert record.checkpoint_hash is record.guard_hash is record.exposure is None
    assert record.key == relaxation_key(configuration.id, 0, "unrelaxed", copper.ENGINE.physics_hash)


def test_a_record_names_everything_an_engine_reports(copper):
    outcome = copper.relaxation(copper.configuration(), moment=0.5)
    record = copper.record(copper.configuration(), moment=0.5)
    renamed = {"converged": "state", "error": "reason", "engine_version": "engine"}
    for name in Relaxation.model_fields:
        assert renamed.get(name, name) in RelaxationRecord.model_fields, name
        if name not in renamed and name != "positions":
            assert getattr(record, name) == getattr(outcome, name)


def test_a_prerelaxed_record_names_its_prediction(copper):
    prediction = copper.prediction(copper.configuration())
    record = copper.record(copper.configuration(), prediction)
    assert (record.start, record.exposure, record.prerelax_seconds) == ("prerelaxed", "new", 7.2)
    assert (record.checkpoint, record.checkpoint_hash, record.guard_hash) == ("tiny", "c" * 16, "d" * 16)
    assert record.key == planned_key(copper.configuration(), copper.ENGINE, prediction)
    assert record.key != planned_key(copper.configuration(), copper.ENGINE)


def test_the_pristine_supercell_has_a_record_of_its_own(copper):
    record = copper.record(pristine_configuration(copper.host()))
    assert (record.kind, record.label, record.defects, record.cluster_id) == ("pristine", "pristine", [], None)
    assert (record.n_defects, record.concentration, record.multiplicity) == (0, 0, 1)


def test_the_step_limit_is_not_convergence(copper):
    record = copper.record(copper.configuration(), converged=False, last_force=0.25)
    assert record.state == "unconverged"
    assert record.reason == "the largest force was 0.25 eV/Å after 5 force evaluations"


def test_a_diverged_run_keeps_its_finite_figures(copper):
    outcome = copper.relaxation(copper.configuration(), error="it diverged").model_copy(
        update={"max_force_history": [0.5, 2.0, math.inf, math.nan], "max_force": math.nan, "energy": math.inf}
    )
    record = record_from_relaxation(copper.configuration(), outcome, copper.ENGINE, "copper")
    assert (record.state, record.reason) == ("failed", "it diverged")
    assert record.max_force_history == [0.5, 2.0]
    assert record.max_force is record.energy is record.positions is None
    assert RelaxationRecord.model_validate_json(record.model_dump_json()) == record


def test_a_lost_run_has_time_but_no_steps(copper):
    prediction = copper.prediction(copper.configuration())
    record = record_of_loss(copper.configuration(), copper.ENGINE, "copper", "killed", 7200.0, prediction)
    assert (record.state, record.reason, record.start) == ("failed", "killed", "prerelaxed")
    assert (record.ionic_steps, record.max_force_history, record.engine.version) == (None, [], None)
    assert (record.wall_seconds, record.core_hours) == (7200.0, pytest.approx(2.0))
    assert record.key == planned_key(copper.configuration(), copper.ENGINE, prediction)


def test_a_host_without_reference_has_no_reference_hash(copper):
    relaxed = copper.ENGINE.relaxed_host(copper.host())
    assert copper.host().reference_hash == ""
    assert relaxed.reference_hash == copper.ENGINE.physics_hash
