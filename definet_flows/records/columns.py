"""Columns beside the documents of an embedded store, so that a query decodes only the documents that can fit.

MontyDB's table holds whole documents in BSON. A second table in the same file holds chosen fields of each. Triggers forget the
fields of a document that anyone else writes, and documents without fields are always read: the columns may be incomplete, but
never wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from definet_flows.defects.host import content_hash
from definet_flows.records.conditions import Condition, held, is_plain
from definet_flows.records.documents import PredictionRecord, RelaxationRecord, SavingsRecord
from definet_flows.records.fields import scalar_fields

COLUMNS: Mapping[str, Sequence[str]] = {
    "relaxations": tuple(scalar_fields(RelaxationRecord)),
    "predictions": tuple(scalar_fields(PredictionRecord)),
    "savings": tuple(scalar_fields(SavingsRecord)),
}
"""Fields by which each collection is searched: all that hold one value."""

_PREFIX = "columns_"
_ENCODING = "truth values as bytes"
_EARLIER = "figures"  # the name of the table in version 1 of the documents
_INDEXED = ("last_updated", "key")
"""Of a narrow index: which documents there are, and whether one has changed, is asked before every question about savings."""

_EVENTS = {"insert": "NEW", "update": "OLD", "delete": "OLD"}


@dataclass(frozen=True)
class Table:
    """A table of columns.

    Parameters
    ----------
    name
        Its name, that of its columns' hash, so that two versions that keep different columns do not share one.
    columns
        Names of the fields, dotted where they lie in another.
    """

    name: str
    columns: tuple[str, ...]

    @classmethod
    def of(cls, columns: Sequence[str]) -> Table:
        """The table of these columns."""
        return cls(_PREFIX + content_hash([_ENCODING, *columns], 8), tuple(columns))

    @classmethod
    def readable(cls, connection: sqlite3.Connection, columns: Sequence[str]) -> Table | None:
        """The table of these columns, else one that another version left; None where there is none."""
        there = _tables(connection)
        wanted = cls.of(columns)
        if wanted.name in there or not there:
            return wanted if there else None
        described = connection.execute(f'PRAGMA table_info("{there[0]}")')
        return cls(there[0], tuple(row[1] for row in described if row[1] != "k"))

    def create(self, connection: sqlite3.Connection, documents: str) -> None:
        """Make the table and its triggers where they are missing, and drop those of other versions.

        Parameters
        ----------
        connection
            Of the collection's file.
        documents
            Name of the table of documents; its key is ``k``.
        """
        for other in _tables(connection):
            if other != self.name:
                self._drop(connection, other)
        quoted = "".join(f', "{name}"' for name in self.columns)
        connection.execute(f"CREATE TABLE IF NOT EXISTS {self.name}(k PRIMARY KEY{quoted}) WITHOUT ROWID")
        if indexed := ", ".join(f'"{name}"' for name in _INDEXED if name in self.columns):
            connection.execute(f"CREATE INDEX IF NOT EXISTS {self.name}_index ON {self.name}({indexed})")
        for event, row in _EVENTS.items():
            forget = f"DELETE FROM {self.name} WHERE k = {row}.k"  # noqa: S608  names of our own
            name = f"{self.name}_forget_at_{event}"
            connection.execute(f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} ON {documents} BEGIN {forget}; END")

    def insert(self, connection: sqlite3.Connection, documents: Iterable[tuple[bytes, Mapping[str, Any]]]) -> None:
        """Write the columns of documents, after the documents themselves.

        Parameters
        ----------
        connection
            In the transaction that wrote the documents.
        documents
            Key in the table, and content.
        """
        rows = ((key, [field_of(document, name) for name in self.columns]) for key, document in documents)
        marks = ", ".join("?" * (1 + len(self.columns)))
        connection.executemany(
            f"INSERT OR REPLACE INTO {self.name} VALUES ({marks})",  # noqa: S608  nothing but question marks
            ((key, *map(held, values)) for key, values in rows if all(is_plain(value) for value in values)),
        )

    def is_complete(self, connection: sqlite3.Connection, documents: str) -> bool:
        """Whether it holds the columns of every document; arguments as for `create`."""
        counts = f"SELECT (SELECT count(*) FROM {documents}), (SELECT count(*) FROM {self.name})"  # noqa: S608
        there, here = connection.execute(counts).fetchone()
        return bool(there == here)  # no columns outlive their document

    def told(
        self, connection: sqlite3.Connection, fields: Sequence[str], condition: Condition
    ) -> dict[bytes, dict[str, Any]]:
        """Some fields of the documents that satisfy a condition, by their keys in the table.

        Parameters
        ----------
        connection
            Of the collection's file.
        fields
            Names of columns. A document that lacks one, or has no value in it, is left out: the column does not tell which.
        condition
            On the columns.
        """
        quoted = ", ".join(f'"{name}"' for name in fields)
        known = " AND ".join(f'"{name}" IS NOT NULL' for name in fields)
        rows = connection.execute(
            f"SELECT k, {quoted} FROM {self.name} WHERE {condition.text} AND {known}",  # noqa: S608  names of our own
            condition.values,
        )
        if any("." in name for name in fields):
            return {key: _nested(fields, values) for key, *values in rows}
        return {key: dict(zip(fields, map(_given, values), strict=True)) for key, *values in rows}

    def texts(self, connection: sqlite3.Connection, fields: Sequence[str]) -> list[tuple[str | None, ...]]:
        """Some fields that hold texts, of every document; arguments as for `told`."""
        quoted = ", ".join(f'"{name}"' for name in fields)
        return connection.execute(f"SELECT {quoted} FROM {self.name}").fetchall()  # noqa: S608  names of our own

    @staticmethod
    def _drop(connection: sqlite3.Connection, name: str) -> None:
        prefix = "" if name == _EARLIER else f"{name}_"
        for event in _EVENTS:
            connection.execute(f"DROP TRIGGER IF EXISTS {prefix}forget_at_{event}")
        connection.execute(f"DROP TABLE {name}")


def field_of(document: Mapping[str, Any], name: str) -> Any:
    """The value under a dotted name; None where there is none, a list where the name leads into one."""
    value: Any = document
    for part in name.split("."):
        if isinstance(value, list):
            return value  # any of its documents may answer
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Tables of columns, of this version and others."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [name for name in names if name == _EARLIER or name.startswith(_PREFIX)]


def _given(value: Any) -> Any:
    """A value as its document holds it, from its column."""
    return value == b"\x01" if isinstance(value, bytes) else value


def _nested(fields: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Values under dotted names as documents in documents."""
    document: dict[str, Any] = {}
    for name, value in zip(fields, values, strict=True):
        *outer, last = name.split(".")
        inner = document
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = _given(value)
    return document
