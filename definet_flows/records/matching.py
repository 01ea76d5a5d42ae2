"""Whether a decoded document fits criteria: MontyDB's answer, after a quick look whether it can.

MontyDB's own takes many times longer than decoding the document did, and goes wrong on ``$elemMatch`` where elements are lists,
texts or documents; that operator is therefore answered here.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from montydb.engine.queries import QueryFilter

Document = Mapping[str, Any]
Check = Callable[[Document], bool]

_COMPARED = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
_PLAIN = (str, int, float)
_UNDERSTOOD = (*_PLAIN, list, dict, type(None))


def fits(criteria: Document) -> Check:
    """A check that the documents that fit pass, and no others.

    Parameters
    ----------
    criteria
        MongoDB's.
    """
    likely, exactly = may_fit(criteria), _exactly(criteria)
    return lambda document: likely(document) and exactly(document)


def _exactly(criteria: Document) -> Check:
    plain: dict[str, Any] = {}
    checks: list[Check] = []
    for name, wanted in criteria.items():
        if name in _JOINED:
            branches = [_exactly(each) for each in wanted]
            checks.append(_JOINED[name](branches))
        elif isinstance(wanted, dict) and "$elemMatch" in wanted:
            checks.append(_any_element(name, wanted["$elemMatch"]))
            if rest := {word: value for word, value in wanted.items() if word != "$elemMatch"}:
                plain[name] = rest
        elif isinstance(wanted, dict) and "$elemMatch" in (inner := wanted.get("$not", {})):
            checks.append(_none_of([_exactly({name: inner})]))
            if rest := {word: value for word, value in wanted.items() if word != "$not"}:
                plain[name] = rest
        else:
            plain[name] = wanted
    return _all_of([*checks, QueryFilter(plain)] if plain else checks)


def _any_element(name: str, wanted: Document) -> Check:
    """Whether one element of the list in a field fits all that is wanted of it."""
    parts, element_fits = name.split("."), _element(wanted)
    return lambda document: any(
        any(element_fits(one) for one in value)
        for value in _values(document, parts, opened=False)
        if isinstance(value, list)
    )


def _element(wanted: Document) -> Callable[[Any], bool]:
    """A check of an element, by operators on itself or by criteria on its fields."""
    if not _is_of_operators(wanted):
        inner = _exactly(wanted)
        return lambda one: isinstance(one, Mapping) and inner(one)
    if "$elemMatch" in wanted:
        first, rest = _element(wanted["$elemMatch"]), {k: v for k, v in wanted.items() if k != "$elemMatch"}
        others = _element(rest) if rest else _everything
        return lambda one: isinstance(one, list) and any(map(first, one)) and others(one)
    asked = QueryFilter({"one": wanted})
    # A list that is an element is compared as a whole, not opened once more.
    return lambda one: bool(asked({"one": [one] if isinstance(one, list) else one}))


def _is_of_operators(wanted: Document) -> bool:
    return any(name.startswith("$") and name not in _JOINED for name in wanted)


def _everything(_: Any) -> bool:
    return True


def may_fit(criteria: Document) -> Check:
    """A check that every document that fits passes; what it does not understand, it lets pass.

    Parameters
    ----------
    criteria
        MongoDB's.
    """
    checks = [check for name, wanted in criteria.items() if (check := _of_entry(name, wanted)) is not None]
    return lambda document: all(check(document) for check in checks)


def _of_entry(name: str, wanted: Any) -> Check | None:
    if name == "$and":
        return _all_of([may_fit(each) for each in wanted])
    if name == "$or":
        return _any_of([may_fit(each) for each in wanted])
    test = None if name.startswith("$") else _of_values(wanted)
    if test is None:
        return None
    parts = name.split(".")
    return lambda document: any(test(value) or not isinstance(value, _UNDERSTOOD) for value in _values(document, parts))


def _of_values(wanted: Any) -> Callable[[Any], bool] | None:
    """A test that at least one of the values of a field must pass; None where there is nothing to test."""
    if isinstance(wanted, dict):
        if "$options" in wanted or not all(name.startswith("$") for name in wanted):
            return None
        tests = [_of_operator(name, value) for name, value in wanted.items()]
        # Of several operators, different elements of a list may answer to each: one of them is test enough.
        return next((test for test in tests if test is not None), None)
    return _of_operator("$in", [wanted])


def _of_operator(name: str, wanted: Any) -> Callable[[Any], bool] | None:
    if name == "$eq":
        name, wanted = "$in", [wanted]
    if name == "$in" and all(isinstance(one, _PLAIN) and one == one for one in wanted):  # noqa: PLR0124  NaN
        known = frozenset(wanted)
        return lambda value: isinstance(value, _PLAIN) and value in known
    if name in _COMPARED and isinstance(wanted, _PLAIN):
        return _comparison(_COMPARED[name], wanted)
    if name == "$regex" and isinstance(wanted, str):
        found = re.compile(wanted).search
        return lambda value: isinstance(value, str) and found(value) is not None
    if name == "$elemMatch" and isinstance(wanted, dict):
        inner = _of_element(wanted)
        return lambda value: isinstance(value, list) and any(inner(one) for one in value)
    return None


def _comparison(compared: Callable[[Any, Any], bool], wanted: Any) -> Callable[[Any], bool]:
    kinds = str if isinstance(wanted, str) else (int, float)
    return lambda value: isinstance(value, kinds) and (compared(value, wanted) or value != value)  # noqa: PLR0124  NaN


def _of_element(wanted: Document) -> Callable[[Any], bool]:
    """A test of one element of a list, by operators on itself or by criteria on its fields."""
    if not _is_of_operators(wanted):
        inner = may_fit(wanted)
        return lambda one: isinstance(one, Mapping) and inner(one)
    tests = [test for name, value in wanted.items() if (test := _of_operator(name, value)) is not None]
    return lambda one: all(test(one) or (isinstance(one, list) and any(map(test, one))) for test in tests)


def _values(value: Any, parts: list[str], *, opened: bool = True) -> Iterator[Any]:
    """What a dotted name stands for: a value, and where it is a list that is `opened`, also its elements."""
    if not parts:
        yield value
        if opened and isinstance(value, list):
            yield from value
    elif isinstance(value, Mapping):
        if parts[0] in value:
            yield from _values(value[parts[0]], parts[1:], opened=opened)
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, Mapping):
                yield from _values(one, parts, opened=opened)
        if parts[0].isdigit() and int(parts[0]) < len(value):
            yield from _values(value[int(parts[0])], parts[1:], opened=opened)


def _all_of(checks: list[Check]) -> Check:
    return lambda document: all(check(document) for check in checks)


def _any_of(checks: list[Check]) -> Check:
    return lambda document: any(check(document) for check in checks)


def _none_of(checks: list[Check]) -> Check:
    return lambda document: not any(check(document) for check in checks)


_JOINED = {"$and": _all_of, "$or": _any_of, "$nor": _none_of}
