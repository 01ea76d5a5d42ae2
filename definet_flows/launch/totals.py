"""Sums over a campaign's hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel


def added(members: Sequence[BaseModel]) -> dict[str, Any]:
    """The fields of several documents that hold numbers, or numbers by name, each added up.

    Parameters
    ----------
    members
        At least one, all of one class. A field that holds anything else in any of them is left out.
    """
    fields = {name: [getattr(one, name) for one in members] for name in type(members[0]).model_fields}
    numbers = {name: sum(found) for name, found in fields.items() if all(isinstance(one, int | float) for one in found)}
    named = {name: found for name, found in fields.items() if all(isinstance(one, Mapping) for one in found)}
    return {**numbers, **{name: _by_name(found) for name, found in named.items()}}


def _by_name(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for each in counts for name in each)
    return {name: sum(each.get(name, 0) for each in counts) for name in names}
