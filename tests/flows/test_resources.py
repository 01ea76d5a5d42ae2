from __future__ import annotations

import pytest

from definet_flows.errors import InputError
from definet_flows.flows import load_campaign
from definet_flows.flows.resources import QueueRequest, Resources

ASKED = QueueRequest(partition="fast", walltime="1-02:00:30", nodes=2, cores=16, memory="64G", queue={"qos": "high"})


def test_a_request_in_the_words_of_slurm_and_of_pbs():
    assert ASKED.adapter("slurm") == {
        "queue": "fast",
        "walltime": "1-02:00:30",
        "nodes": 2,
        "ntasks_per_node": 16,
        "mem": "64G",
        "qos": "high",
    }
    assert ASKED.adapter("pbs") == {
        "queue": "fast",
        "walltime": "1-02:00:30",
        "select": "2:ncpus=16:mpiprocs=16:mem=64gb",
        "qos": "high",
    }
    assert ASKED.seconds == 26 * 3600 + 30


def test_each_kind_of_job_has_its_worker_and_its_request():
    resources = Resources(predict={"gres": "gpu:1"}, small={"walltime": "00:05:00"})
    settings = {role: resources.settings_for(role) for role in ("predict", "relax", "small")}
    assert {role: one.pop("_priority") for role, one in settings.items()} == {
        "predict": 0.5,
        "relax": 0.0,
        "small": 0.5,
    }
    assert settings == {
        "predict": {"_category": "gpu", "_queueadapter": {"gres": "gpu:1"}},
        "relax": {"_category": "cpu"},
        "small": {"_category": "cpu", "_queueadapter": {"walltime": "00:05:00"}},
    }


def test_a_campaign_of_higher_priority_comes_first_in_all_it_does():
    low, high = (Resources(priority=priority) for priority in (-1, 0))
    assert low.settings_for("predict")["_priority"] < high.settings_for("relax")["_priority"]


def test_resources_change_no_hash_and_no_record(copper, tmp_path):
    plain = load_campaign(copper.write_campaign(tmp_path / "plain"))
    sized = load_campaign(
        copper.write_campaign(tmp_path / "plain", resources="{chunk_size: 7, relax: {nodes: 4}, priority: 3}")
    )
    assert sized.resources.chunk_size == 7
    assert (sized.content_hash, sized.settings) == (plain.content_hash, plain.settings)


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        ("{scheduler: pbs, predict: {gres: 'gpu:1'}}", "PBS knows no gres"),
        ("{relax: {walltime: 24h}}", "'resources.relax.walltime' is '24h'"),
        ("{relax: {memory: lots}}", "'resources.relax.memory' is 'lots'"),
        ("{relax: {tasks: 4}}", "'resources.relax' has no key 'tasks'"),
        ("{priority: high}", "'resources.priority' is 'high': input should be a valid integer"),
        ("{priority: 1.5}", "'resources.priority' is 1.5: input should be a valid integer"),
    ],
)
def test_bad_resources_are_told(copper, tmp_path, resources, sentence):
    path = copper.write_campaign(tmp_path, resources=resources)
    with pytest.raises(InputError, match=sentence):
        load_campaign(path)
