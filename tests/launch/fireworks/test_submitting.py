from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import bson
import pytest

from definet_flows.errors import InputError
from definet_flows.launch.fireworks.chunks import ACTIVE, CHUNKS, CLAIMED, WAITING
from definet_flows.launch.fireworks.submissions import SUBMISSIONS
from definet_flows.launch.fireworks.submitting import AlreadySubmittedError, plan_submission, submit
from definet_flows.launch.fireworks.waves import Waves


def waves_of(cluster):
    (submission,) = cluster.launchpad.db[SUBMISSIONS].find({})
    return Waves(cluster.launchpad, submission["_id"])


def test_a_plan_counts_and_changes_nothing(cluster, campaign, tmp_path):
    plan = plan_submission(campaign(), cluster, tmp_path / "runs")
    assert (plan.n_configurations, plan.n_new, plan.n_recorded, plan.n_under_way) == (5, 5, 0, 0)
    assert [len(chunk.ids) for chunk in plan.chunks] == [3, 2]
    assert plan.n_baseline == 5
    assert cluster.launchpad.fireworks.count_documents({}) == 0
    assert cluster.launchpad.db[CHUNKS].count_documents({}) == 0
    assert cluster.store.campaigns() == []
    assert not (tmp_path / "runs").exists()


def test_submitting_again_submits_nothing(cluster, campaign, submitted):
    first, second = submitted(campaign()), submitted(campaign())
    assert (first, second) == (5, 0)
    assert cluster.launchpad.workflows.count_documents({}) == 1
    assert waves_of(cluster).counts()[WAITING] == 2


def test_several_at_once_submit_each_configuration_once(cluster, campaign, tmp_path):
    plans = [plan_submission(campaign(), cluster, tmp_path / "runs") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda plan: submit(plan, cluster), plans))
    assert sum(counts) == 5
    assert cluster.launchpad.workflows.count_documents({}) == 1
    assert cluster.launchpad.db[CHUNKS].count_documents({}) == 2


def test_resources_may_change_and_settings_may_not_while_it_runs(cluster, campaign, submitted, tmp_path):
    submitted(campaign())
    assert submitted(campaign(resources="{relax: {partition: long}}")) == 0
    sentence = r"baseline_fraction was 1.0, not 0.5; model.device was 'cpu', not 'auto'\. Wait for it"
    with pytest.raises(AlreadySubmittedError, match=sentence):
        submitted(campaign(baseline_fraction="0.5", model="{checkpoint: tiny}"))


def test_another_priority_reaches_what_waits_already(cluster, campaign, submitted):
    def priorities():
        return sorted(one["spec"]["_priority"] for one in cluster.launchpad.fireworks.find({}, {"spec._priority": 1}))

    submitted(campaign())
    assert priorities() == [0, 0.5]
    assert submitted(campaign(resources="{chunk_size: 3, max_active: 3, priority: -2}")) == 0
    assert priorities() == [-2, -1.5]
    assert waves_of(cluster).submission().plan.resources.priority == -2


def test_a_campaign_that_has_ended_may_be_extended(cluster, campaign, submitted):
    submitted(campaign())
    cluster.launchpad.db[CHUNKS].update_many({}, {"$set": {"state": "done"}})
    more = '{recipes: ["V_Cu", "Al_Cu", "Ni_Cu", "V_Cu+Al_Cu", "V_Cu+V_Cu"], max_distance: 4.0}'
    assert submitted(campaign(configurations=more)) > 5
    assert cluster.launchpad.workflows.count_documents({"metadata.prepares": True}) == 1


def test_another_campaign_of_the_same_name_is_refused(cluster, campaign, submitted, copper):
    submitted(campaign())
    other = f"{{potential: {copper.EMT}, force_threshold: 0.05}}"
    with pytest.raises(AlreadySubmittedError, match=r"its engine's force_threshold is 0\.02, not 0\.05") as caught:
        submitted(campaign(engine=other))
    assert caught.value.exit_code == InputError.exit_code
    assert len(cluster.store.campaigns()) == 1


def test_no_more_becomes_fireworks_than_is_allowed_at_once(cluster, campaign, submitted):
    submitted(campaign(resources="{chunk_size: 1, max_active: 2}"))
    waves = waves_of(cluster)
    assert waves.release() == 0  # the crystal is not relaxed yet
    waves.note_prepared()
    assert waves.release() == 2
    assert waves.release() == 0
    assert waves.counts() | {"done": 0} == {WAITING: 3, CLAIMED: 0, ACTIVE: 2, "done": 0}
    (first, *_) = [chunk for state, chunk in waves.listed() if state == ACTIVE]
    waves.finish(first.identity)
    assert waves.release() == 1


def test_several_who_release_at_once_release_each_chunk_once(cluster, campaign, submitted):
    submitted(campaign(resources="{chunk_size: 1, max_active: 5}"))
    waves = waves_of(cluster)
    waves.note_prepared()
    with ThreadPoolExecutor(4) as pool:
        released = list(pool.map(lambda _: waves.release(), range(4)))
    assert sum(released) == 5
    chunks = [one["metadata"]["chunk"] for one in cluster.launchpad.workflows.find({"metadata.chunk": {"$ne": None}})]
    assert len(chunks) == len(set(chunks)) == 5


def test_a_claim_whose_owner_died_is_free_again(cluster, campaign, submitted):
    submitted(campaign())
    waves = waves_of(cluster)
    waves.note_prepared()
    waves.release()
    (active,) = [chunk.identity for state, chunk in waves.listed() if state == ACTIVE]
    (waiting,) = [chunk.identity for state, chunk in waves.listed() if state == WAITING]
    # One died before it added the workflow, the other before it said so.
    cluster.launchpad.db[CHUNKS].update_many({}, {"$set": {"state": CLAIMED, "claimed": 0.0}})
    waves.free_claims()
    assert {chunk.identity: state for state, chunk in waves.listed()} == {active: ACTIVE, waiting: WAITING}


def test_a_waiting_configuration_takes_a_hundred_bytes_and_indexes_are_made(cluster, campaign, submitted):
    submitted(campaign())
    stored = cluster.launchpad.db[CHUNKS].find({})
    assert max(len(bson.encode(one)) / one["n_configurations"] for one in stored) < 300
    assert any("definet.campaign" in name for name in cluster.launchpad.fireworks.index_information())
    assert "uuid_1_index_1" in cluster.launchpad.db["outputs"].index_information()
    assert "blob_uuid_1" in cluster.launchpad.db["outputs_blobs"].index_information()
