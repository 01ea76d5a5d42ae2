"""Several launchers at once, as processes, on one launchpad."""

from __future__ import annotations

from collections import Counter

import pytest

from definet_flows.flows.plan import plan_runs
from definet_flows.launch.fireworks.chunks import DONE
from definet_flows.launch.fireworks.submitting import plan_submission
from definet_flows.launch.fireworks.waves import Waves

pytestmark = pytest.mark.slow


def test_four_launchers_and_a_gpu_run_each_relaxation_once(cluster, campaign, submitted, launchers, tmp_path):
    plan = campaign(configurations="{recipes: [V_Cu, Al_Cu, Ni_Cu]}", resources="{chunk_size: 2, max_active: 2}")
    submitted(plan)
    key = plan_submission(plan, cluster, tmp_path / "runs").submission.key
    waves, launchpad = Waves(cluster.launchpad, key), cluster.launchpad
    unfinished = {"state": {"$ne": "COMPLETED"}}
    launchers.start("gpu")
    for _ in range(4):
        launchers.start("cpu")
    ended = launchers.wait(lambda: waves.counts()[DONE] == 2 and not launchpad.fireworks.count_documents(unfinished))
    assert ended, launchers.logs

    (record,) = cluster.store.campaigns()
    host = cluster.store.host(next(iter(record.hosts)))
    predictions = {one.configuration_id: one for one in cluster.store.predictions()}
    configurations = plan.configurations.configurations(host)
    expected = {run.key for run in plan_runs(plan, host, configurations, predictions)}
    assert cluster.store.states() == dict.fromkeys(expected, "converged")
    listed = list(launchpad.fireworks.find({}))
    relaxed = Counter(one["spec"]["definet"].get("key") for one in listed if one["spec"]["definet"]["role"] == "relax")
    assert relaxed == dict.fromkeys(expected, 1)
    assert {len(one["launches"]) + len(one["archived_launches"]) for one in listed} == {1}
    workers = {one["launch_id"]: one["fworker"]["category"] for one in launchpad.launches.find({})}
    for one in listed:
        assert workers[one["launches"][0]] == one["spec"]["_category"]
    assert Counter(workers.values())["gpu"] == 2
