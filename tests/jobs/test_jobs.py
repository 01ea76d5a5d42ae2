from __future__ import annotations

import json

import numpy as np
import pytest
from monty.json import MontyDecoder, MontyEncoder

from definet_flows.engines import ForceFieldEngine
from definet_flows.jobs import (
    ConfigurationSource,
    GenerateMaker,
    ModelSettings,
    PrerelaxMaker,
    RelaxHostMaker,
    RelaxMaker,
    Selection,
    collect,
    summarize,
)
from definet_flows.jobs.hosts import configuration_from, host_from
from definet_flows.jobs.prerelax import PREDICT_JOB
from definet_flows.records.documents import PredictionRecord, RelaxationRecord
from definet_flows.records.extract import pristine_configuration


def run(maker, *arguments):
    """What the job would put out, without a job store."""
    return maker.make.original(maker, *arguments)


@pytest.fixture(scope="module")
def settings(copper, tmp_path_factory):
    return ModelSettings(checkpoint=str(copper.write_checkpoint(tmp_path_factory.mktemp("model"))), device="cpu")


@pytest.fixture(scope="module")
def host(copper):
    return copper.ENGINE.relaxed_host(copper.host())


@pytest.fixture
def maker(copper):
    return RelaxMaker(engine=copper.ENGINE, campaign="copper")


def test_hosts_are_rebuilt_once_per_process(host):
    assert host_from(host.to_dict()) is host_from({**host.to_dict(), "@module": "somewhere"})
    assert host_from(host.to_dict()) == host
    assert host_from(host.with_supercell((1, 1, 2)).to_dict()) != host


def test_the_host_job_adds_the_engines_reference(copper, host):
    relaxed = run(RelaxHostMaker(engine=copper.ENGINE), copper.host().to_dict())
    assert host_from(relaxed).reference.physics_hash == copper.ENGINE.physics_hash
    assert host_from(json.loads(json.dumps(relaxed))) == host


def test_predictions_come_in_order_with_the_guards_verdict(copper, host, settings):
    configurations = [copper.configuration(changes) for changes in ({0: "Al"}, {0: "Ni"}, {0: "Vac"})]
    output = run(PrerelaxMaker(settings, "copper"), [one.content for one in configurations], host.to_dict())
    records = [PredictionRecord.model_validate(one) for one in output]
    assert [one.configuration_id for one in records] == [one.id for one in configurations]
    assert [one.passed for one in records] == [True, False, True]
    assert "not trained on Ni" in records[1].reasons[0]
    direct = list(settings.prerelaxer().predict(configuration_from(one.content, host) for one in configurations))
    np.testing.assert_allclose(records[2].positions, direct[2].positions, atol=1e-6)
    assert {one.reference_hash for one in records} == {copper.ENGINE.physics_hash}
    assert all(one.cores == 1 and one.seconds > 0 for one in records)


def test_the_model_is_loaded_once_and_summarised(settings):
    assert settings.prerelaxer() is settings.prerelaxer()
    summary = settings.summary()
    assert (summary.checkpoint, summary.guard_hash) == ("tiny", settings.guard.hash)
    assert summary.checkpoint_hash == settings.prerelaxer().checkpoint.content_hash
    assert settings.model_copy(update={"guard": None}).summary().guard_hash == "none"


class TestRelaxing:
    def test_from_the_unrelaxed_start(self, copper, maker, host):
        configuration = configuration_from([[0, "Vac"]], host)
        record = RelaxationRecord.model_validate(run(maker, [[0, "Vac"]], host.to_dict()))
        direct = copper.ENGINE.relax(configuration)
        assert (record.start, record.state, record.campaign) == ("unrelaxed", "converged", "copper")
        assert record.max_force_history == direct.max_force_history
        np.testing.assert_array_equal(record.positions, direct.positions)

    def test_from_a_prediction(self, copper, maker, host):
        configuration = configuration_from([[0, "Vac"]], host)
        end = copper.ENGINE.relax(configuration).positions
        prediction = copper.prediction(configuration).model_copy(update={"positions": end})
        record = RelaxationRecord.model_validate(run(maker, [[0, "Vac"]], host.to_dict(), prediction.model_dump()))
        assert (record.start, record.ionic_steps, record.exposure) == ("prerelaxed", 1, "new")

    def test_a_refused_prediction_shares_the_unrelaxed_run_where_there_is_one(self, copper, maker, host):
        configuration = configuration_from([[0, "Vac"]], host)
        refused = copper.prediction(configuration, passed=False).model_dump()
        assert run(maker, [[0, "Vac"]], host.to_dict(), refused, True) == {"shared": configuration.id}
        alone = RelaxationRecord.model_validate(run(maker, [[0, "Vac"]], host.to_dict(), refused))
        assert (alone.start, alone.checkpoint_hash) == ("unrelaxed", None)
        assert alone.key == run(maker, [[0, "Vac"]], host.to_dict())["key"]

    def test_the_pristine_supercell(self, maker, host):
        record = RelaxationRecord.model_validate(run(maker, [], host.to_dict()))
        assert (record.kind, record.configuration_id) == ("pristine", pristine_configuration(host).id)
        assert record.ionic_steps == 1
        assert record.state == "converged"

    def test_an_engine_that_fails_is_a_failed_record(self, host):
        maker = RelaxMaker(engine=ForceFieldEngine(potential="ase.calculators.emt.EMT"))
        record = RelaxationRecord.model_validate(run(maker, [[0, "Se"]], host.to_dict()))
        assert record.state == "failed"
        assert record.reason


def test_summaries_are_small_and_carry_no_coordinates(copper):
    record = copper.record(copper.configuration())
    summary = summarize.original(record.model_dump(mode="json"))
    assert len(json.dumps(summary)) < 500
    assert (summary["state"], summary["ionic_steps"], summary["steps_to_coarse"]) == ("converged", 5, 5)
    assert summarize.original(None) == {"state": "lost"}
    assert summarize.original({"shared": "abc"})["state"] == "shared"


def test_collecting_counts_runs_and_chunks(copper):
    runs = [copper.record(copper.configuration(), steps=7), copper.record(copper.configuration(), error="crash")]
    summaries = [summarize.original(record.model_dump(mode="json")) for record in runs]
    chunk = collect.original([*summaries, None, {"state": "shared"}])
    assert chunk["states"] == {"converged": 1, "failed": 1, "lost": 1, "shared": 1}
    assert (chunk["ionic_steps"], chunk["core_hours"]) == (12, pytest.approx(0.12))
    twice = collect.original([chunk, chunk])
    assert twice["states"]["lost"] == 2
    assert twice["ionic_steps"] == 24


def test_makers_survive_the_database(copper, settings):
    source = ConfigurationSource(recipes=("V_Cu",), select=Selection(count=1))
    makers = [
        RelaxHostMaker(engine=copper.ENGINE),
        GenerateMaker(source, "tiny"),
        PrerelaxMaker(settings, "copper"),
        RelaxMaker(engine=copper.ENGINE, campaign="copper"),
    ]
    for maker in makers:
        again = MontyDecoder().decode(json.dumps(maker, cls=MontyEncoder))
        assert again == maker
        assert type(again) is type(maker)


def test_only_predictions_are_named_for_the_gpu(copper, settings):
    names = [
        RelaxHostMaker(engine=copper.ENGINE).make({}).name,
        GenerateMaker().make({}).name,
        RelaxMaker(engine=copper.ENGINE).make([], {}).name,
        summarize({}).name,
        collect([]).name,
    ]
    assert PREDICT_JOB in PrerelaxMaker(settings).make([], {}).name
    assert not [name for name in names if PREDICT_JOB in name]
