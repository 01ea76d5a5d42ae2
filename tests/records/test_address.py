from __future__ import annotations

import sys
import types

import pytest

from definet_flows.records import open_store
from definet_flows.records.address import PATIENCE_MS, database_address, is_database
from definet_flows.records.errors import StoreAddressError


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("mongodb://host/db", True),
        ("mongodb+srv://cluster.example.org/db", True),
        ("jobflow.yaml", True),
        ("runs/demo", False),
        ("runs/demo-1.5", False),
    ],
)
def test_what_is_a_database_and_what_a_directory(place, expected):
    assert is_database(place) is expected


def test_a_directory_may_be_called_like_a_file(tmp_path):
    (tmp_path / "runs.json").mkdir()
    assert not is_database(tmp_path / "runs.json")


@pytest.mark.parametrize(
    ("address", "shown", "database"),
    [
        ("mongodb://host:27018/db", "mongodb://host:27018/db", "db"),
        ("mongodb://ada:pa%40ss@host/db?tls=true", "mongodb://ada@host/db", "db"),
        ("mongodb://ada:s@one:1,two:2/db?replicaSet=rs", "mongodb://ada@one:1,two:2/db", "db"),
        ("mongodb+srv://ada:s@cluster.example.org/db", "mongodb+srv://ada@cluster.example.org/db", "db"),
    ],
)
def test_an_address_is_shown_without_password_and_options(address, shown, database):
    read = database_address(address)
    assert (read.shown, read.database) == (shown, database)
    assert read.client["host"] == address
    assert "pa%40ss" not in repr(read)


def test_what_the_environment_holds_is_quoted(monkeypatch):
    monkeypatch.setenv("SECRET", "p@ss/w:rd")
    read = database_address("mongodb://ada:${SECRET}@host/db")
    assert read.client["host"] == "mongodb://ada:p%40ss%2Fw%3Ard@host/db"
    assert read.shown == "mongodb://ada@host/db"


def test_the_address_may_say_how_long_to_wait():
    assert database_address("mongodb://host/db").client["serverSelectionTimeoutMS"] == PATIENCE_MS
    assert "serverSelectionTimeoutMS" not in database_address("mongodb://h/db?serverselectiontimeoutms=5").client


STORE = "type: MongoStore\nhost: db.example.org\nport: 27018\ndatabase: results\n"


@pytest.mark.parametrize(
    "content",
    [
        STORE,
        STORE.replace("type", "'@module': maggma.stores.mongolike\n'@class'") + "collection_name: other\n",
        "JOB_STORE:\n  docs_store:\n" + "".join(f"    {line}\n" for line in STORE.splitlines()),
        "type: MongoURIStore\nuri: mongodb://db.example.org:27018\ndatabase: results\n",
        "type: MongoStore\nhost: mongodb://db.example.org:27018/results\ndatabase: results\n",
    ],
)
def test_store_files_of_maggma_and_jobflow_are_understood(tmp_path, content):
    file = tmp_path / "store.yaml"
    file.write_text(content)
    read = database_address(file)
    assert (read.shown, read.database) == ("mongodb://db.example.org:27018/results", "results")


def test_a_login_of_a_file_goes_to_the_client(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "p@ss")
    file = tmp_path / "store.yaml"
    file.write_text(STORE + "username: ada\npassword: ${SECRET}\nmongoclient_kwargs: {tls: true}\n")
    read = database_address(file)
    assert read.shown == "mongodb://ada@db.example.org:27018/results"
    assert (read.client["username"], read.client["password"], read.client["authSource"]) == ("ada", "p@ss", "results")
    assert read.client["tls"] is True


class Secret:
    @classmethod
    def from_dict(cls, content):
        return content["letters"] * 2


def test_what_monty_puts_in_place_of_a_secret_is_used(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "secrets_of_test", types.SimpleNamespace(Secret=Secret))
    file = tmp_path / "jobflow.yaml"
    secret = "{'@module': secrets_of_test, '@class': Secret, letters: ab}"
    file.write_text(STORE + f"username: ada\npassword: {secret}\n")
    assert database_address(file).client["password"] == "abab"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no store file"),
        ("a: [", "cannot be read"),
        ("just words", "specifies no MongoStore but something else"),
        ("type: MemoryStore\n", "specifies no MongoStore but MemoryStore.*name a directory"),
        ("type: MongoStore\nhost: h\n", "names no database; give it as"),
        (STORE + "colour: red\n", "not understood here: colour"),
        (STORE + "ssh_tunnel: {a: 1}\n", "not understood here: ssh_tunnel"),
        (STORE + "password: ${NOT_SET}\n", "environment variable NOT_SET"),
        (STORE.replace("27018", "many"), "port"),
    ],
)
def test_store_files_that_cannot_be_used_say_why(tmp_path, content, sentence):
    file = tmp_path / "store.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(StoreAddressError, match=sentence) as caught:
        database_address(file)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("mongodb://host:27017", "names no database: write mongodb://HOST:27017/DATABASE"),
        ("mongodb:///db", "names no host"),
        ("mongodb://ada:to/p@host/db", "percent-encoded"),
        ("mongodb://ada:top@host:port/db", "is not one of a MongoDB"),
        ("mongodb://ada:top@host/db?authMechanism=MAGIC", "cannot be used"),
        ("mongodb://ada:top@host/db?tsl=true", "cannot be used.*tsl"),
        ("mongodb://ada:${NOT_SET}@host/db", "NOT_SET, which mongodb://ada@host/db asks for, is not set"),
    ],
)
def test_addresses_that_cannot_be_used_say_why_and_tell_no_password(address, sentence):
    with pytest.raises(StoreAddressError, match=sentence) as caught:
        open_store(address)
    assert "top" not in str(caught.value)
    assert "to/p" not in str(caught.value)
