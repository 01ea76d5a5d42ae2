"""Relaxations with VASP's stand-in whose jobs the queue drops, cancels and times out: known at once, recorded, gone on with."""

from __future__ import annotations

import json
import re
import time

import pytest
from pymatgen.core import SETTINGS, Structure

import definet_flows.engines.vasp.running.relaxing  # noqa: F401  launchers forked from here have atomate2 then
from definet_flows.flows import load_campaign
from definet_flows.launch.fireworks.cluster import Cluster
from definet_flows.launch.fireworks.recovery import Rescue, recover
from definet_flows.launch.fireworks.submissions import submission_named
from definet_flows.launch.fireworks.submitting import plan_submission, submit
from definet_flows.launch.fireworks.works import works_of
from tests.cluster.test_campaign import ENGINE, QUEUE
from tests.faults.launchers import ForkedLauncher
from tests.hpc_folders import written
from tests.launch.fireworks.launchers import Launchers
from tests.vasp_standin.potcars import write_potcars

pytestmark = pytest.mark.slow

HANGING_AT_FIRST = [{"where": "_Cu-", "do": "hang", "after": 2, "times": 1}]
AN_HOUR, NOTHING = 3600.0, -1.0


@pytest.fixture
def configuration(slurm, mongo_uri, mongo_database, tmp_path, monkeypatch):
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(HANGING_AT_FIRST))
    monkeypatch.setenv("VASP_STANDIN", str(rules))
    potcars = str(write_potcars(tmp_path / "potcars", ["Cu_pv", "Al"]))
    monkeypatch.setenv("PMG_VASP_PSP_DIR", potcars)
    # A launcher that is forked from this process has what pymatgen read long ago.
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", potcars)
    database = {"host": mongo_uri, "name": mongo_database, "login": False}
    return written(tmp_path / "configuration", database=database, gpu=QUEUE, cpu=QUEUE)


def until(true, seconds=120.0):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True


def queue(slurm):
    """State of each job by its name, those of the last minutes included."""
    rows = slurm.run("squeue", "-h", "-t", "all", "-o", "%i %j %T").splitlines()
    return {identity: (name, state) for identity, name, state in map(str.split, rows)}


def steps_of(folder):
    """Ionic steps that a running relaxation has written."""
    return len(re.findall(r"F=", (folder / "OSZICAR").read_text())) if (folder / "OSZICAR").exists() else 0


@pytest.fixture
def waiting(slurm, configuration, copper, tmp_path):
    """Two relaxations are next; their queue is closed."""
    engine = {"engine": ENGINE, "model": "null", "configurations": "{recipes: [V_Cu, Al_Cu]}"}
    campaign = load_campaign(copper.write_campaign(tmp_path / "campaign", **engine))
    with Cluster.open(configuration) as cluster:
        submit(plan_submission(campaign, cluster, tmp_path / "runs"), cluster)
        ForkedLauncher(configuration, tmp_path / "here", "cpu", launches=4).wait()
        slurm.run("scontrol", "update", "partitionname=cpu", "state=down")
        yield cluster, submission_named(cluster.launchpad, "copper")
        slurm.run("scontrol", "update", "partitionname=cpu", "state=up")


def queued(slurm, cluster, launchers):
    """Both relaxations are put into the closed queue; the numbers of their jobs."""
    launchers.feed("cpu", ("rapidfire", "--nlaunches", "2", "-m", "4"))

    def jobs():
        # The queue also remembers those of other tests.
        histories = [launch["state_history"] for launch in cluster.launchpad.launches.find({})]
        noted = {str(entry["reservation_id"]) for one in histories for entry in one if entry.get("reservation_id")}
        return [job for job in queue(slurm) if job in noted]

    if not until(lambda: len(jobs()) == 2):
        raise TimeoutError(launchers.logs)
    return jobs()


def hanging(slurm, launchers, runs):
    """The queue is open, and both relaxations hang after two steps; their folders by label, and the numbers of their jobs."""
    slurm.run("scontrol", "update", "partitionname=cpu", "state=up")
    launchers.feed("cpu", ("rapidfire", "--nlaunches", "1", "-m", "4"))

    def folders():
        found = {label: next(runs.glob(f"{label}-*"), None) for label in ("V_Cu", "Al_Cu")}
        return {label: folder for label, folder in found.items() if folder is not None and steps_of(folder) >= 2}

    if not until(lambda: len(folders()) == 2):
        raise TimeoutError(launchers.logs)
    return folders(), [identity for identity, (_, state) in queue(slurm).items() if state == "RUNNING"]


def test_what_the_queue_does_to_jobs_is_known_at_once(slurm, configuration, waiting, tmp_path):
    cluster, submission = waiting
    relaxing = {"spec.definet.role": "relax", "state": "RESERVED"}
    with Launchers(configuration, tmp_path / "launches") as launchers:
        slurm.run("scancel", queued(slurm, cluster, launchers)[0])
        assert [work.state for work in works_of(cluster, submission, AN_HOUR)].count("DROPPED") == 1
        assert recover(cluster, submission, Rescue(AN_HOUR, patience=0.2)).dropped == 1
        assert cluster.launchpad.fireworks.count_documents(relaxing) == 1

        folders, (one, other) = hanging(slurm, launchers, tmp_path / "runs" / "vasp")
        # However silent they are: the queue has them.
        assert recover(cluster, submission, Rescue(NOTHING, patience=0.2)).lost == 0
        slurm.run("scontrol", "update", f"jobid={other}", "timelimit=0")
        slurm.run("scancel", one)
        ended = {"CANCELLED", "TIMEOUT"}
        assert until(lambda: {queue(slurm)[job][1] for job in (one, other)} == ended), queue(slurm)

    outcome = recover(cluster, submission, Rescue(AN_HOUR, patience=0.2))
    assert (outcome.lost, outcome.recorded, outcome.requeued) == (2, 2, 2)
    failed = {one.label: one for one in cluster.store.relaxations({"state": "failed"})}
    assert {one.ionic_steps for one in failed.values()} == {2}
    told = " ".join(one.reason for one in failed.values())
    assert [word for word in ended if word not in told] == [], told

    assert ForkedLauncher(configuration, tmp_path / "here", "cpu").wait() == 0
    for record in cluster.store.relaxations({"kind": "defect"}):
        folder = folders[record.label]
        assert record.state == "converged"
        assert record.ionic_steps > 2
        assert record.core_hours > failed[record.label].core_hours
        reached, begun = (Structure.from_file(folder / name).frac_coords for name in ("launch-1/CONTCAR", "POSCAR.gz"))
        assert abs((reached - begun + 0.5) % 1 - 0.5).max() < 1e-6
