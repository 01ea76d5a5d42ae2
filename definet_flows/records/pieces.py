"""Long lists of a document in pieces of their own, because a database takes no document of more than 16 MB."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from definet_flows.records.errors import StoreContentError

PIECE = 50_000
"""Longest list that a document itself holds, and longest piece; about 1.5 MB of configuration ids."""

POINTERS = "pieces"
_VALUES = "values"


def cut(document: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A document without its long lists, and the pieces of these.

    Parameters
    ----------
    document
        Its ``key`` begins the keys of the pieces, their content ends them: pieces that are there already stay as they are.

    Returns
    -------
    tuple
        The document, which says in its field `POINTERS` where the pieces are, and the documents of the pieces.
    """
    long = {name: value for name, value in document.items() if isinstance(value, list) and len(value) > PIECE}
    pieces = {name: [_piece(document["key"], part) for part in _parts(value)] for name, value in long.items()}
    if not pieces:
        return document, []
    short = {name: value for name, value in document.items() if name not in long}
    pointers = {name: [piece["key"] for piece in parts] for name, parts in pieces.items()}
    return {**short, POINTERS: pointers}, [piece for parts in pieces.values() for piece in parts]


def joined(document: Mapping[str, Any], find: Callable[[list[str]], Iterable[Mapping[str, Any]]]) -> dict[str, Any]:
    """A document as it was before `cut`.

    Parameters
    ----------
    document
        As it was stored.
    find
        Gives the documents of some keys.

    Raises
    ------
    StoreContentError
        If a piece is missing.
    """
    content = {name: value for name, value in document.items() if name != POINTERS}
    for name, keys in document.get(POINTERS, {}).items():
        parts = {piece["key"]: piece[_VALUES] for piece in find(keys)}
        if lost := [key for key in keys if key not in parts]:
            raise StoreContentError(
                f"{len(lost)} of {len(keys)} pieces of the {name} of document {document['key']} are missing: "
                "restore the collection of arrays from the backup that the others came from."
            )
        content[name] = [value for key in keys for value in parts[key]]
    return content


def _parts(values: list[Any]) -> list[list[Any]]:
    return [values[start : start + PIECE] for start in range(0, len(values), PIECE)]


def _piece(key: str, values: list[str]) -> dict[str, Any]:
    content = hashlib.blake2b("\n".join(values).encode(), digest_size=8).hexdigest()
    return {"key": f"{key}-{content}", _VALUES: values}
