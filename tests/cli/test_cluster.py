from __future__ import annotations

import json

import pytest

from tests.hpc_folders import written

RESOURCES = "{chunk_size: 5, max_active: 5, relax: {walltime: '02:00:00'}}"


@pytest.fixture
def clean_environment(monkeypatch):
    """What commands set in the environment ends with the test."""
    for name in ("FW_CONFIG_FILE", "JOBFLOW_CONFIG_FILE", "ATOMATE2_CONFIG_FILE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def cluster(clean_environment, invoke, mongo_uri, mongo_database, tmp_path):
    """Run a command with a configuration folder."""
    folder = tmp_path / "configuration"
    written(folder, database={"host": mongo_uri, "name": mongo_database, "login": False})
    return lambda *arguments: invoke(*arguments, "--config-dir", folder)


@pytest.fixture
def path(copper, tmp_path):
    return copper.write_campaign(tmp_path / "campaign", resources=RESOURCES, baseline_fraction="0.5")


def test_submitting_watching_and_recovering(cluster, path, tmp_path):
    dry = cluster("submit", path, "--dir", tmp_path / "runs", "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert "copper: 12 configurations, 0 on record, 0 on their way, 12 to submit" in dry.stdout
    assert "3 prediction jobs of up to 5 configurations" in dry.stdout
    assert "Estimated core-hours: 36 (at most: 18 relaxations on 1 cores for their whole wall time)" in dry.stdout
    assert "Nothing was submitted." in dry.stdout
    assert "No campaign was submitted" in cluster("status").stdout

    assert "12 configurations submitted" in cluster("submit", path, "--dir", tmp_path / "runs").stdout
    assert "There was nothing to submit" in cluster("submit", path, "--dir", tmp_path / "runs").stdout
    facts = json.loads(cluster("submit", path, "--dir", tmp_path / "runs", "--dry-run", "--json").stdout)
    assert (facts["to_submit"], facts["under_way"], facts["estimates"]["core-hours"]["hours"]) == (0, 12, 0)

    assert "copper" in cluster("status").stdout
    (status,) = json.loads(cluster("status", "copper", "--json").stdout)
    assert (status["n_configurations"], status["states"]["waiting"], status["failures"]) == (12, 12, [])
    assert "0 lost, 0 crashed, 0 failed" in cluster("recover", "copper").stdout
    assert cluster("recover", "copper", "--json").exit_code == 0
    submit_elements = ("submit", path, "--dir", tmp_path / "runs", "--elements")
    assert (
        "Elements and compounds to submit: Al, Ni\nNothing was submitted."
        in cluster(*submit_elements, "--dry-run").stdout
    )
    with_elements = cluster(*submit_elements)
    assert "Elements and compounds submitted: Al, Ni" in with_elements.stdout, with_elements.stderr
    again = cluster(*submit_elements)
    assert "Elements" not in again.stdout
    assert "There was nothing to submit" in again.stdout, again.stderr


def test_several_hosts_are_one_campaign_and_can_be_stopped(cluster, copper, tmp_path):
    hosts = "[{file: Cu.cif, supercell: [2, 2, 2]}, {file: Cu.cif, supercell: [3, 2, 2], model: null}]"
    changes = {"hosts": hosts, "configurations": "{recipes: [V_Cu, Al_Cu]}", "resources": "{chunk_size: 1}"}
    path = copper.write_campaign(tmp_path / "campaign", **changes)
    facts = json.loads(cluster("submit", path, "--dir", tmp_path / "runs", "--dry-run", "--json").stdout)
    assert (facts["name"], facts["configurations"], facts["to_submit"]) == ("copper", 4, 4)
    assert [one["name"] for one in facts["hosts"]] == ["copper/Cu-2x2x2", "copper/Cu-3x2x2"]
    told = cluster("submit", path, "--dir", tmp_path / "runs", "--priority", 3).stdout
    assert "copper, all hosts: 4 configurations, 0 on record, 4 to submit" in told
    assert "4 configurations submitted. Next: definet-flows status copper" in told

    shown = cluster("status", "copper").stdout
    assert "copper/Cu-3x2x2" in shown
    assert [line.split()[:3] for line in shown.splitlines() if "total" in line] == [["total", "4", "4"]]
    stopped = cluster("stop", "copper", "--now")
    assert "copper/Cu-2x2x2 is stopped: 2 jobs held, 2 chunks wait" in stopped.stdout
    assert "To go on: definet-flows resume copper" in stopped.stdout
    assert {one["standing"] for one in json.loads(cluster("status", "copper", "--json").stdout)} == {"stopped"}
    assert "stopped" in cluster("status").stdout
    for refused in (cluster("submit", path, "--dir", tmp_path / "runs"), cluster("recover", "copper")):
        assert refused.exit_code == 2
        assert "copper/Cu-2x2x2 is stopped: definet-flows resume copper lets it go on." in refused.stderr
    (first, second) = json.loads(cluster("resume", "copper", "--json").stdout)
    assert (first["freed"], second["freed"]) == (2, 2)
    assert len(json.loads(cluster("recover", "copper", "--json").stdout)) == 2


def test_a_host_that_cannot_be_submitted_is_named_and_none_is(cluster, copper, tmp_path):
    hosts = (
        "[{file: Cu.cif, supercell: [2, 2, 2]}, {file: Cu.cif, supercell: [3, 2, 2], configurations: {recipes: [V_S]}}]"
    )
    path = copper.write_campaign(tmp_path / "campaign", hosts=hosts)
    reply = cluster("submit", path, "--dir", tmp_path / "runs")
    assert reply.exit_code == 2
    assert "copper/Cu-3x2x2: Cu has no S sites" in reply.stderr
    assert "No campaign was submitted" in cluster("status").stdout


def test_a_campaign_that_is_not_there(cluster):
    reply = cluster("status", "silver")
    assert reply.exit_code == 2
    assert reply.stderr == (
        "Error: No campaign 'silver' was submitted to this launchpad; there is none; and no directory silver holds a campaign. "
        "See docs/cluster.md.\n"
    )


def test_a_database_that_does_not_answer(clean_environment, invoke, path, tmp_path):
    host = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"
    options = {"serverSelectionTimeoutMS": 100}
    written(tmp_path / "away", database={"host": host, "login": False, "options": options})
    reply = invoke("submit", path, "--config-dir", tmp_path / "away")
    assert reply.exit_code == 1
    assert "No database answers at mongodb://127.0.0.1:1" in reply.stderr


def test_no_configuration(clean_environment, invoke, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    reply = invoke("status")
    assert reply.exit_code == 2
    assert "No cluster is configured: definet-flows hpc init" in reply.stderr
    (tmp_path / "empty").mkdir()
    for command in (["status"], ["archive", "-o", tmp_path / "kept.tar.gz"]):
        absent, empty = (invoke(*command, name) for name in ("absent", "empty"))
        assert (absent.exit_code, empty.exit_code) == (2, 2)
        assert absent.stderr.startswith("Error: There is no directory absent; give")
        assert empty.stderr.startswith("Error: empty holds no campaign; give")


def test_a_directory_that_does_not_exist_is_asked_of_no_launchpad(cluster, invoke, monkeypatch, tmp_path):
    monkeypatch.setenv("FW_CONFIG_FILE", str(tmp_path / "configuration" / "FW_config.yaml"))
    reply = invoke("status", tmp_path / "absent")
    assert reply.exit_code == 2
    assert f"There is no directory {tmp_path / 'absent'}; give" in reply.stderr
    by_name = invoke("status", "absent")
    assert by_name.exit_code == 2
    told = (
        "No campaign 'absent' was submitted to this launchpad; there is none; and no directory absent holds a campaign."
    )
    assert told in " ".join(by_name.stderr.split())
