"""Names and types of the fields of stored documents, as queries and tables know them."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

Scalar = type[str] | type[int] | type[float] | type[bool]
_SCALARS: tuple[Scalar, ...] = (str, int, float, bool)


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and annotations of a document's fields, nested documents opened, also those that may be absent.

    Parameters
    ----------
    model
        The class of the document.
    prefix
        In front of every name.
    """
    for name, field in model.model_fields.items():
        inner = _given(field.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, inner


def scalar_fields(model: type[BaseModel]) -> dict[str, Scalar]:
    """Dotted names of the fields that hold one text, number or truth value, with its type."""
    found = ((name, _scalar(annotation)) for name, annotation in leaves(model))
    return {name: kind for name, kind in found if kind is not None}


def nearest(name: str, known: list[str]) -> list[str]:
    """The known names most like one that is not known; all of them where none is."""
    return get_close_matches(name, known, n=3, cutoff=0.4) or known


def _given(annotation: Any) -> Any:
    """An annotation without the None that it may be."""
    if get_origin(annotation) not in {UnionType, Union}:
        return annotation
    options = [option for option in get_args(annotation) if option is not type(None)]
    return options[0] if len(options) == 1 else annotation


def _scalar(annotation: Any) -> Scalar | None:
    if get_origin(annotation) is Literal:
        return _scalar(type(get_args(annotation)[0]))
    return next((kind for kind in _SCALARS if annotation is kind), None)
