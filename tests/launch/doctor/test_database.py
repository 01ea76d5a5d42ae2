from __future__ import annotations

import time
from contextlib import closing

import pytest
import yaml
from pymongo import MongoClient

from definet_flows.launch.doctor import Subject, database
from definet_flows.launch.hpc.stamp import put_stamp
from tests.hpc_folders import launchpad_of, written

LOGIN = {"authMechanism": "SCRAM-SHA-256", "authSource": "admin"}


def found(folder):
    """State and message of each finding by its check."""
    with closing(Subject(folder)) as subject:
        return {finding.check: (finding.state, finding.message) for finding in database.check(subject)}


@pytest.fixture
def folder(tmp_path, mongo_uri, mongo_database):
    return written(tmp_path, database={"host": mongo_uri, "name": mongo_database})


def test_a_new_database_is_fit_for_use(folder):
    findings = found(folder)
    assert {state for state, _ in findings.values()} == {"pass", "warn"}
    assert findings["stores"] == ("pass", "written to, read from and deleted from outputs and data")
    assert findings["outputs index"][0] == findings["data index"][0] == "warn"
    with launchpad_of(folder) as launchpad:
        assert launchpad.db.outputs.count_documents({}) == 0, "nothing is left behind"
        assert launchpad.db.outputs_blobs.count_documents({}) == 0


def test_indexes_are_found(folder):
    with launchpad_of(folder) as launchpad:
        launchpad.reset("", require_password=False)
        launchpad.db.outputs.create_index([("uuid", 1), ("index", 1)])
        launchpad.db.outputs_blobs.create_index("blob_uuid")
        findings = found(folder)
        assert {findings[name][0] for name in ("launchpad indexes", "outputs index", "data index")} == {"pass"}
        launchpad.fireworks.drop_indexes()
        assert found(folder)["launchpad indexes"][0] == "warn"


def test_a_launchpad_of_another_version_is_refused(folder):
    with launchpad_of(folder) as launchpad:
        put_stamp(launchpad.db)
        state, message = found(folder)["launchpad version"]
        assert (state, "fireworks 2.1.4" in message) == ("pass", True)
        launchpad.db.definet_flows.update_one({"_id": "launchpad"}, {"$set": {"fireworks": "1.9.7"}})
        state, message = found(folder)["launchpad version"]
        assert state == "fail"
        assert (
            f"{launchpad.name} was filled with fireworks 1.9.7 (here 2.1.4): finish it with those versions" in message
        )
        put_stamp(launchpad.db)
        assert found(folder)["launchpad version"][0] == "fail", "the versions that filled it stay noted"


def test_an_unreachable_database_is_one_sentence_without_a_password(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "ANSWER_WITHIN_MS", 300)
    folder = written(tmp_path)
    content = folder.launchpad_settings() | {"host": "mongodb://ada:lovelace@127.0.0.1:9/"}
    folder.launchpad_file.write_text(yaml.safe_dump(content))
    findings = found(folder)
    assert list(findings) == ["launchpad"]
    state, message = findings["launchpad"]
    assert state == "fail"
    assert message.startswith("No database answers at mongodb://127.0.0.1:9/ (127.0.0.1:9: ")
    assert "Connection refused" in message
    assert "lovelace" not in message
    assert "Topology" not in message


@pytest.mark.parametrize("password", ["wrong", "lovelace"])
def test_wrong_credentials_are_told_from_right_ones(tmp_path, monkeypatch, guarded_server, password):
    monkeypatch.setenv("DEFINET_FLOWS_DATABASE_USER", "ada")
    monkeypatch.setenv("DEFINET_FLOWS_DATABASE_PASSWORD", password)
    findings = found(written(tmp_path, database={"host": guarded_server.uri, "login": True, "options": LOGIN}))
    if password == "wrong":
        assert list(findings) == ["launchpad"]
        state, message = findings["launchpad"]
        assert state == "fail"
        assert "refuses the login" in message
        assert "check DEFINET_FLOWS_DATABASE_USER and DEFINET_FLOWS_DATABASE_PASSWORD" in message
        assert "authSource in my_launchpad.yaml and jobflow.yaml" in message
        assert "wrong" not in message
    else:
        assert findings["stores"][0] == "pass"


def test_no_credentials_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("DEFINET_FLOWS_DATABASE_USER", raising=False)
    state, message = found(written(tmp_path, database={"login": True}))["launchpad"]
    assert (state, message.split(":")[0]) == ("fail", "DEFINET_FLOWS_DATABASE_USER is not set")


def test_a_store_elsewhere_is_examined_by_itself(folder, monkeypatch):
    monkeypatch.setattr(database, "ANSWER_WITHIN_MS", 1000)
    file = folder.path / "jobflow.yaml"
    content = yaml.safe_load(file.read_text())
    content["JOB_STORE"]["docs_store"]["uri"] = "mongodb://127.0.0.1:9/"
    file.write_text(yaml.safe_dump(content))
    state, message = found(folder)["stores"]
    assert (state, message[:50]) == ("fail", "No database answers at mongodb://127.0.0.1:9/ (127")
    content["JOB_STORE"]["docs_store"]["type"] = "NoSuchStore"
    file.write_text(yaml.safe_dump(content))
    assert found(folder)["stores"][0] == "fail"
    file.unlink()
    assert found(folder)["stores"][0] == "not set up"


@pytest.mark.parametrize(("ahead", "state"), [(0, "pass"), (30, "warn"), (-30, "warn"), (3600, "fail")])
def test_a_clock_that_is_off_is_told(mongo_uri, ahead, state):
    with MongoClient(mongo_uri) as client:
        finding = database.check_clock(client, lambda: time.time() + ahead)
    assert finding.state == state
    assert "s from the database's" in finding.message
