from __future__ import annotations

from collections import Counter

import pytest

from definet_flows.flows import Campaign
from definet_flows.flows.plan import baseline_of, campaign_record, plan_runs
from definet_flows.records.extract import planned_key


@pytest.fixture
def campaign(copper):
    return Campaign(
        name="copper",
        host={"file": "Cu.cif", "supercell": (2, 2, 2)},
        configurations={"recipes": ("V_Cu", "Al_Cu", "V_Cu+Al_Cu")},
        engine=copper.ENGINE,
        baseline_fraction=0.4,
    )


@pytest.fixture
def configurations(campaign, copper):
    return campaign.configurations.configurations(copper.host())


def runs_of(campaign, host, configurations, predictions):
    runs = list(plan_runs(campaign, host, configurations, predictions))
    assert len({run.key for run in runs}) == len(runs)
    assert runs[0].configuration.defects == ()
    return runs[1:]


def test_without_a_model_everything_starts_unrelaxed(campaign, copper, configurations):
    runs = runs_of(campaign, copper.host(), configurations, None)
    assert [run.configuration for run in runs] == configurations
    assert {run.prediction_key for run in runs} == {None}
    assert [run.key for run in runs] == [planned_key(one, copper.ENGINE) for one in configurations]


def test_the_baseline_is_relaxed_from_both_starts_and_the_rest_once(campaign, copper, configurations):
    predictions = {one.id: copper.prediction(one) for one in configurations}
    runs = runs_of(campaign, copper.host(), configurations, predictions)
    baseline = baseline_of(campaign, configurations)
    assert len(baseline) == 3  # 0.4 of 7, rounded up
    starts = Counter(run.configuration.id for run in runs)
    assert {identity for identity, count in starts.items() if count == 2} == set(baseline)
    assert len(starts) == len(configurations)
    for run in runs:
        start = predictions[run.configuration.id] if run.prediction_key else None
        assert run.key == planned_key(run.configuration, copper.ENGINE, start)


def test_a_refused_prediction_means_one_unrelaxed_run(campaign, copper, configurations):
    predictions = {one.id: copper.prediction(one, passed=False) for one in configurations}
    runs = runs_of(campaign, copper.host(), configurations, predictions)
    assert [run.configuration for run in runs] == configurations
    assert {run.prediction_key for run in runs} == {None}


def test_another_model_leaves_the_unrelaxed_runs_alone(campaign, copper, configurations):
    keys = []
    for letter in "ab":
        model = copper.MODEL.model_copy(update={"checkpoint_hash": letter * 16})
        predictions = {one.id: copper.prediction(one, model=model) for one in configurations}
        keys.append(
            {run.key: run.prediction_key for run in runs_of(campaign, copper.host(), configurations, predictions)}
        )
    shared = keys[0].keys() & keys[1].keys()
    assert {keys[0][key] for key in shared} == {None}
    assert len(shared) == 3


def test_a_campaign_is_its_name_host_and_physics(campaign, copper, configurations):
    record = campaign_record(campaign, copper.host(), copper.MODEL, configurations)
    assert record.configuration_ids == [one.id for one in configurations]
    assert record.baseline_ids == baseline_of(campaign, configurations)
    more = campaign.model_copy(update={"baseline_fraction": 1.0})
    again = campaign_record(more, copper.host(), None)
    assert again.key == record.key
    assert again.content_hash != record.content_hash
    threads = campaign.model_copy(update={"engine": copper.ENGINE.model_copy(update={"threads": 4})})
    assert campaign_record(threads, copper.host(), None).key == record.key
    others = [
        (campaign.model_copy(update={"name": "other"}), copper.host()),
        (campaign, copper.host((3, 3, 3))),
        (
            campaign.model_copy(update={"engine": copper.ENGINE.model_copy(update={"force_threshold": 0.5})}),
            copper.host(),
        ),
    ]
    assert record.key not in {campaign_record(one, host, None).key for one, host in others}
