"""A campaign is stopped and goes on, and nothing begins in between; several hosts of one file on one launchpad."""

from __future__ import annotations

import pytest

from definet_flows.errors import InputError
from definet_flows.flows import load_campaigns
from definet_flows.launch.fireworks.gate import StoppedCampaignError
from definet_flows.launch.fireworks.recovery import Rescue, recover
from definet_flows.launch.fireworks.status import status_of
from definet_flows.launch.fireworks.stopping import resume, stop
from definet_flows.launch.fireworks.submissions import submission_named, submissions_named
from definet_flows.launch.fireworks.submitting import plan_submission, submit
from definet_flows.launch.fireworks.waves import Waves

pytestmark = [
    pytest.mark.slow,
    # jobflow calls a function of monty that is to go in 2028.
    pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning"),
    # Relaxations depend on nothing, as they should.
    pytest.mark.filterwarnings("ignore:Some jobs are not connected:UserWarning"),
]

NEVER = 1e6


def named(cluster, name="copper"):
    return submission_named(cluster.launchpad, name)


def states_of(cluster):
    return sorted(one["state"] for one in cluster.launchpad.fireworks.find({}, {"state": 1}))


def finished(cluster):
    status = status_of(cluster, named(cluster), NEVER)
    return status.states["converged"] == status.n_configurations


def run_all(rockets):
    while rockets("gpu") + rockets("cpu"):
        pass


def test_nothing_begins_while_a_campaign_is_stopped_and_all_goes_on_after(cluster, campaign, submitted, rockets):
    submitted(campaign())
    rockets("cpu")  # the crystal, and the first chunk is released
    first, again = stop(cluster, named(cluster)), stop(cluster, named(cluster))
    assert (first.held, first.waiting, first.running) == (2, 1, 0)  # the prediction, and what releases the next chunk
    assert (again.held, again.waiting) == (0, 1)
    assert status_of(cluster, named(cluster), NEVER).standing == "stopped"
    assert (rockets("gpu"), rockets("cpu")) == (0, 0)
    assert Waves(cluster.launchpad, named(cluster).key).release() == 0
    for refused in (lambda: submitted(campaign()), lambda: recover(cluster, named(cluster), Rescue(NEVER))):
        with pytest.raises(StoppedCampaignError, match="copper is stopped: definet-flows resume copper lets it go on"):
            refused()
    assert resume(cluster, named(cluster)).freed == 2
    assert resume(cluster, named(cluster)).freed == 0
    assert status_of(cluster, named(cluster), NEVER).standing is None
    run_all(rockets)
    assert finished(cluster)


def test_a_campaign_stopped_before_anything_ran_is_not_even_prepared(cluster, campaign, submitted, rockets):
    submitted(campaign())
    assert stop(cluster, named(cluster)).held == 2
    assert Waves(cluster.launchpad, named(cluster).key).go_on() == 0
    assert rockets("cpu") == 0
    resume(cluster, named(cluster))
    assert rockets("cpu", at_most=1) == 1


def test_what_a_running_prediction_would_add_waits_with_it(cluster, campaign, submitted, rockets, monkeypatch):
    """The predictions are paid for and on record; nothing is relaxed, and no prediction is made twice."""
    from definet_flows.launch.fireworks import jobs

    submitted(campaign(configurations="{recipes: [V_Cu, Al_Cu]}", baseline_fraction="0.0"))
    rockets("cpu")
    predict = jobs._predicted

    def stopped_meanwhile(*arguments):
        found = predict(*arguments)
        stop(cluster, named(cluster))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "_predicted", stopped_meanwhile)
        assert rockets("gpu") == 1
    predictions = {one.key: one.last_updated for one in cluster.store.predictions()}
    assert len(predictions) == 2
    assert (rockets("gpu"), rockets("cpu")) == (0, 0)
    status = status_of(cluster, named(cluster), NEVER)
    assert (status.states["prerelaxed"], status.failures) == (2, [])
    resume(cluster, named(cluster))
    run_all(rockets)
    assert finished(cluster)
    assert {one.key: one.last_updated for one in cluster.store.predictions()} == predictions


def test_a_chunk_that_is_released_in_the_moment_of_stopping_does_not_start(
    cluster, campaign, submitted, rockets, monkeypatch
):
    """Stopped between the claim and the workflow, and again between the workflow and its note."""
    submitted(campaign(resources="{chunk_size: 2, max_active: 4}"))
    waves = Waves(cluster.launchpad, named(cluster).key)
    waves.note_prepared()
    claim, add = Waves._claim, cluster.launchpad.add_wf

    def claimed_then_stopped(*arguments):
        found = claim(*arguments)
        stop(cluster, named(cluster))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Waves, "_claim", claimed_then_stopped)
        assert waves.release() == 0
    assert waves.counts()["waiting"] == 3
    resume_without_releasing(cluster, waves)

    def stopped_then_added(workflow):
        stop(cluster, named(cluster))
        return add(workflow)

    with monkeypatch.context() as patch:
        patch.setattr(waves.launchpad, "add_wf", stopped_then_added)
        assert waves.release() == 1
    assert waves.counts()["active"] == 1
    assert rockets("gpu") == 0
    assert "READY" not in states_of(cluster)


def resume_without_releasing(cluster, waves):
    from definet_flows.launch.fireworks.gate import open_again

    waves.note_stopped(stopped=False)
    open_again(cluster.store, waves.campaign)


def test_a_job_taken_in_the_moment_of_stopping_ends_at_the_gate(cluster, campaign, submitted, rockets):
    """As if a launcher had been faster than the stop: the gate is shut, and the job is ready."""
    from definet_flows.launch.fireworks.gate import shut

    submitted(campaign(configurations="{recipes: [V_Cu]}", model="null"))
    shut(cluster.store, named(cluster).key)
    Waves(cluster.launchpad, named(cluster).key).note_stopped(stopped=True)
    assert rockets("cpu", at_most=1) == 1
    assert list(cluster.store.relaxations()) == []
    assert status_of(cluster, named(cluster), NEVER).failures == []
    assert resume(cluster, named(cluster)).freed == 1
    run_all(rockets)
    assert finished(cluster)


def test_now_says_what_no_queue_here_knows_of(cluster, campaign, submitted, rockets):
    from fireworks import FWorker

    submitted(campaign(model="null"))
    cluster.launchpad.checkout_fw(FWorker("cpu", category="cpu"), "/nowhere")
    outcome = stop(cluster, named(cluster), now=True)
    assert (outcome.running, outcome.cancelled, outcome.unreached) == (1, 0, 1)


@pytest.fixture
def several(copper, tmp_path):
    def write(*supercells, name="copper", **changes):
        hosts = ", ".join(f"{{file: Cu.cif, supercell: {one}}}" for one in supercells)
        entries = {"hosts": f"[{hosts}]", "configurations": "{recipes: [V_Cu, Al_Cu]}", "model": "null"} | changes
        return load_campaigns(copper.write_campaign(tmp_path, name=name, **entries))

    return write


SIZES = ("[2, 2, 2]", "[3, 2, 2]")


def test_hosts_of_one_file_share_a_launchpad_and_its_room(cluster, several, rockets, tmp_path):
    members = several(*SIZES, resources="{chunk_size: 1, max_active: 2}")
    plans = [plan_submission(one, cluster, tmp_path / "runs") for one in members]
    assert [submit(plan, cluster) for plan in plans] == [2, 2]
    assert [submit(plan_submission(one, cluster, tmp_path / "runs"), cluster) for one in members] == [0, 0]
    found = submissions_named(cluster.launchpad, "copper")
    assert [one.name for one in found] == ["copper/Cu-2x2x2", "copper/Cu-3x2x2"]
    assert [one.name for one in submissions_named(cluster.launchpad, "copper/Cu-3x2x2")] == ["copper/Cu-3x2x2"]
    with pytest.raises(InputError, match="'copper' has several hosts, and one is needed here"):
        named(cluster)
    waves = [Waves(cluster.launchpad, one.key) for one in found]
    for one in waves:
        one.note_prepared()
    assert waves[0].release() == 2
    assert [one.counts()["active"] for one in waves] == [1, 1]  # in turn
    assert waves[1].release() == 0
    run_all(rockets)
    statuses = [status_of(cluster, one, NEVER) for one in found]
    assert [one.states["converged"] for one in statuses] == [2, 2]

    other = several("[2, 2, 3]", engine="{potential: ase.calculators.emt.EMT, force_threshold: 0.5}")
    with pytest.raises(
        InputError, match=r"has copper/Cu-2x2x2 as a part of copper, but its engine's force_threshold is 0\.02"
    ):
        plan_submission(other[0], cluster, tmp_path / "runs")
    more = several(*SIZES, "[2, 2, 3]")
    assert submit(plan_submission(more[2], cluster, tmp_path / "runs"), cluster) == 2
    assert len(submissions_named(cluster.launchpad, "copper")) == 3


def test_predictions_and_campaigns_of_higher_priority_go_first(cluster, several, rockets, tmp_path):
    for name, priority, recipe in (("low", 0, "Al_Cu"), ("high", 5, "V_Cu")):
        changes = {"configurations": f"{{recipes: [{recipe}]}}", "resources": f"{{priority: {priority}}}"}
        (one,) = several("[2, 2, 2]", name=name, **changes)
        submit(plan_submission(one, cluster, tmp_path / name), cluster)
    assert rockets("cpu", at_most=2) == 2
    done = cluster.launchpad.fireworks.find({"state": "COMPLETED"}, {"spec.definet.campaign": 1, "spec._priority": 1})
    high = submissions_named(cluster.launchpad, "high")[0].key
    assert {(one["spec"]["definet"]["campaign"], int(one["spec"]["_priority"])) for one in done} == {(high, 5)}
    run_all(rockets)
    spawned = cluster.launchpad.fireworks.find({"name": {"$regex": "^relax unrelaxed .*_Cu"}}, {"name": 1, "spec": 1})
    assert {(one["name"].split()[2], one["spec"]["_priority"]) for one in spawned} == {("V_Cu", 5), ("Al_Cu", 0)}
