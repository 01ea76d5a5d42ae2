"""Columns beside the documents of an embedded store, so that a query decodes only the documents that can fit.

MontyDB's table holds whole documents in BSON. A second table in the same file holds chosen fields of each. Triggers forget the
fields of a document that anyone else writes, and documents without fields are always read: the columns may be incomplete, but
never wrong.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMNS: Mapping[str, Sequence[str]] = {
    "relaxations": (
        *("campaign", "configuration_id", "cluster_id", "label", "n_defects", "charge", "kind", "start", "state"),
        *("ionic_steps", "max_force", "energy", "core_hours", "exposure", "checkpoint_hash", "guard_hash"),
        *("host.name", "host.fingerprint", "engine.name", "engine.physics_hash"),
    ),
    "predictions": (
        *("campaign", "configuration_id", "cluster_id", "label", "n_defects", "exposure", "passed", "max_displacement"),
        *("checkpoint_hash", "guard_hash", "reference_hash", "host.name", "host.fingerprint"),
    ),
    "savings": (
        *("campaign", "configuration_id", "label", "exposure", "pair_state", "same_minimum", "steps_saved", "fallback"),
        *("checkpoint_hash", "guard_hash", "physics_hash"),
    ),
}
"""Fields by which each collection is searched."""

TABLE = "figures"
MOST_VALUES = 500
"""A list of values longer than this is left to the documents themselves."""

_COMPARED = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_EVENTS = {"insert": "NEW", "update": "OLD", "delete": "OLD"}
_LARGEST = 2**63

Condition = tuple[str, list[Any]]


def create(connection: sqlite3.Connection, documents: str, columns: Sequence[str]) -> None:
    """Make the table of columns and its triggers where they are missing.

    Parameters
    ----------
    connection
        Of the collection's file.
    documents
        Name of the table of documents; its key is ``k``.
    columns
        Names of the fields, dotted where they lie in another.
    """
    quoted = "".join(f', "{name}"' for name in columns)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE}(k PRIMARY KEY{quoted}) WITHOUT ROWID")
    for event, row in _EVENTS.items():
        forget = f"DELETE FROM {TABLE} WHERE k = {row}.k"  # noqa: S608  names of our own
        name = f"forget_at_{event}"
        connection.execute(f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} ON {documents} BEGIN {forget}; END")


def insert(
    connection: sqlite3.Connection, columns: Sequence[str], documents: Iterable[tuple[bytes, Mapping[str, Any]]]
) -> None:
    """Write the columns of documents, after the documents themselves.

    Parameters
    ----------
    connection
        In the transaction that wrote the documents.
    columns
        As for `create`.
    documents
        Key in the table, and content.
    """
    rows = ((key, [_field(document, name) for name in columns]) for key, document in documents)
    marks = ", ".join("?" * (1 + len(columns)))
    connection.executemany(
        f"INSERT OR REPLACE INTO {TABLE} VALUES ({marks})",  # noqa: S608  nothing but question marks
        [(key, *values) for key, values in rows if all(_is_plain(value) for value in values)],
    )


def necessary(criteria: Mapping[str, Any], columns: Sequence[str]) -> Condition | None:
    """What the columns of every document that fits must satisfy; None where they tell nothing.

    Parameters
    ----------
    criteria
        MongoDB's; what is not understood here is left to be asked of the documents.
    columns
        As for `create`.
    """
    found: list[Condition | None] = []
    for name, wanted in criteria.items():
        if name == "$and":
            found += [necessary(each, columns) for each in wanted]
        elif name == "$or":
            found.append(_any_of([necessary(each, columns) for each in wanted]))
        elif name in columns:
            found += [_condition(f'"{name}"', operator, value) for operator, value in _operators(wanted)]
    return _joined(" AND ", [one for one in found if one is not None])


def _operators(wanted: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(wanted, dict):
        return wanted.items() if all(name.startswith("$") for name in wanted) else ()
    return [("$in", [wanted])]


def _condition(column: str, operator: str, value: Any) -> Condition | None:
    if operator in _COMPARED:
        known = isinstance(value, str | int | float) and _is_plain(value)
        return (f"{column} {_COMPARED[operator]} ?", [value]) if known else None
    if operator in {"$eq", "$ne"}:
        operator, value = {"$eq": "$in", "$ne": "$nin"}[operator], [value]
    if operator not in {"$in", "$nin"} or len(value) > MOST_VALUES or not all(_is_plain(one) for one in value):
        return None
    values = [one for one in value if one is not None]
    marks = f"{column} {{}} ({', '.join('?' * len(values))})"
    if operator == "$in":
        absent = f"{column} IS NULL OR " if None in value else ""
        return f"({absent}{marks.format('IN')})", values
    if any(one in {0, 1} for one in values):
        return None  # the columns do not tell false and true from 0 and 1
    absent = f"{column} IS NOT NULL AND " if None in value else f"{column} IS NULL OR "
    return f"({absent}{marks.format('NOT IN')})", values


def _any_of(branches: list[Condition | None]) -> Condition | None:
    known = [one for one in branches if one is not None]
    return _joined(" OR ", known) if len(known) == len(branches) else None


def _joined(word: str, conditions: Sequence[Condition]) -> Condition | None:
    if not conditions:
        return None
    return f"({word.join(text for text, _ in conditions)})", [value for _, values in conditions for value in values]


def _field(document: Mapping[str, Any], name: str) -> Any:
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _is_plain(value: Any) -> bool:
    """Whether SQLite holds and compares it as MongoDB does."""
    if isinstance(value, float):
        return not math.isnan(value)
    return value is None or isinstance(value, str) or (isinstance(value, int) and -_LARGEST <= value < _LARGEST)
