"""The database fixtures every test may ask for; without a database they skip, saying why."""

from __future__ import annotations

import os
import uuid

import pytest
from pymongo import MongoClient

from tests.database.environment import NoDatabaseError, database_python
from tests.database.server import DatabaseServer


@pytest.fixture(scope="session")
def mongo_uri(request, tmp_path_factory):
    """Address of a database that all tests share: ``TEST_MONGO_URI`` where it is set."""
    if "TEST_MONGO_URI" in os.environ:
        yield os.environ["TEST_MONGO_URI"]
        return
    _need_database()
    with DatabaseServer(tmp_path_factory.mktemp("mongo")) as server:
        yield server.uri


@pytest.fixture
def mongo_database(mongo_uri):
    """Name of a database that no other test uses, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    with MongoClient(mongo_uri) as client:
        client.drop_database(name)


@pytest.fixture
def database_server(tmp_path):
    """A `DatabaseServer` of this test's own, started, to stop, kill and restart."""
    _need_database()
    with DatabaseServer(tmp_path / "mongo") as server:
        yield server


@pytest.fixture
def guarded_server(tmp_path):
    """As `database_server`, letting in only the user ``ada`` with the password ``lovelace``."""
    _need_database()
    with DatabaseServer(tmp_path / "guarded-mongo", user=("ada", "lovelace")) as server:
        yield server


def _need_database():
    try:
        database_python()
    except NoDatabaseError as error:
        pytest.skip(str(error))
