"""The store in MongoDB: maggma's MongoStore, for writers on many machines at once.

A document's key is its ``_id`` too, so that the database itself keeps one document per key, whoever writes when.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from maggma.stores import MongoStore
from pymongo import ASCENDING, IndexModel, MongoClient, ReplaceOne
from pymongo.errors import AutoReconnect, BulkWriteError, ConfigurationError, InvalidURI

from definet_flows.records.address import DatabaseAddress

logger = logging.getLogger(__name__)

PREFIX = "definet_"
"""Of our collections, which may lie in one database with those of jobflow and FireWorks."""

INDEXES: Mapping[str, Sequence[tuple[str, ...]]] = {
    "campaigns": (("name",),),
    "relaxations": (
        ("state",),
        ("configuration_id", "start"),
        ("campaign", "label"),
        ("host.fingerprint",),
        ("engine.physics_hash",),
    ),
    "predictions": (("configuration_id",), ("checkpoint_hash", "guard_hash"), ("campaign", "label")),
    "savings": (("configuration_id",), ("campaign", "label")),
    "build_failures": (("configuration_id",),),
    "elements": (("physics_hash", "element"),),
    "arrays": (),
}
"""Fields by which each collection is searched, besides its unique ``key``."""

RECONNECT_SECONDS = 60.0
"""s; how long a writer waits for a database that went away, for example to be restarted."""

_DUPLICATE = 11000


class Database:
    """One connection for all collections of a store.

    Parameters
    ----------
    address
        Where it is.
    """

    def __init__(self, address: DatabaseAddress) -> None:
        self.address = address

    @cached_property
    def client(self) -> MongoClient[dict[str, Any]]:
        """The connection, made at the first use.

        Raises
        ------
        pymongo.errors.ConfigurationError
            If the address or one of its options is wrong.
        """
        try:
            with warnings.catch_warnings():
                # An option that is misspelt, tls for example, must not be left out.
                warnings.simplefilter("error", UserWarning)
                return MongoClient(**self.address.client)
        except UserWarning as warning:
            raise ConfigurationError(str(warning)) from warning
        except ValueError as error:
            raise InvalidURI(str(error)) from error

    def close(self) -> None:
        """Give the connection up, if there is one."""
        if "client" in self.__dict__:
            self.client.close()


class DatabaseStore(MongoStore):
    """A MongoStore with one document per key, indexed, whose writers may be many and outlive a restart of the database.

    Parameters
    ----------
    name
        Name of the collection, without our prefix.
    database
        Where it is.
    kept
        Fields and values of a document that one without them does not replace, such as ``{"state": "converged"}``.
    read_only
        Make no indexes.
    """

    def __init__(
        self, name: str, database: Database, *, kept: Mapping[str, Any] | None = None, read_only: bool = False
    ) -> None:
        super().__init__(database.address.database, PREFIX + name, key="key")
        self.indexes = INDEXES[name]
        self.kept = dict(kept or {})
        self.read_only = read_only
        self._database = database

    def connect(self, force_reset: bool = False) -> None:
        """Reach the database and, to write, make what indexes are missing."""
        if self.__dict__.get("_coll") is not None and not force_reset:
            return
        client = self._database.client
        client.admin.command("ping")
        collection = client[self._database.address.database][self.collection_name]
        if not self.read_only:
            collection.create_indexes(self._models())
        self.__dict__["_coll"] = collection  # maggma declares it None

    def missing_indexes(self) -> list[str]:
        """Names of the indexes that the collection lacks."""
        there = set(self._collection.index_information())
        return [name for model in self._models() if (name := model.document["name"]) not in there]

    def update(self, docs: list[dict[str, Any]] | dict[str, Any], key: list[str] | str | None = None) -> None:
        """Insert documents, or replace those of the same key; each one whole or not at all.

        Parameters
        ----------
        docs
            One document or several, of types that BSON knows.
        key
            Only the store's own key field (the default) identifies documents here.

        Raises
        ------
        ValueError
            If another key is asked for.
        """
        if key not in (None, self.key, [self.key]):
            raise ValueError(f"This store identifies documents by '{self.key}', not by {key!r}.")
        waiting = list(docs if isinstance(docs, list) else [docs])
        deadline = time.monotonic() + RECONNECT_SECONDS
        # The second time, what another writer has inserted in between is found and replaced, or kept.
        for _ in range(3):
            waiting = self._refused(waiting, deadline)
        if unexpected := [document[self.key] for document in waiting if not self._yields(document)]:
            raise RuntimeError(f"the database will not replace the documents {unexpected}")

    def _refused(self, documents: list[dict[str, Any]], deadline: float) -> list[dict[str, Any]]:
        """Write documents; returns those whose key another document has taken."""
        if not documents:
            return []
        requests = [
            ReplaceOne(self._replaceable(document), {**document, "_id": document[self.key]}, upsert=True)
            for document in documents
        ]
        try:
            self._written(requests, deadline)
        except BulkWriteError as error:
            failed = error.details["writeErrors"]
            if any(one["code"] != _DUPLICATE for one in failed):
                raise
            return [documents[one["index"]] for one in failed]
        return []

    def _written(self, requests: list[ReplaceOne[dict[str, Any]]], deadline: float) -> None:
        """Write, again and again while the database is away: writing twice is the same as once."""
        while True:
            try:
                self._collection.bulk_write(requests, ordered=False)
            except AutoReconnect as error:
                if time.monotonic() > deadline:
                    raise
                logger.debug("the database went away, waiting for it: %s", error)
                time.sleep(0.2)
            else:
                return

    def _replaceable(self, document: dict[str, Any]) -> dict[str, Any]:
        """Criteria of the document that this one may replace."""
        identity = {"_id": document[self.key]}
        return {**identity, "$nor": [self.kept]} if self._yields(document) else identity

    def _yields(self, document: dict[str, Any]) -> bool:
        return bool(self.kept) and any(document.get(name) != value for name, value in self.kept.items())

    def _models(self) -> list[IndexModel]:
        searched = [IndexModel([(name, ASCENDING) for name in names]) for names in self.indexes]
        return [IndexModel([(self.key, ASCENDING)], unique=True), *searched]
