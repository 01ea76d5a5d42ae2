"""The store on a laptop's disk: maggma's MontyStore on SQLite, with writes, look-ups by key and queries made direct.

MontyStore finds the document that an update replaces by decoding all the others, which takes longer with every one of them. Here
the document's key is also its ``_id``, the primary key of MontyDB's table, so that writing and reading by key take one statement
of SQL. Queries decode only the documents that the columns beside them let through. The files stay MontyDB's own.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import bson
from maggma.stores import MontyStore
from montydb import MontyClient, set_storage
from montydb.types import bson as monty_bson

from definet_flows.records.columns import Table, field_of
from definet_flows.records.conditions import let_match, necessary
from definet_flows.records.matching import fits

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

TABLE = "documents"
LOOKUP_BATCH = 500
BUSY_SECONDS = 60.0
"""s; how long a reader waits for a writer's commit, and the other way round."""

_STORAGE = {
    "use_bson": True,
    "mongo_version": "4.0",
    # A rollback journal, not a write-ahead log: that needs memory shared between all who read, which a login node and a
    # compute node do not have.
    "journal_mode": "DELETE",
}
_CREATE = f"CREATE TABLE IF NOT EXISTS {TABLE}(k text NOT NULL, v text NOT NULL, PRIMARY KEY(k))"
_UPSERT = f"INSERT INTO {TABLE}(k, v) VALUES (?, ?) ON CONFLICT(k) DO UPDATE SET v = excluded.v"  # noqa: S608


class EmbeddedStore(MontyStore):
    """A MontyStore on SQLite whose documents are written and found by key without reading the others.

    Every update is one transaction, on the disk when it returns.

    Parameters
    ----------
    collection_name
        Name of the collection: one file each.
    database_path
        Folder of the database; made at the first connection.
    key
        Field whose text value identifies a document.
    read_only
        Leave the folder as it is; a collection that was never written is empty.
    columns
        Fields by which the collection is searched.
    """

    def __init__(
        self,
        collection_name: str,
        database_path: str,
        key: str = "key",
        *,
        read_only: bool = False,
        columns: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("storage_kwargs", dict(_STORAGE))
        super().__init__(collection_name, database_path=database_path, key=key, **kwargs)
        self.read_only = read_only
        self.columns = tuple(columns)

    @property
    def collection_file(self) -> Path:
        """The SQLite file that holds the collection."""
        return Path(self.database_path) / self.database_name / f"{self.collection_name}.collection"

    def connect(self, force_reset: bool = False) -> None:
        """Open the collection, making its file where it is missing."""
        if self.__dict__.get("_coll") is not None and not force_reset:
            return
        # MontyDB would rewrite its settings at every opening, under the eyes of whoever reads them.
        if not self.read_only and not self._is_set_up():
            set_storage(self.database_path, storage=self.storage, **self.storage_kwargs)
        self._coll = MontyClient(self.database_path, **self.client_kwargs)[self.database_name][self.collection_name]
        if not self.read_only:
            self.collection_file.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as connection, connection:
                connection.execute(_CREATE)
                if self.columns:
                    self._make_columns(connection)

    def update(self, docs: list[dict[str, Any]] | dict[str, Any], key: list[str] | str | None = None) -> None:
        """Insert documents, or replace those that have the same key, all or none.

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
        documents = docs if isinstance(docs, list) else [docs]
        rows = [self._row(document) for document in documents]
        with closing(self._open()) as connection, connection:
            connection.executemany(_UPSERT, rows)
            if self.columns:
                keys = (encoded for encoded, _ in rows)
                Table.of(self.columns).insert(connection, zip(keys, documents, strict=True))

    def query(self, criteria: dict[str, Any] | None = None, *args: Any, **kwargs: Any) -> Iterator[dict[str, Any]]:
        """As MontyStore.query; it decodes no document that columns rule out, or of which they tell all that is asked for."""
        asked = {name: value for name, value in kwargs.items() if value}
        fields = asked.get("properties")
        if args or asked.keys() - {"properties"} or not (fields is None or isinstance(fields, list)):
            first, others = _patiently(lambda: _begun(super(EmbeddedStore, self).query(criteria, *args, **kwargs)))
            yield from first
            yield from others
            return
        told = self._told(criteria or {}, fields) if fields and _listed_keys(criteria, self.key) is None else {}
        yield from told.values()
        for document in self._fitting(criteria or {}, told.keys()):
            yield _projected(document, ["_id", *fields]) if fields else document

    def count(self, criteria: dict[str, Any] | None = None, *args: Any, **kwargs: Any) -> int:
        """As MontyStore.count."""
        if args or any(kwargs.values()):
            return int(_patiently(lambda: super(EmbeddedStore, self).count(criteria, *args, **kwargs)))
        sure, others = self._candidates(criteria or {})
        return len(sure) + sum(1 for _ in filter(fits(criteria or {}), self._documents(others)))

    def query_one(self, criteria: dict[str, Any] | None = None, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """As MontyStore.query_one; a look-up by key reads only that document."""
        return next(self.query(criteria, *args, **kwargs), None)

    def texts(self, fields: Sequence[str]) -> list[tuple[str | None, ...]]:
        """Some fields that hold texts, of every document, dotted where they lie in another; None where there is no value."""
        if self.collection_file.is_file() and set(fields) <= set(self.columns):
            with closing(self._open()) as connection:
                table = Table.readable(connection, self.columns)
                if table == Table.of(self.columns) and table.is_complete(connection, TABLE):
                    return table.texts(connection, fields)
        return [tuple(field_of(document, name) for name in fields) for document in self._fitting({})]

    def _is_set_up(self) -> bool:
        files = (Path(self.database_path) / name for name in (".monty.storage", "monty.storage.cfg"))
        return all(file.is_file() and file.stat().st_size for file in files)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.collection_file, timeout=BUSY_SECONDS)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _row(self, document: dict[str, Any]) -> tuple[bytes, bytes]:
        identity = document[self.key]
        return _encoded_id(identity), bson.encode({**document, "_id": identity})

    def _fitting(self, criteria: dict[str, Any], known: Container[bytes] = ()) -> Iterator[dict[str, Any]]:
        """The documents that fit, but for those whose keys in the table are known."""
        keys = _listed_keys(criteria, self.key)
        if keys is not None:
            yield from self._documents([_encoded_id(key) for key in keys])
            return
        sure, others = self._candidates(criteria)
        yield from self._documents([key for key in sure if key not in known])
        yield from filter(fits(criteria), self._documents([key for key in others if key not in known]))

    def _candidates(self, criteria: dict[str, Any]) -> tuple[list[bytes], list[bytes]]:
        """Keys in the table of the documents that fit for sure, and of all others that may."""
        if not self.collection_file.is_file():
            return [], []
        with closing(self._open()) as connection:
            table = Table.readable(connection, self.columns)
            condition = necessary(criteria, table.columns) if table else None
            if table is None or condition is None:
                return [], [key for (key,) in connection.execute(f"SELECT k FROM {TABLE}")]  # noqa: S608
            let_match(connection)
            having = f"SELECT k FROM {table.name} WHERE {condition.text}"  # noqa: S608  columns and question marks
            found = [key for (key,) in connection.execute(having, condition.values)]
            others = [] if table.is_complete(connection, TABLE) else self._without_columns(connection, table)
        return (found, others) if condition.exact else ([], found + others)

    def _without_columns(self, connection: sqlite3.Connection, table: Table) -> list[bytes]:
        missing = f"SELECT k FROM {TABLE} WHERE k NOT IN (SELECT k FROM {table.name})"  # noqa: S608
        return [key for (key,) in connection.execute(missing)]

    def _told(self, criteria: dict[str, Any], fields: list[str]) -> dict[bytes, dict[str, Any]]:
        """Some fields of the documents that fit, by their keys in the table, as far as columns tell all of them."""
        table = Table.of(self.columns)
        condition = necessary(criteria, table.columns) if set(fields) <= set(table.columns) else None
        if condition is None or not condition.exact or not self.collection_file.is_file():
            return {}
        with closing(self._open()) as connection:
            let_match(connection)
            is_there = Table.readable(connection, self.columns) == table
            return table.told(connection, fields, condition) if is_there else {}

    def _documents(self, keys: Sequence[bytes]) -> Iterator[dict[str, Any]]:
        """Documents by their keys in the table, a batch at a time, so that no reader keeps writers waiting."""
        if not self.collection_file.is_file():
            return
        with closing(self._open()) as connection:
            for start in range(0, len(keys), LOOKUP_BATCH):
                some = keys[start : start + LOOKUP_BATCH]
                marks = ",".join("?" * len(some))
                rows = connection.execute(f"SELECT v FROM {TABLE} WHERE k IN ({marks})", some)  # noqa: S608
                for (content,) in rows.fetchall():
                    yield bson.decode(content)

    def _make_columns(self, connection: sqlite3.Connection) -> None:
        """The columns, also of what other versions or programs wrote."""
        table = Table.of(self.columns)
        table.create(connection, TABLE)
        if table.is_complete(connection, TABLE):
            return
        missing = connection.execute(
            f"SELECT k, v FROM {TABLE} WHERE k NOT IN (SELECT k FROM {table.name})"  # noqa: S608
        )
        table.insert(connection, ((key, bson.decode(content)) for key, content in missing))


def _encoded_id(key: str) -> bytes:
    """The key as MontyDB writes it into its table."""
    return bytes(monty_bson.id_encode(key))


def _projected(value: Any, fields: list[str]) -> Any:
    """Some fields of a document, or of each in a list; those of documents within it have dotted names."""
    if isinstance(value, list):
        return [_projected(one, fields) for one in value if isinstance(one, dict | list)]
    wanted: dict[str, list[str]] = {}
    for field in fields:
        name, _, rest = field.partition(".")
        wanted.setdefault(name, []).append(rest)
    there = {name: inner for name, inner in wanted.items() if name in value}
    return {
        name: value[name] if "" in inner else _projected(value[name], inner)
        for name, inner in there.items()
        if "" in inner or isinstance(value[name], dict | list)
    }


def _begun(documents: Iterator[dict[str, Any]]) -> tuple[list[dict[str, Any]], Iterator[dict[str, Any]]]:
    """The first document and the rest; MontyDB reads the file when the first is asked for, and not again."""
    return list(islice(documents, 1)), documents


def _patiently(read: Callable[[], Result]) -> Result:
    """Read while another process may be writing: MontyDB itself gives up after five seconds."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return read()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            logger.debug("waiting for a writer: %s", error)


def _listed_keys(criteria: dict[str, Any] | None, key: str) -> list[str] | None:
    """The keys that criteria ask for, if they ask for nothing else."""
    if not criteria or set(criteria) != {key}:
        return None
    wanted = criteria[key]
    if isinstance(wanted, str):
        return [wanted]
    if isinstance(wanted, dict) and set(wanted) == {"$in"} and all(isinstance(item, str) for item in wanted["$in"]):
        return list(dict.fromkeys(wanted["$in"]))
    return None
