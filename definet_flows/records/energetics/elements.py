"""Energies of elemental phases: from the records of a store, or from a user's table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pymatgen.core import Element

from definet_flows.defects.host import content_hash
from definet_flows.errors import InputError
from definet_flows.records.energetics.documents import ElementRecord
from definet_flows.records.keys import KEY_LENGTH
from definet_flows.records.store import RecordStore

COLLECTION = "elements"

ElementEnergies = Mapping[str, Mapping[str, float]]
"""eV per atom by element, for each physics hash whose energies they go with."""


class ElementTable(BaseModel):
    """A user's table of elemental energies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    physics_hash: str = Field(min_length=1, description="Physics hash of the records whose energies these go with")
    source: str = Field(default="", description="Where they come from")
    elements: dict[str, float] = Field(min_length=1, description="Energy per atom of each elemental phase, eV")

    @field_validator("elements")
    @classmethod
    def _are_elements(cls, values: dict[str, float]) -> dict[str, float]:
        unknown = [symbol for symbol in values if not Element.is_valid_symbol(symbol)]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is no element's symbol")
        return values


def element_key(element: str, phase: str, physics_hash: str, kpoint_density: float | None) -> str:
    """Key of an elemental phase's record: what decides its energy.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return content_hash(["element", element, phase, physics_hash, kpoint_density], KEY_LENGTH)


def element_energies(store: RecordStore) -> dict[str, dict[str, float]]:
    """Energies of the phases that converged, the lowest of each element.

    Parameters
    ----------
    store
        With the records that ``definet-flows elements`` writes.
    """
    energies: dict[str, dict[str, float]] = {}
    for record in store.read(COLLECTION, ElementRecord, {"state": "converged"}):
        if record.energy_per_atom is not None:
            known = energies.setdefault(record.physics_hash, {})
            known[record.element] = min(record.energy_per_atom, known.get(record.element, record.energy_per_atom))
    return energies


def read_element_table(path: str | Path) -> ElementTable:
    """Read a table from YAML or JSON.

    Raises
    ------
    InputError
        One sentence that says what is wrong with the file.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"There is no table of elements {path}; check the path.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"The table of elements {path} cannot be read ({type(error).__name__}).") from error
    try:
        return ElementTable.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"The table of elements {path} cannot be used ({place}: {first['msg']}); write physics_hash and elements, such as "
            "'elements: {Mo: -10.8, S: -4.1}', in eV per atom."
        ) from error
