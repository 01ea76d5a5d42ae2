"""Kinds of documents that results are asked for, and the names of their fields."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import get_args

from definet_flows.errors import InputError
from definet_flows.records.documents import PredictionRecord, RelaxationRecord, SavingsRecord
from definet_flows.records.fields import leaves, nearest, scalar_fields

ARRAYS = "positions"
"""Kept apart from the figures; files of structures hold them."""


class Kind(StrEnum):
    """Documents that a results store holds."""

    RELAXATIONS = "relaxations"
    SAVINGS = "savings"
    PREDICTIONS = "predictions"

    @property
    def document(self) -> type[RelaxationRecord | PredictionRecord | SavingsRecord]:
        """Class of these documents."""
        if self is Kind.SAVINGS:
            return SavingsRecord
        return PredictionRecord if self is Kind.PREDICTIONS else RelaxationRecord

    @property
    def columns(self) -> list[str]:
        """Dotted names of the fields, nested documents opened: the columns of tables, in their order."""
        return [name for name, _ in leaves(self.document) if name != ARRAYS]

    @property
    def types(self) -> dict[str, type]:
        """Type of each column that holds one text, number or truth value."""
        return dict(scalar_fields(self.document))

    def choices(self, field: str) -> tuple[str, ...]:
        """The words that a field may hold."""
        return get_args(dict(leaves(self.document))[field])

    def check_field(self, name: str) -> None:
        """Refuse the name of a field that these documents do not have.

        Parameters
        ----------
        name
            Dotted; it may lie in a field that has no fixed fields of its own, such as ``engine.physics``.

        Raises
        ------
        InputError
            With the nearest names.
        """
        known = self.columns
        if not (set(_beginnings(name)) & set(known) or any(one.startswith(f"{name}.") for one in known)):
            raise InputError(f"{self.value} have no field '{name}'; did you mean {', '.join(nearest(name, known))}?")


def _beginnings(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)))
