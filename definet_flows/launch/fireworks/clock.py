"""Whose clock is meant: the database's, so that a machine whose own is wrong declares nothing lost and takes nothing twice."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from definet_flows.records.store import RecordStore

CLOCKS = "definet_clocks"
"""Collection of how far the clock of each machine that ran a job is ahead of the database's, s."""

Client = MongoClient[dict[str, Any]]


def database_seconds(client: Client) -> float:
    """Seconds since 1970 by the database's clock; by this machine's where the database does not tell.

    Parameters
    ----------
    client
        Of the database.
    """
    told = client.admin.command("hello").get("localTime")
    return seconds_of(told) if isinstance(told, datetime) else time.time()


def seconds_of(moment: datetime) -> float:
    """Seconds since 1970 of a time; one without a zone, as databases give them, is UTC."""
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def note_clock(store: RecordStore) -> None:
    """Write down how far this machine's clock is ahead: FireWorks' signs of life are given in its time.

    Parameters
    ----------
    store
        The results; the note lies beside them.
    """
    database = database_beside(store)
    ahead = time.time() - database_seconds(database.client)
    database[CLOCKS].update_one({"_id": socket.gethostname()}, {"$set": {"ahead": ahead}}, upsert=True)


def clocks(store: RecordStore) -> dict[str, float]:
    """Seconds that each machine's clock is ahead, by its name."""
    return {one["_id"]: one["ahead"] for one in database_beside(store)[CLOCKS].find({})}


def database_beside(store: RecordStore) -> Database[dict[str, Any]]:
    """The database that a results store lies in, for what is noted beside it."""
    collection: Collection[dict[str, Any]] = store.stores["campaigns"]._collection  # noqa: SLF001
    return collection.database
