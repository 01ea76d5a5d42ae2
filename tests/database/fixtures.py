"""The database fixtures every test may ask for; without a database they skip, saying why."""

from __future__ import annotations

import os
import uuid
from urllib.parse import urlsplit, urlunsplit

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
def mongo_address(mongo_uri, mongo_database):
    """Address of a database that no other test uses, as ``--store`` and `open_store` take it."""
    return address_of(mongo_uri, mongo_database)


@pytest.fixture
def database_server(tmp_path):
    """A `DatabaseServer` of this test's own, started, to stop, kill and restart."""
    _need_database()
    with DatabaseServer(tmp_path / "mongo") as server:
        yield server


@pytest.fixture(scope="session")
def guarded_server(tmp_path_factory):
    """A `DatabaseServer` for all tests, letting in only the user ``ada`` with the password ``lovelace``."""
    _need_database()
    with DatabaseServer(tmp_path_factory.mktemp("guarded-mongo"), user=("ada", "lovelace")) as server:
        yield server


def _need_database():
    try:
        database_python()
    except NoDatabaseError as error:
        pytest.skip(str(error))


def address_of(uri, database):
    """Address of one database of a server."""
    parts = urlsplit(uri)
    query = parts.query
    if "@" in parts.netloc and "authsource" not in query.lower():
        # Without it, MongoDB would look for the user in the database that is named.
        query = "&".join(filter(None, [query, f"authSource={parts.path.strip('/') or 'admin'}"]))
    return urlunsplit(parts._replace(path=f"/{database}", query=query))
