from __future__ import annotations

import subprocess
import sys

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError


def test_every_test_has_an_empty_database(mongo_uri, mongo_database):
    with MongoClient(mongo_uri) as client:
        assert client[mongo_database].list_collection_names() == []
        client[mongo_database].things.insert_one({"a": 1})
        assert client[mongo_database].things.count_documents({"a": 1}) == 1


COUNT_UP = """
import sys
from pymongo import MongoClient
with MongoClient(sys.argv[1]) as client:
    for _ in range(25):
        client["shared"].counter.update_one({"_id": "n"}, {"$inc": {"value": 1}}, upsert=True)
"""


def test_several_processes_write_at_once(database_server):
    workers = [subprocess.Popen([sys.executable, "-c", COUNT_UP, database_server.uri]) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    with MongoClient(database_server.uri) as client:
        assert client["shared"].counter.find_one({"_id": "n"})["value"] == 75


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_what_was_written_outlives_the_server(database_server, way):
    address = database_server.uri
    with MongoClient(address) as client:
        client["kept"].things.insert_one({"a": 1})
    getattr(database_server, way)()
    with MongoClient(address, serverSelectionTimeoutMS=200) as client, pytest.raises(ServerSelectionTimeoutError):
        client["kept"].things.find_one()
    database_server.start()
    assert database_server.uri == address
    with MongoClient(address) as client:
        assert client["kept"].things.find_one({}, {"_id": 0}) == {"a": 1}


def test_a_guarded_server_asks_who_comes(guarded_server):
    with MongoClient(guarded_server.uri_of("ada", "lovelace")) as client:
        client["kept"].things.insert_one({"a": 1})
        assert client["kept"].things.count_documents({}) == 1
    for uri in (guarded_server.uri, guarded_server.uri_of("ada", "wrong")):
        with MongoClient(uri) as client, pytest.raises(OperationFailure):
            client["kept"].things.find_one()
