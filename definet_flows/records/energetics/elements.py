"""Energies of elemental phases and of competing compounds: from the records of a store, or from a user's table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pymatgen.core import Composition, Element

from definet_flows.defects.host import content_hash
from definet_flows.errors import InputError
from definet_flows.records.documents import EngineSummary
from definet_flows.records.energetics.documents import ElementRecord
from definet_flows.records.energetics.level import level_hash
from definet_flows.records.keys import KEY_LENGTH
from definet_flows.records.store import RecordStore

COLLECTION = "elements"


@dataclass(frozen=True)
class References:
    """What chemical potentials are counted from, all of one level of theory.

    Parameters
    ----------
    elements
        Energy of each elemental phase, eV per atom.
    compounds
        Energy of each compound that may form beside the host, eV per formula unit, by formula.
    """

    elements: dict[str, float] = field(default_factory=dict)
    compounds: dict[str, float] = field(default_factory=dict)


class ElementTable(BaseModel):
    """A user's table of the energies of elemental phases and of competing compounds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    physics_hash: str = Field(min_length=1, description="Physics hash of the records whose energies these go with")
    source: str = Field(default="", description="Where they come from")
    elements: dict[str, float] = Field(default_factory=dict, description="Energy of each elemental phase, eV per atom")
    compounds: dict[str, float] = Field(
        default_factory=dict, description="Energy of each competing compound, eV per formula unit as it is written"
    )

    @field_validator("elements")
    @classmethod
    def _are_elements(cls, values: dict[str, float]) -> dict[str, float]:
        unknown = [symbol for symbol in values if not Element.is_valid_symbol(symbol)]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is no element's symbol")
        return values

    @field_validator("compounds")
    @classmethod
    def _are_compounds(cls, values: dict[str, float]) -> dict[str, float]:
        for formula in values:
            if len(atoms_in(formula)) < 2:
                raise ValueError(f"{formula} is no compound; write a formula of two elements or more, such as WS2")
        return values


def atoms_in(formula: str) -> dict[str, int]:
    """Number of atoms of each element in a formula, such as WS2; empty for what is none."""
    try:
        amounts = Composition(formula, strict=True).get_el_amt_dict()
    except ValueError:
        return {}
    whole = all(float(number).is_integer() for number in amounts.values())
    return {symbol: int(number) for symbol, number in amounts.items()} if whole else {}


def element_key(element: str, phase: str, level: str, kpoint_density: float | None) -> str:
    """Key of the record of an elemental phase or a compound: what decides its energy.

    Parameters
    ----------
    element, phase
        Symbol or formula, and name of the phase.
    level
        Of `level_hash`.
    kpoint_density
        Its own, Å³; None for engines without k-points.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return content_hash(["element", element, phase, level, kpoint_density], KEY_LENGTH)


def converged_phases(store: RecordStore) -> list[ElementRecord]:
    """The phases of a store that ended with an energy.

    Parameters
    ----------
    store
        With the records that ``definet-flows elements`` writes.
    """
    return list(store.read(COLLECTION, ElementRecord, {"state": "converged"}))


def references_for(
    engine: EngineSummary, phases: Iterable[ElementRecord], table: ElementTable | None = None
) -> References:
    """What goes with the energies of an engine: the lowest phase of each element and compound of its level.

    Of a phase that was relaxed with several densities of k-points the finest counts.

    Parameters
    ----------
    engine
        Of the relaxations.
    phases
        Of `converged_phases`.
    table
        What it says takes the place of records, where it is of the engine's physics hash.
    """
    found, level = References(), level_hash(engine.physics)
    mine = (one for one in phases if level_hash(one.engine.physics) == level)
    densest = {(one.element, one.phase): one for one in sorted(mine, key=lambda one: one.kpoint_density or 0.0)}
    for phase in densest.values():
        if phase.energy_per_atom is not None:
            atoms = atoms_in(phase.element)
            known = found.elements if len(atoms) == 1 else found.compounds
            energy = phase.energy_per_atom * sum(atoms.values())
            known[phase.element] = min(energy, known.get(phase.element, energy))
    if table is not None and table.physics_hash == engine.physics_hash:
        found.elements.update(table.elements)
        found.compounds.update(table.compounds)
    return found


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
            "'elements: {Mo: -10.8, S: -4.1}' in eV per atom, and compounds in eV per formula unit."
        ) from error
