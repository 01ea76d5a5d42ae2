"""A campaign through FireWorks, from its submission to its records, with launchers in this process."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager

import pytest
from fireworks import FWorker

from definet_flows.engines import ForceFieldEngine
from definet_flows.flows import load_campaign
from definet_flows.jobs.prerelax import PREDICT_JOB
from definet_flows.launch.fireworks.recovery import Rescue, recover
from definet_flows.launch.fireworks.status import status_of
from definet_flows.launch.fireworks.submissions import submission_named
from definet_flows.launch.local import run_campaign
from definet_flows.launch.status import kind_of_reason
from definet_flows.records import build_savings, open_store

pytestmark = [
    pytest.mark.slow,
    # jobflow calls a function of monty that is to go in 2028.
    pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning"),
    # Relaxations depend on nothing, as they should.
    pytest.mark.filterwarnings("ignore:Some jobs are not connected:UserWarning"),
]

RESOURCES = (
    "{chunk_size: 3, max_active: 3, predict: {partition: gpu, gres: 'gpu:1'}, small: {walltime: '00:10:00'}, "
    "relax: {partition: cpu, walltime: '24:00:00', nodes: 2, memory: 64G}}"
)
NEVER, LONG_AGO = 1e6, -1.0


def fireworks_of(cluster):
    fields = {"_id": 0, "name": 1, "state": 1, "spec._category": 1, "spec._queueadapter": 1, "launches": 1}
    return list(cluster.launchpad.fireworks.find({}, fields))


def state_counts(cluster, lost_after=NEVER):
    status = status_of(cluster, submission_named(cluster.launchpad, "copper"), lost_after)
    return {state: count for state, count in status.states.items() if count}


def test_from_submission_to_records_and_savings(cluster, campaign, submitted, rockets, tmp_path):
    submitted(campaign(resources=RESOURCES))
    assert state_counts(cluster) == {"waiting": 5}
    # Neither kind of worker takes the other's jobs, and the GPUs wait for the crystal.
    assert rockets("gpu") == 0
    assert rockets("cpu") == 3  # crystal, pristine supercell, release
    assert rockets("gpu") == 1
    assert state_counts(cluster) == {"waiting": 2, "prerelaxed": 3}
    rockets("cpu")
    rockets("gpu")
    rockets("cpu")
    assert (rockets("gpu"), rockets("cpu")) == (0, 0)
    assert state_counts(cluster) == {"converged": 5}

    listed = fireworks_of(cluster)
    assert {one["state"] for one in listed} == {"COMPLETED"}
    assert {len(one["launches"]) for one in listed} == {1}
    for one in listed:
        predicts = PREDICT_JOB in one["name"]
        assert one["spec"]["_category"] == ("gpu" if predicts else "cpu")
        assert one["spec"]["_queueadapter"] == adapter_of(one["name"])

    local = tmp_path / "local"
    run_campaign(load_campaign(tmp_path / "campaign" / "copper.yaml"), local, workers=1)
    with open_store(local, read_only=True) as store:
        expected = {one.key: (one.state, one.ionic_steps, one.start) for one in store.relaxations()}
        pairs = {one.configuration_id: one.steps_saved for one in store.savings()}
    found = {one.key: (one.state, one.ionic_steps, one.start) for one in cluster.store.relaxations()}
    assert found == expected
    assert {one.configuration_id: one.steps_saved for one in build_savings(cluster.store)} == pairs
    assert submitted(campaign(resources=RESOURCES)) == 0


def adapter_of(name):
    if PREDICT_JOB in name:
        return {"queue": "gpu", "gres": "gpu:1"}
    if name.startswith("release"):
        return {"walltime": "00:10:00"}
    return {"queue": "cpu", "walltime": "24:00:00", "nodes": 2, "mem": "64G"}


def test_what_is_on_record_is_not_run_again(cluster, campaign, submitted, rockets):
    submitted(campaign(model="null", resources="{chunk_size: 5}"))
    rockets("cpu")
    before = {one.key: one.last_updated for one in cluster.store.relaxations()}
    assert len(before) == 6
    # Somebody queues everything again.
    for one in list(cluster.launchpad.fireworks.find({"name": {"$regex": "^relax unrelaxed"}})):
        cluster.launchpad.rerun_fw(one["fw_id"])
    assert rockets("cpu") >= 6
    assert {one.key: one.last_updated for one in cluster.store.relaxations()} == before


SHORT_JOBS = {"name": {"$not": {"$regex": "_Cu"}}}


def crash(*_):
    raise RuntimeError("out of luck at step 17")


@pytest.fixture
def crashing(monkeypatch):
    """Relaxations raise as long as this is entered."""

    @contextmanager
    def enter():
        with monkeypatch.context() as patch:
            patch.setattr(ForceFieldEngine, "relax", crash)
            yield

    return enter


@pytest.fixture
def queued(campaign, submitted, rockets):
    """Five relaxations wait to be run."""
    submitted(campaign(model="null", resources="{chunk_size: 5}"))
    rockets("cpu", **SHORT_JOBS)


def test_lost_and_crashed_runs_are_recovered_once_each(cluster, queued, rockets, crashing):
    cluster.launchpad.checkout_fw(FWorker("cpu", category="cpu"), "/nowhere")  # and never heard of again
    with crashing():
        rockets("cpu", at_most=1)
    assert state_counts(cluster) == {"running": 1, "failed": 1, "waiting": 3}
    submission = submission_named(cluster.launchpad, "copper")
    status = status_of(cluster, submission, LONG_AGO)
    assert (status.states["lost"], status.states["failed"]) == (1, 1)
    told = {group.reason: group.command for group in status.failures}
    assert told["RuntimeError: out of luck at step 17"] == "definet-flows recover copper"

    first = recover(cluster, submission, Rescue(LONG_AGO))
    assert (first.lost, first.crashed, first.recorded, first.requeued) == (1, 1, 2, 2)
    reasons = {one.reason for one in cluster.store.relaxations({"state": "failed"})}
    assert reasons == {"the launcher gave no sign of life", "RuntimeError: out of luck at step 17"}
    second = recover(cluster, submission, Rescue(LONG_AGO))
    assert (second.lost, second.crashed, second.recorded, second.requeued) == (0, 0, 0, 0)

    rockets("cpu")
    assert state_counts(cluster) == {"converged": 5}
    assert (
        Counter(one.configuration_id for one in cluster.store.relaxations({"kind": "defect"})).most_common(1)[0][1] == 1
    )


def test_what_crashes_again_is_left_alone_unless_asked_for(cluster, queued, rockets, crashing):
    submission = submission_named(cluster.launchpad, "copper")
    with crashing():
        rockets("cpu", at_most=1)
        recover(cluster, submission, Rescue(NEVER))
        rockets("cpu")
        outcome = recover(cluster, submission, Rescue(NEVER))
    assert (outcome.crashed, outcome.requeued, outcome.given_up) == (5, 4, 1)
    rockets("cpu")
    assert state_counts(cluster) == {"failed": 1, "converged": 4}
    assert recover(cluster, submission, Rescue(NEVER, reason="another")).requeued == 0
    assert recover(cluster, submission, Rescue(NEVER, reason="out of luck", again=True)).requeued == 1
    rockets("cpu")
    assert state_counts(cluster) == {"converged": 5}


def test_relaxations_that_failed_by_record_run_again_on_request(cluster, campaign, submitted, rockets):
    # EMT knows no selenium.
    submitted(campaign(model="null", configurations="{recipes: [V_Cu, Se_Cu]}"))
    rockets("cpu")
    submission = submission_named(cluster.launchpad, "copper")
    (group,) = status_of(cluster, submission, NEVER).failures
    assert (group.count, group.roles) == (1, {"relax": 1})
    assert group.command.startswith("definet-flows recover copper --failed --reason '")
    reason = group.command.split("'")[1]
    assert recover(cluster, submission, Rescue(NEVER)).requeued == 0
    assert recover(cluster, submission, Rescue(NEVER, failed=True, reason=reason)).requeued == 1
    rockets("cpu")
    assert state_counts(cluster) == {"failed": 1, "converged": 1}


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("the largest force was 0.31 eV/Å after 100 ionic steps", "the largest force was # eV/Å after # ionic steps"),
        ("no CONTCAR in /scratch/a/V_S-0123abcd", "no CONTCAR in #"),
        (None, "no reason is on record"),
    ],
)
def test_failures_that_differ_in_numbers_only_are_of_one_kind(reason, kind):
    assert kind_of_reason(reason) == kind
