"""A campaign that has ended is archived, and its launchpad cleared of it alone."""

from __future__ import annotations

import json
import logging
import tarfile

import pytest
from fireworks import FWorker
from typer.testing import CliRunner

from definet_flows.cli.app import app
from definet_flows.errors import InputError
from definet_flows.launch.fireworks.chunks import CHUNKS
from definet_flows.launch.fireworks.clearing import check_ended, clear
from definet_flows.launch.fireworks.stopping import stop
from definet_flows.launch.fireworks.submissions import submission_named, submissions
from definet_flows.records import open_store

pytestmark = [
    pytest.mark.slow,
    # jobflow calls a function of monty that is to go in 2028.
    pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning"),
    # Relaxations depend on nothing, as they should.
    pytest.mark.filterwarnings("ignore:Some jobs are not connected:UserWarning"),
]

ONE = {"model": "null", "configurations": "{recipes: [V_Cu]}"}


def named(cluster):
    return submission_named(cluster.launchpad, "copper")


@pytest.fixture
def archive(configuration, monkeypatch):
    """Run the command."""
    for name in ("FW_CONFIG_FILE", "JOBFLOW_CONFIG_FILE", "ATOMATE2_CONFIG_FILE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    package = logging.getLogger("definet_flows")
    before = package.handlers[:], package.propagate, package.level
    yield lambda *arguments: CliRunner().invoke(
        app, ["archive", *map(str, arguments), "--config-dir", str(configuration.path)]
    )
    package.handlers[:], package.propagate = before[:2]
    package.setLevel(before[2])


def left(cluster):
    launchpad = cluster.launchpad
    collections = (launchpad.fireworks, launchpad.workflows, launchpad.launches, launchpad.db[CHUNKS])
    return [
        *(one.count_documents({}) for one in collections),
        *(launchpad.db[name].count_documents({}) for name in ("outputs", "outputs_blobs")),
    ]


def test_the_records_are_in_the_archive_before_the_launchpad_is_cleared(
    cluster, campaign, submitted, rockets, archive, tmp_path
):
    file = tmp_path / "copper.tar.gz"
    submitted(campaign(**ONE))
    refused = archive("copper", "-o", file, "--clean")
    assert refused.exit_code == 2
    assert (
        "copper has not ended: 2 jobs and 1 chunks wait. Wait for it (definet-flows status copper), or"
        in refused.stderr
    )
    rockets("cpu")
    assert min(left(cluster)[:4]) > 0

    reply = archive("copper", "-o", file, "--clean", "--json")
    assert reply.exit_code == 0, reply.stderr
    told = json.loads(reply.stdout)
    assert [told["collections"][name]["documents"] for name in ("campaigns", "relaxations", "arrays")] == [1, 2, 2]
    assert told["removed"] == [{"name": "copper", "fireworks": 6, "chunks": 1, "outputs": 4}]
    assert left(cluster) == [0] * 6
    assert submissions(cluster.launchpad) == []
    with tarfile.open(file) as packed:
        packed.extractall(tmp_path / "there", filter="data")
    found = {one.key: one for one in cluster.store.relaxations(positions=True)}
    with open_store(tmp_path / "there" / "copper", read_only=True) as store:
        assert {one.key: one for one in store.relaxations(positions=True)} == found
    # What is on record is not run again.
    assert submitted(campaign(**ONE)) == 0


def test_a_clearing_that_was_killed_is_finished_by_the_next(
    cluster, campaign, submitted, rockets, archive, tmp_path, monkeypatch
):
    file = tmp_path / "copper.tar.gz"
    submitted(campaign(**ONE))
    rockets("cpu")
    assert archive("copper", "-o", file).exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr(type(cluster.launchpad.launches), "delete_many", killed)
        with pytest.raises(KeyboardInterrupt):
            clear(cluster, named(cluster))
    assert cluster.launchpad.fireworks.count_documents({}) == 6
    assert archive("copper", "-o", file, "--clean").exit_code == 0
    assert left(cluster) == [0] * 6


def killed(*_):
    raise KeyboardInterrupt


def test_what_runs_or_is_on_no_record_is_not_cleared(cluster, campaign, submitted, rockets):
    submitted(campaign(**ONE))
    _, launch = cluster.launchpad.checkout_fw(FWorker("cpu", category="cpu"), "/nowhere")
    with pytest.raises(InputError, match="1 jobs of copper run: wait for them, or definet-flows stop copper"):
        check_ended(cluster, named(cluster), clean=False)
    cluster.launchpad.mark_fizzled(launch)
    cluster.launchpad.rerun_fw(1)
    rockets("cpu", name={"$not": {"$regex": "_Cu"}})
    cluster.launchpad.mark_fizzled(cluster.launchpad.checkout_fw(FWorker("cpu", category="cpu"), "/nowhere")[1])
    stop(cluster, named(cluster))
    check_ended(cluster, named(cluster), clean=False)
    with pytest.raises(InputError, match="1 relaxations of copper crashed and are on no record: definet-flows recover"):
        check_ended(cluster, named(cluster), clean=True)
