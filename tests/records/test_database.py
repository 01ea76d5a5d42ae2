from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from definet_flows.records import RecordStore, StoreContentError, StoreError, open_store
from definet_flows.records.database import INDEXES

ROOT = Path(__file__).resolve().parents[2]
FAST = "&serverSelectionTimeoutMS=300"


def address_of(server, user=None, password=None):
    uri = server.uri_of(user, password) if user else server.uri
    return uri.replace("/?", "/results?") + FAST


def test_what_is_searched_is_indexed_and_keys_are_unique(mongo_address):
    with open_store(mongo_address) as store:
        for name, fields in INDEXES.items():
            indexes = store.stores[name]._collection.index_information().values()
            keys = {tuple(field for field, _ in index["key"]): index.get("unique", False) for index in indexes}
            assert keys.keys() == {("_id",), ("key",), *fields}
            assert keys["key",]
            assert store.stores[name].missing_indexes() == []


def test_a_reader_makes_nothing(mongo_address, copper):
    with pytest.raises(StoreContentError, match=r"test_\w+ holds no results; check the name of the database") as caught:
        open_store(mongo_address, read_only=True)
    assert caught.value.exit_code == 2
    with open_store(mongo_address) as store:
        store.add_relaxations([copper.record(copper.configuration())])
        store.stores["relaxations"]._collection.drop_indexes()
    with open_store(mongo_address, read_only=True) as reader:
        assert len(list(reader.relaxations())) == 1
        assert "state_1" in reader.stores["relaxations"].missing_indexes()


WRITER = """
import json, sys
from definet_flows.records import RelaxationRecord, open_store
address, *files = sys.argv[1:]
records = [RelaxationRecord.model_validate_json(line) for line in open(files[0])]
with open_store(address) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for record in records:
        store.add_relaxations([record])
"""


def test_many_writers_of_the_same_relaxations_leave_one_record_each(mongo_address, copper, tmp_path):
    """Three processes write the same two keys ten times each, half of them as losses."""
    configurations = [copper.configuration({0: "Vac"}), copper.configuration({0: "Al"})]
    writers = []
    for number in range(3):
        written = [
            copper.record(one, steps=10 * number + turn, error=f"lost by {number}" if (number + turn) % 2 else None)
            for turn in range(1, 6)
            for one in configurations
        ]
        file = tmp_path / f"{number}.jsonl"
        file.write_text("\n".join(record.model_dump_json() for record in written))
        command = [sys.executable, "-c", WRITER, mongo_address, str(file)]
        writers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT))
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    with open_store(mongo_address, read_only=True) as store:
        found = list(store.relaxations(positions=True))
        assert len({record.key for record in found}) == len(found) == 2
        assert [record.state for record in found] == ["converged"] * 2
        assert all(record.positions is not None for record in found)
        assert store.stores["relaxations"].count() == 2


def test_the_database_keeps_a_result_from_a_loss_written_at_the_same_moment(mongo_address, copper):
    """The store looked before the other writer was there: the database itself has to refuse."""
    configuration = copper.configuration()
    lost = copper.record(configuration, error="lost").model_dump(mode="json", exclude={"positions"})
    converged = copper.record(configuration).model_dump(mode="json", exclude={"positions"})
    with open_store(mongo_address) as store:
        relaxations = store.stores["relaxations"]
        for document in (lost, converged, lost):
            relaxations.update(document)
        assert [one["state"] for one in relaxations.query({})] == ["converged"]
        relaxations.update([lost, {**lost, "key": "another"}])
        assert sorted(store.states().values()) == ["converged", "failed"]


def test_only_the_stores_own_key_identifies(mongo_address):
    with open_store(mongo_address) as store, pytest.raises(ValueError, match="identifies documents by 'key'"):
        store.stores["savings"].update({"key": "a"}, key="label")


def test_a_writer_outlives_a_restart_of_the_database(database_server, copper):
    records = [copper.record(copper.configuration(changes)) for changes in ({0: "Vac"}, {0: "Al"})]
    with open_store(address_of(database_server)) as store:
        store.add_relaxations(records[:1])
        database_server.kill()
        threading.Timer(0.5, database_server.start).start()
        store.add_relaxations(records[1:])
        assert sorted(one.key for one in store.relaxations()) == sorted(one.key for one in records)


def test_a_database_that_is_gone_is_one_sentence(database_server, copper, monkeypatch):
    monkeypatch.setattr("definet_flows.records.database.RECONNECT_SECONDS", 0.1)
    address = address_of(database_server)
    with open_store(address) as store:
        database_server.stop()
        with pytest.raises(StoreError, match="does not answer") as writing:
            store.add_relaxations([copper.record(copper.configuration())])
        with pytest.raises(StoreError, match="does not answer"):
            list(store.relaxations())
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"Connection refused.*check that it runs") as opening:
        open_store(address)
    assert time.monotonic() - began < 30, "the wait that the address asks for is the one that is kept"
    for caught in (writing, opening):
        assert caught.value.exit_code == 1
        assert f"mongodb://127.0.0.1:{database_server.port}/results " in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("user", "password"), [("ada", "wrong-secret"), ("eve", "wrong-secret"), (None, None)])
def test_a_database_that_lets_nobody_in_is_one_sentence(guarded_server, user, password):
    with pytest.raises(StoreError, match=r"does not let us in \(.*\): check the user, the password") as caught:
        open_store(address_of(guarded_server, user, password))
    assert caught.value.exit_code == 1
    assert "wrong-secret" not in str(caught.value)
    assert (f"{user}@127.0.0.1" in str(caught.value)) == (user is not None)


def test_secrets_come_from_the_environment(guarded_server, copper, monkeypatch, tmp_path):
    monkeypatch.setenv("STORE_PASSWORD", "lovelace")
    with open_store(address_of(guarded_server, "ada", "${STORE_PASSWORD}")) as store:
        store.add_relaxations([copper.record(copper.configuration())])
        assert "lovelace" not in store.location
    file = tmp_path / "store.yaml"
    file.write_text(
        f"{{type: MongoStore, host: 127.0.0.1, port: {guarded_server.port}, database: results, username: ada, "
        "password: '${STORE_PASSWORD}', auth_source: admin, mongoclient_kwargs: {authMechanism: SCRAM-SHA-256}}"
    )
    with open_store(file, read_only=True) as store:
        assert len(list(store.relaxations())) == 1
        assert store.location == f"mongodb://ada@127.0.0.1:{guarded_server.port}/results"


def test_a_store_may_be_opened_by_hand(copper):
    with RecordStore.in_memory() as store:
        assert not store.is_begun()
        store.add_relaxations([copper.record(copper.configuration())])
        assert store.is_begun()
