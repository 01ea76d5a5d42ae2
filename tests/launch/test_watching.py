from __future__ import annotations

import os

import pytest

from definet_flows.flows import load_campaign
from definet_flows.flows.plan import campaign_record, plan_runs
from definet_flows.launch.watching import is_campaign_directory, status_of_directory
from definet_flows.records import StoreContentError, open_store
from definet_flows.records.lock import is_held


@pytest.fixture
def directory(copper, tmp_path):
    """A campaign of which two configurations are predicted, one of them refused, and some runs are on record."""
    campaign = load_campaign(copper.write_campaign(tmp_path, configurations="{recipes: [V_Cu, Al_Cu, Ni_Cu]}"))
    host = copper.host()
    listed = campaign.configurations.configurations(host)
    predictions = [copper.prediction(one, passed=one.label != "Ni_Cu") for one in listed[1:]]
    with open_store(tmp_path / "run") as store:
        store.put_campaign(campaign_record(campaign, host, copper.MODEL, listed))
        store.add_predictions(predictions)
        store.add_relaxations(
            [copper.record(listed[1]), copper.record(listed[1], predictions[0], error="it burst at 3")]
        )
    planned = plan_runs(
        campaign, host, listed, {one.configuration_id: one for one in (copper.prediction(listed[0]), *predictions)}
    )
    return tmp_path / "run", len(list(planned)) - 1


def test_the_states_and_the_runs_that_are_left(directory):
    path, n_planned = directory
    (status,) = status_of_directory(path)
    assert {state: count for state, count in status.states.items() if count} == {
        "waiting": 1,
        "prerelaxed": 1,
        "failed": 1,
    }
    assert sum(status.runs.values()) == n_planned == 5
    assert status.runs == {"converged": 1, "failed": 1, "queued": 3}
    assert status.seconds_left == pytest.approx(3 * 3600 / status.per_hour)
    (group,) = status.failures
    assert (group.reason, group.count, group.command) == (
        "it burst at 3",
        1,
        f"definet-flows run CAMPAIGN.yaml --dir {path} --retry-failed",
    )


def test_runs_that_were_adopted_have_a_status_too(copper, tmp_path):
    configuration = copper.configuration()
    record = copper.campaign_record("adopted", configuration_ids=[configuration.id])
    with open_store(tmp_path / "adopted") as store:
        store.put_campaign(record)
        store.add_relaxations([copper.record(configuration)])
    (status,) = status_of_directory(tmp_path / "adopted")
    assert (status.states["converged"], status.seconds_left) == (1, None)


def test_a_campaign_under_way_can_be_looked_at(directory):
    path, _ = directory
    assert status_of_directory(path)[0].standing is None
    with open_store(path):
        assert status_of_directory(path)[0].standing == "under way"
    assert status_of_directory(path)[0].standing is None


def test_a_lock_of_a_process_that_is_gone_is_held_by_nobody(tmp_path):
    lock = tmp_path / "lock"
    assert not is_held(lock)
    lock.write_text("")
    assert not is_held(lock)
    lock.write_text(f'{{"pid": {2**22 + 1}, "host": "{os.uname().nodename}"}}')
    assert not is_held(lock)
    lock.write_text('{"pid": 1, "host": "elsewhere"}')
    assert is_held(lock)


def test_what_is_no_campaign_directory(tmp_path):
    assert not is_campaign_directory(tmp_path)
    with pytest.raises(StoreContentError, match="holds no results"):
        status_of_directory(tmp_path)
