from __future__ import annotations

import json
from collections import Counter

import pytest
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore

from definet_flows.defects import Host
from definet_flows.flows import ScreeningMaker, load_campaign
from definet_flows.flows.adoption import adopt_outputs
from definet_flows.flows.plan import campaign_record, plan_runs
from definet_flows.jobs.prerelax import PREDICT_JOB
from definet_flows.records import RecordStore, build_savings

# jobflow calls a function of monty that is to go in 2028.
pytestmark = pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning")


def run(flow):
    store = JobStore(MemoryStore(flow.uuid), additional_stores={"data": MemoryStore(f"{flow.uuid}-data")})
    run_locally(flow, store=store, log=False, ensure_success=True)
    return store


@pytest.fixture(scope="module")
def campaign(copper, tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    return load_campaign(copper.write_campaign(folder, baseline_fraction="0.5"))


@pytest.fixture(scope="module")
def flow(campaign):
    return ScreeningMaker(chunk_size=5).make(campaign)


@pytest.fixture(scope="module")
def job_store(flow):
    return run(flow)


@pytest.fixture(scope="module")
def store(job_store, campaign):
    with RecordStore.in_memory() as opened:
        adopt_outputs(job_store, opened)
        host = relaxed_host(job_store)
        configurations = campaign.configurations.configurations(host)
        opened.put_campaign(campaign_record(campaign, host, campaign.model.summary(), configurations))
        yield opened


def relaxed_host(job_store):
    return Host.from_dict(job_store.query_one({"name": "relax host"})["output"])


def test_every_planned_relaxation_is_run_once(store, job_store, campaign):
    host = relaxed_host(job_store)
    predictions = {one.configuration_id: one for one in store.predictions()}
    assert len(predictions) == 12
    configurations = campaign.configurations.configurations(host)
    planned = {run.key for run in plan_runs(campaign, host, configurations, predictions)}
    assert store.states() == dict.fromkeys(planned, "converged")
    outputs = list(job_store.query({"output.max_force_history": {"$exists": True}}))
    assert len(outputs) == len(planned)


def test_the_output_of_the_flow_counts_all_relaxations(flow, job_store, store):
    total = job_store.get_output(flow.jobs[-1].uuid)
    assert total["states"]["converged"] == len(store.states())
    refused = [one for one in store.predictions() if not one.passed and one.configuration_id in drawn(store)]
    assert total["states"]["shared"] == len(refused) > 0
    assert total["ionic_steps"] == sum(record.ionic_steps for record in store.relaxations())


def drawn(store):
    return set(store.campaigns()[0].baseline_ids)


def test_the_baseline_fraction_has_both_starts_and_the_others_one(store):
    starts = Counter(record.configuration_id for record in store.relaxations({"kind": "defect"}))
    for prediction in store.predictions():
        both = prediction.passed and prediction.configuration_id in drawn(store)
        assert starts[prediction.configuration_id] == 1 + both
    assert len(drawn(store)) == 6
    assert len(list(store.relaxations({"kind": "pristine"}))) == 1


def test_savings_pair_the_baseline(store):
    savings = build_savings(store)
    assert {one.configuration_id for one in savings} == drawn(store)
    assert {one.fallback for one in savings} == {True, False}
    assert all(one.same_minimum for one in savings)


def test_coordinates_lie_in_the_additional_store(job_store):
    documents = list(job_store.query({"output.max_force_history": {"$exists": True}}))
    documents += list(job_store.query({"name": PREDICT_JOB}))
    for document in documents:
        assert "blob_uuid" in json.dumps(document["output"], default=str)
        assert len(json.dumps(document, default=str)) < 20_000


def test_only_predictions_carry_the_name_that_launchers_route_by(job_store):
    for document in job_store.query({}, properties=["name", "output"]):
        predicts = isinstance(document["output"], list) and "reference_hash" in str(document["output"])
        assert (PREDICT_JOB in document["name"]) == predicts, document["name"]


def test_a_campaign_without_model_relaxes_unrelaxed_starts_only(copper, tmp_path):
    path = copper.write_campaign(tmp_path, model="null", configurations="{recipes: [V_Cu, Al_Cu]}")
    job_store = run(ScreeningMaker().make(load_campaign(path)))
    with RecordStore.in_memory() as store:
        assert adopt_outputs(job_store, store) == (3, 0)
        assert {record.start for record in store.relaxations()} == {"unrelaxed"}


def test_a_failing_relaxation_is_a_record_and_the_flow_goes_on(copper, tmp_path):
    configurations = "{recipes: [Se_Cu, V_Cu]}"  # EMT knows no selenium
    path = copper.write_campaign(tmp_path, model="null", configurations=configurations)
    job_store = run(ScreeningMaker().make(load_campaign(path)))
    with RecordStore.in_memory() as store:
        adopt_outputs(job_store, store)
        states = {record.label: record.state for record in store.relaxations()}
    assert states == {"pristine": "converged", "Se_Cu": "failed", "V_Cu": "converged"}
