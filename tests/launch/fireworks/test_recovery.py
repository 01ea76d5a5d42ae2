"""What recovery puts right: everything that somebody who is killed can leave behind in the launchpad."""

from __future__ import annotations

import signal

import pytest

from definet_flows.launch.fireworks.chunks import DONE
from definet_flows.launch.fireworks.mending import mend
from definet_flows.launch.fireworks.recovery import Rescue, recover
from definet_flows.launch.fireworks.status import status_of
from definet_flows.launch.fireworks.submissions import submission_named
from definet_flows.launch.fireworks.waves import Waves
from definet_flows.launch.fireworks.works import works_of
from definet_flows.launch.local import run_campaign
from definet_flows.records import open_store
from tests.faults.launchers import FORKING, Fault, ForkedLauncher, die_at_write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Some jobs are not connected:UserWarning"),
]

LOST = -1.0
"""Whatever runs has been silent for longer: for tests in which no launcher lives when they recover."""


def relaxations(store):
    return {one.key: (one.state, one.ionic_steps, one.start) for one in store.relaxations()}


@pytest.fixture
def expected(tmp_path):
    """The relaxations of a campaign that nothing happens to."""

    def run(campaign):
        run_campaign(campaign, tmp_path / "undisturbed", workers=1)
        with open_store(tmp_path / "undisturbed", read_only=True) as store:
            return relaxations(store)

    return run


def test_launchers_killed_at_every_change_they_make_lose_nothing(
    cluster, campaign, submitted, configuration, expected, tmp_path
):
    """One dies at its first change of the database, the next at its second, and so on, until all is done all the same."""
    plan = campaign(configurations="{recipes: [V_Cu, Al_Cu, Ni_Cu]}", resources="{chunk_size: 2, max_active: 2}")
    submitted(plan)
    submission = submission_named(cluster.launchpad, "copper")
    waves = Waves(cluster.launchpad, submission.key)
    deaths, mended, fault = 0, 0, 0
    while waves.counts()[DONE] < 2:
        fault = fault % 34 + 1
        launcher = ForkedLauncher(configuration, tmp_path / "launches", fault=Fault(dies_at_write=fault))
        deaths += launcher.wait() == -signal.SIGKILL
        assert deaths < 150
        mended += recover(cluster, submission, Rescue(LOST, again=True, patience=0.2)).mended
    assert deaths > 20
    assert mended > 5
    assert relaxations(cluster.store) == expected(plan)


def _dying(number, function, *arguments):
    """Call a function in a process that kills itself at its so-manieth change of the database; whether it did."""

    def run():
        die_at_write(number)
        function(*arguments)

    process = FORKING.Process(target=run)
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


def _submit(configuration, plan, directory):
    from definet_flows.launch.fireworks.cluster import Cluster
    from definet_flows.launch.fireworks.submitting import plan_submission, submit

    with Cluster.open(configuration) as cluster:
        submit(plan_submission(plan, cluster, directory), cluster)


def _recover(configuration, rescue):
    from definet_flows.launch.fireworks.cluster import Cluster

    with Cluster.open(configuration) as cluster:
        recover(cluster, submission_named(cluster.launchpad, "copper"), rescue)


def test_a_submission_killed_at_any_change_is_completed_by_the_next(cluster, campaign, configuration, tmp_path):
    plan = campaign(configurations="{recipes: [V_Cu, Al_Cu]}", resources="{chunk_size: 1, max_active: 2}")
    number = 1
    while _dying(number, _submit, configuration, plan, tmp_path / "runs"):
        number += 1
    submission = submission_named(cluster.launchpad, "copper")
    waves = Waves(cluster.launchpad, submission.key)
    mend(cluster.launchpad, submission.key, 0.2)
    _submit(configuration, plan, tmp_path / "runs")
    assert number > 5
    assert sum(waves.counts().values()) == 2
    assert cluster.launchpad.workflows.count_documents({"metadata.prepares": True}) == 1
    assert cluster.launchpad.fireworks.count_documents({}) == 2


def test_a_recovery_killed_at_any_change_is_completed_by_the_next(
    cluster, campaign, submitted, configuration, tmp_path
):
    """Each kills itself one change later; none needs --again, and the job is queued again once."""
    submitted(campaign(model="null", configurations="{recipes: [V_Cu]}"))
    ForkedLauncher(configuration, tmp_path / "launches", fault=Fault(dies_at_write=30)).wait()
    rescue = Rescue(LOST, patience=0.2)
    number = 1
    while _dying(number, _recover, configuration, rescue):
        number += 1
    assert number > 5
    submission = submission_named(cluster.launchpad, "copper")
    second = recover(cluster, submission, rescue)
    assert (second.lost, second.crashed, second.requeued, second.given_up) == (0, 0, 0, 0)
    ForkedLauncher(configuration, tmp_path / "launches").wait()
    assert status_of(cluster, submission, 1e6).states["converged"] == 1
    listed = list(cluster.launchpad.fireworks.find({}))
    assert {one["state"] for one in listed} == {"COMPLETED"}
    assert [len(one["spec"]["definet"].get("recovered", ())) for one in listed].count(1) == 1


def test_two_recoveries_at_once_queue_each_job_again_once(cluster, campaign, submitted, configuration, tmp_path):
    submitted(campaign(model="null", configurations="{recipes: [V_Cu]}"))
    ForkedLauncher(configuration, tmp_path / "launches", fault=Fault(dies_at_write=12)).wait()
    processes = [FORKING.Process(target=_recover, args=(configuration, Rescue(LOST, patience=0.2))) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    (first, *_) = cluster.launchpad.fireworks.find({}).sort("fw_id", 1)
    assert (first["state"], len(first["archived_launches"])) == ("READY", 1)
    assert first["spec"]["definet"]["recovered"] == first["archived_launches"]


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_worker_whose_clock_is_wrong_is_not_taken_for_lost(
    cluster, campaign, submitted, configuration, tmp_path, hours
):
    submitted(campaign(model="null", configurations="{recipes: [V_Cu]}"))
    fault = Fault(dies_at_write=11, clock_ahead=3600.0 * hours)
    assert ForkedLauncher(configuration, tmp_path / "launches", fault=fault).wait() == -signal.SIGKILL
    submission = submission_named(cluster.launchpad, "copper")

    def states(lost_after):
        return [work.state for work in works_of(cluster, submission, lost_after) if work.role == "prepare"]

    assert states(3600.0) == ["RUNNING"]
    assert states(0.0) == ["LOST"]
    cluster.launchpad.db["definet_clocks"].drop()
    # Its own times alone say something else.
    assert states(3600.0) == (["LOST"] if hours < 0 else ["RUNNING"])
