"""MongoDB criteria as conditions in SQL on the columns beside the documents of an embedded store."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MOST_VALUES = 500
"""Of a list within a statement; a longer one is handed over in one piece if it holds texts, else left to the documents."""

_COMPARED = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
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


EVERYTHING = Condition("1", [])


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
    if not found:
        return EVERYTHING
    known = [one for one in found if one is not None]
    return _joined(" AND ", known, exact=len(known) == len(found))


def held(value: Any) -> Any:
    """A value as its column holds it: a truth value is no number to MongoDB, and would be one to SQLite."""
    return bytes([value]) if isinstance(value, bool) else value


def is_plain(value: Any) -> bool:
    """Whether SQLite holds and compares it as MongoDB does."""
    if isinstance(value, float):
        return not math.isnan(value)
    return value is None or isinstance(value, str) or (isinstance(value, int) and -_LARGEST <= value < _LARGEST)


def _matches(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.search(pattern, value) is not None


def _operators(wanted: Any) -> list[tuple[str, Any]]:
    if not isinstance(wanted, dict):
        return [("$in", [wanted])]
    if "$options" in wanted or not all(name.startswith("$") for name in wanted):
        return []
    return list(wanted.items())


def _condition(column: str, operator: str, value: Any) -> Condition | None:
    if operator in _COMPARED and value is not None and is_plain(value):
        # Only values of one type are compared, as MongoDB does.
        return Condition(f"({_typed(column, value)} AND {column} {_COMPARED[operator]} ?)", [held(value)])
    if operator == "$exists" and not value:
        return Condition(f"{column} IS NULL", [], exact=False)
    if operator == "$regex" and isinstance(value, str):
        return Condition(f"{column} REGEXP ?", [value])
    if operator in {"$eq", "$ne"}:
        operator, value = {"$eq": "$in", "$ne": "$nin"}[operator], [value]
    return _listed(column, operator, value) if operator in {"$in", "$nin"} else None


def _listed(column: str, operator: str, wanted: Sequence[Any]) -> Condition | None:
    """Whether the value is among those of a list, or none of them."""
    values = [held(one) for one in wanted if one is not None]
    among = f"({', '.join('?' * len(values))})"
    if len(values) > MOST_VALUES:
        if not all(isinstance(one, str) and "\0" not in one for one in values):
            return None
        among, values = "(SELECT value FROM json_each(?))", [json.dumps(values)]
    elif not all(is_plain(one) for one in wanted):
        return None
    if operator == "$in":
        absent = f"{column} IS NULL OR " if None in wanted else ""
        return Condition(f"({absent}{column} IN {among})", values)
    absent = f"{column} IS NOT NULL AND " if None in wanted else f"{column} IS NULL OR "
    return Condition(f"({absent}{column} NOT IN {among})", values)


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
