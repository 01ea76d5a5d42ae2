"""MongoDB criteria written by hand, checked before a store is asked: a field that no document has would fit nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from definet_flows.errors import InputError
from definet_flows.records.fields import nearest
from definet_flows.records.query.kinds import Kind
from definet_flows.records.store import Criteria

JOINING = ("$and", "$or", "$nor")
OPERATORS = (
    *("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$regex", "$options"),
    *("$elemMatch", "$all", "$size", "$not"),
)
"""Operators whose answers are the same from a directory and from a database."""


def checked(kind: Kind, where: Any) -> Criteria:
    """Criteria on documents of a kind, if they can be asked.

    Raises
    ------
    InputError
        If a field or an operator is not known, or a value is not of the form that the operator needs.
    """
    if not isinstance(where, Mapping):
        raise InputError(f'A query is a mapping such as {{"state": "converged"}}, not {where!r}.')
    for name, wanted in where.items():
        if name in JOINING:
            _check_branches(kind, name, wanted)
        elif str(name).startswith("$"):
            raise _unknown(name)
        else:
            kind.check_field(name)
            _check_wanted(name, wanted)
    return dict(where)


def _check_branches(kind: Kind, name: str, branches: Any) -> None:
    if not isinstance(branches, list | tuple) or not branches:
        raise InputError(f"{name} needs a list of queries, not {branches!r}.")
    for branch in branches:
        checked(kind, branch)


def _check_wanted(field: str, wanted: Any) -> None:
    if not isinstance(wanted, Mapping) or not any(str(name).startswith("$") for name in wanted):
        return
    for name, value in wanted.items():
        if name not in OPERATORS:
            raise _unknown(name)
        if name in {"$in", "$nin", "$all"} and not isinstance(value, list | tuple):
            raise InputError(f"{name} of '{field}' needs a list of values, not {value!r}.")
        if name in {"$not", "$elemMatch"} and not isinstance(value, Mapping):
            raise InputError(f"{name} of '{field}' needs a query such as {{'$gt': 1}}, not {value!r}.")
        if name == "$regex":
            _check_pattern(field, value)
        if name == "$not" or (name == "$elemMatch" and all(str(one).startswith("$") for one in value)):
            _check_wanted(field, value)


def _check_pattern(field: str, pattern: Any) -> None:
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise InputError(f"{pattern!r} is no regular expression to compare '{field}' with ({error}).") from error


def _unknown(name: Any) -> InputError:
    near = nearest(str(name), [*OPERATORS, *JOINING])
    return InputError(f"'{name}' is no operator of queries here; did you mean {', '.join(near)}?")
