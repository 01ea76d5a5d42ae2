"""A campaign on the VASP engine through a real queue: submitted, fed to Slurm by qlaunch, finished by custodian processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from definet_flows.flows import load_campaign
from definet_flows.jobs.prerelax import PREDICT_JOB
from definet_flows.launch.fireworks.cluster import Cluster
from definet_flows.launch.fireworks.status import status_of
from definet_flows.launch.fireworks.submissions import submission_named
from definet_flows.launch.fireworks.submitting import plan_submission, submit
from tests.hpc_folders import written
from tests.launch.fireworks.launchers import Launchers
from tests.vasp_standin.potcars import write_potcars

pytestmark = pytest.mark.slow

STANDIN = Path(__file__).resolve().parents[1] / "vasp_standin"
ENGINE = f"{{name: vasp, vasp_cmd: '{sys.executable} {STANDIN}', kpoints: [2, 2, 2], max_steps: 40, poll_seconds: 0.2}}"
RESOURCES = (
    "{predict: {partition: gpu, gres: 'gpu:1'}, relax: {partition: cpu, walltime: '00:20:00'}, "
    "small: {walltime: '00:10:00'}}"
)
QUEUE = {"walltime": "00:30:00", "nodes": 1, "cores": 1, "memory": None, "max_jobs": 4}
FEED = ("rapidfire", "--nlaunches", "infinite", "-m", "4", "--sleep", "1")


@pytest.fixture
def configuration(slurm, mongo_uri, mongo_database, tmp_path, monkeypatch):
    """Workers whose queues are those of the one-node Slurm."""
    potcars = write_potcars(tmp_path / "potcars", ["Cu_pv", "Al"])
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(potcars))
    database = {"host": mongo_uri, "name": mongo_database, "login": False}
    return written(tmp_path / "configuration", database=database, gpu=QUEUE, cpu=QUEUE)


def job_of(slurm, launchpad, firework):
    """What Slurm says of the job that ran a Firework."""
    launch = launchpad.launches.find_one({"launch_id": firework["launches"][0]})
    (identity,) = {entry["reservation_id"] for entry in launch["state_history"] if entry.get("reservation_id")}
    told = slurm.run("scontrol", "show", "job", str(identity))
    return dict(field.split("=", 1) for field in told.split() if "=" in field)


def test_a_vasp_campaign_through_slurm(slurm, configuration, copper, tmp_path):
    configurations = "{recipes: [V_Cu]}"
    path = copper.write_campaign(
        tmp_path / "campaign", engine=ENGINE, configurations=configurations, resources=RESOURCES
    )
    campaign = load_campaign(path)
    with Cluster.open(configuration) as cluster, Launchers(configuration, tmp_path / "launches") as launchers:
        assert submit(plan_submission(campaign, cluster, tmp_path / "runs"), cluster) == 1
        launchpad = cluster.launchpad
        launchers.feed("gpu", FEED)
        launchers.feed("cpu", FEED)
        # Crystal, pristine supercell, prediction, a relaxation from each start, and two that release what comes next.
        ended = launchers.wait(lambda: launchpad.fireworks.count_documents({"state": "COMPLETED"}) == 7, 500)
        assert ended, launchers.logs
        status = status_of(cluster, submission_named(launchpad, "copper"), 1e6)
        records = list(cluster.store.relaxations())
        listed = list(launchpad.fireworks.find({}))
        jobs = {one["name"]: job_of(slurm, launchpad, one) for one in listed}

    assert status.states["converged"] == 1
    assert {one.state for one in records} == {"converged"}
    assert sorted((one.kind, one.start) for one in records) == [
        ("defect", "prerelaxed"),
        ("defect", "unrelaxed"),
        ("pristine", "unrelaxed"),
    ]
    for record in records:
        assert Path(record.details.directory).is_relative_to(tmp_path / "runs" / "vasp")
        assert len(record.details.attempts) == 1
    assert {len(one["launches"]) + len(one["archived_launches"]) for one in listed} == {1}
    for name, job in jobs.items():
        predicts = PREDICT_JOB in name
        assert job["Partition"] == ("gpu" if predicts else "cpu"), name
        assert job["TimeLimit"] == ("00:30:00" if predicts else "00:10:00" if "release" in name else "00:20:00")
        assert ("gpu" in job.get("TresPerNode", "")) == predicts
