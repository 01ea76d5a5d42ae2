"""A campaign is stopped while its jobs stand in a real queue, and finishes once it goes on."""

from __future__ import annotations

import pytest

from definet_flows.flows import load_campaign
from definet_flows.launch.fireworks.cluster import Cluster
from definet_flows.launch.fireworks.recovery import Rescue, recover
from definet_flows.launch.fireworks.status import status_of
from definet_flows.launch.fireworks.stopping import resume, stop
from definet_flows.launch.fireworks.submissions import submission_named
from definet_flows.launch.fireworks.submitting import plan_submission, submit
from tests.cluster.test_campaign import QUEUE
from tests.faults.launchers import ForkedLauncher
from tests.hpc_folders import written
from tests.launch.fireworks.launchers import Launchers

pytestmark = pytest.mark.slow

AN_HOUR = 3600.0


def test_jobs_leave_the_queue_at_once_and_run_after(slurm, mongo_uri, mongo_database, copper, tmp_path):
    database = {"host": mongo_uri, "name": mongo_database, "login": False}
    configuration = written(tmp_path / "configuration", database=database, gpu=QUEUE, cpu=QUEUE)
    changes = {"model": "null", "configurations": "{recipes: [V_Cu]}"}
    campaign = load_campaign(copper.write_campaign(tmp_path / "campaign", **changes))
    with Cluster.open(configuration) as cluster, Launchers(configuration, tmp_path / "launches") as launchers:
        submit(plan_submission(campaign, cluster, tmp_path / "runs"), cluster)
        slurm.run("scontrol", "update", "partitionname=cpu", "state=down")
        launchers.feed("cpu", ("rapidfire", "--nlaunches", "1", "-m", "4"))
        reserved = {"state": "RESERVED", "state_history.reservation_id": {"$ne": None}}
        in_queue = launchers.wait(lambda: cluster.launchpad.launches.count_documents(reserved) == 1, 60)
        outcome = stop(cluster, submission_named(cluster.launchpad, "copper"), now=True)
        queue = slurm.run("squeue", "-h", "-t", "pending,running")
        slurm.run("scontrol", "update", "partitionname=cpu", "state=up")
        states = {one["state"] for one in cluster.launchpad.fireworks.find({}, {"state": 1})}

        resumed = resume(cluster, submission_named(cluster.launchpad, "copper"))
        submission = submission_named(cluster.launchpad, "copper")
        recovered = recover(cluster, submission, Rescue(AN_HOUR, patience=0.2))
        ForkedLauncher(configuration, tmp_path / "here", "cpu").wait()
        status = status_of(cluster, submission, AN_HOUR)

    assert in_queue, launchers.logs
    assert (outcome.held, outcome.running, outcome.cancelled, outcome.unreached) == (2, 0, 1, 0)
    assert queue == ""
    assert states == {"PAUSED"}
    assert resumed.freed == 2
    assert (recovered.lost, recovered.dropped, recovered.crashed) == (0, 0, 0)
    assert status.states["converged"] == 1
