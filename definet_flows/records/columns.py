"""Columns beside the documents of an embedded store, so that a query decodes only the documents that can fit.

MontyDB's table holds whole documents in BSON. A second table in the same file holds chosen fields of each. Triggers forget the
fields of a document that anyone else writes, and documents without fields are always read: the columns may be incomplete, but
never wrong.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from definet_flows.defects.host import content_hash
from definet_flows.records.documents import PredictionRecord, RelaxationRecord, SavingsRecord
from definet_flows.records.fields import scalar_fields

COLUMNS: Mapping[str, Sequence[str]] = {
    "relaxations": tuple(scalar_fields(RelaxationRecord)),
    "predictions": tuple(scalar_fields(PredictionRecord)),
    "savings": tuple(scalar_fields(SavingsRecord)),
}
"""Fields by which each collection is searched: all that hold one value."""

MOST_VALUES = 500
"""A list of values longer than this is left to the documents themselves."""

_PREFIX = "columns_"
_ENCODING = "truth values as bytes"
_EARLIER = "figures"  # the name of the table in version 1 of the documents
_COMPARED = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_EVENTS = {"insert": "NEW", "update": "OLD", "delete": "OLD"}
_LARGEST = 2**63


class Condition(NamedTuple):
    """What the columns of a document must satisfy.

    Parameters
    ----------
    text
        SQL with question marks.
    values
        What these stand for.
    exact
        Every document that satisfies it fits; otherwise it may.
    """

    text: str
    values: list[Any]
    exact: bool = True


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
        rows = ((key, [_field(document, name) for name in self.columns]) for key, document in documents)
        marks = ", ".join("?" * (1 + len(self.columns)))
        connection.executemany(
            f"INSERT OR REPLACE INTO {self.name} VALUES ({marks})",  # noqa: S608  nothing but question marks
            ((key, *map(_held, values)) for key, values in rows if all(_is_plain(value) for value in values)),
        )

    @staticmethod
    def _drop(connection: sqlite3.Connection, name: str) -> None:
        prefix = "" if name == _EARLIER else f"{name}_"
        for event in _EVENTS:
            connection.execute(f"DROP TRIGGER IF EXISTS {prefix}forget_at_{event}")
        connection.execute(f"DROP TABLE {name}")


def let_match(connection: sqlite3.Connection) -> None:
    """Teach a connection the regular expressions that `necessary` may ask it for."""
    connection.create_function("REGEXP", 2, _matches, deterministic=True)


def necessary(criteria: Mapping[str, Any], columns: Sequence[str]) -> Condition | None:
    """What the columns of every document that fits must satisfy; None where they tell nothing.

    Parameters
    ----------
    criteria
        MongoDB's; what is not understood here is left to be asked of the documents.
    columns
        Names of the fields that there are columns of.
    """
    found: list[Condition | None] = []
    for name, wanted in criteria.items():
        if name == "$and":
            found += [necessary(each, columns) for each in wanted]
        elif name == "$or":
            found.append(_any_of([necessary(each, columns) for each in wanted]))
        else:
            asked = _operators(wanted) if name in columns else []
            found += [_condition(f'"{name}"', operator, value) for operator, value in asked] or [None]
    known = [one for one in found if one is not None]
    return _joined(" AND ", known, exact=len(known) == len(found))


def texts(connection: sqlite3.Connection, table: Table, fields: Sequence[str]) -> dict[bytes, dict[str, str]]:
    """Some fields of the documents by their keys in the table, of those documents whose fields are all texts.

    Parameters
    ----------
    connection
        Of the collection's file.
    table
        Its columns.
    fields
        Names at the top level of the documents.
    """
    if not set(fields) <= set(table.columns):
        return {}
    quoted = ", ".join(f'"{name}"' for name in fields)
    rows = connection.execute(f"SELECT k, {quoted} FROM {table.name}")  # noqa: S608  names of our own
    return {
        key: dict(zip(fields, values, strict=True)) for key, *values in rows if all(isinstance(v, str) for v in values)
    }


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Tables of columns, of this version and others."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [name for name in names if name == _EARLIER or name.startswith(_PREFIX)]


def _matches(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.search(pattern, value) is not None


def _operators(wanted: Any) -> list[tuple[str, Any]]:
    if not isinstance(wanted, dict):
        return [("$in", [wanted])]
    if "$options" in wanted or not all(name.startswith("$") for name in wanted):
        return []
    return list(wanted.items())


def _condition(column: str, operator: str, value: Any) -> Condition | None:
    if operator in _COMPARED and value is not None and _is_plain(value):
        # Only values of one type are compared, as MongoDB does.
        return Condition(f"({_typed(column, value)} AND {column} {_COMPARED[operator]} ?)", [_held(value)])
    if operator == "$exists" and not value:
        return Condition(f"{column} IS NULL", [], exact=False)
    if operator == "$regex" and isinstance(value, str):
        return Condition(f"{column} REGEXP ?", [value])
    if operator in {"$eq", "$ne"}:
        operator, value = {"$eq": "$in", "$ne": "$nin"}[operator], [value]
    return _listed(column, operator, value) if operator in {"$in", "$nin"} else None


def _listed(column: str, operator: str, wanted: Sequence[Any]) -> Condition | None:
    """Whether the value is among those of a list, or none of them."""
    if len(wanted) > MOST_VALUES or not all(_is_plain(one) for one in wanted):
        return None
    values = [_held(one) for one in wanted if one is not None]
    marks = f"{column} {{}} ({', '.join('?' * len(values))})"
    if operator == "$in":
        absent = f"{column} IS NULL OR " if None in wanted else ""
        return Condition(f"({absent}{marks.format('IN')})", values)
    absent = f"{column} IS NOT NULL AND " if None in wanted else f"{column} IS NULL OR "
    return Condition(f"({absent}{marks.format('NOT IN')})", values)


def _typed(column: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"typeof({column}) = 'blob'"
    return f"typeof({column}) = 'text'" if isinstance(value, str) else f"typeof({column}) IN ('integer', 'real')"


def _any_of(branches: list[Condition | None]) -> Condition | None:
    known = [one for one in branches if one is not None]
    return _joined(" OR ", known, exact=True) if len(known) == len(branches) else None


def _joined(word: str, conditions: Sequence[Condition], *, exact: bool) -> Condition | None:
    if not conditions:
        return None
    values = [value for one in conditions for value in one.values]
    text = f"({word.join(one.text for one in conditions)})"
    return Condition(text, values, exact and all(one.exact for one in conditions))


def _field(document: Mapping[str, Any], name: str) -> Any:
    value: Any = document
    for part in name.split("."):
        if isinstance(value, list):
            return value  # any of its documents may answer
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _held(value: Any) -> Any:
    """A value as its column holds it: a truth value is no number to MongoDB, and would be one to SQLite."""
    return bytes([value]) if isinstance(value, bool) else value


def _is_plain(value: Any) -> bool:
    """Whether SQLite holds and compares it as MongoDB does."""
    if isinstance(value, float):
        return not math.isnan(value)
    return value is None or isinstance(value, str) or (isinstance(value, int) and -_LARGEST <= value < _LARGEST)
