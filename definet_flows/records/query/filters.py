"""Typed filters: what users ask for by name, as MongoDB criteria on each kind of document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pymatgen.core import Element

from definet_flows.defects import PointDefect
from definet_flows.errors import InputError
from definet_flows.records.documents import ConfigurationSummary, Exposure, Start
from definet_flows.records.fields import nearest
from definet_flows.records.query.kinds import Kind
from definet_flows.records.store import Criteria


def _as_list(given: Any) -> Any:
    return (given,) if isinstance(given, str | int) else given


def _rising(limits: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    low, high = limits
    if low is None and high is None:
        raise ValueError("a range needs at least one limit")
    if low is not None and high is not None and not low <= high:
        raise ValueError(f"nothing lies between {low:g} and {high:g}; the first limit must not exceed the second")
    return limits


def _element(symbol: str) -> str:
    if not Element.is_valid_symbol(symbol):
        raise ValueError(f"'{symbol}' is not an element")
    return symbol


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
Elements = Annotated[tuple[Annotated[str, AfterValidator(_element)], ...], BeforeValidator(_as_list)]
Defects = Annotated[
    tuple[Annotated[str, AfterValidator(lambda text: str(PointDefect.parse(text)))], ...], BeforeValidator(_as_list)
]
Charges = Annotated[tuple[int, ...], BeforeValidator(_as_list)]
Exposures = Annotated[tuple[Exposure, ...], BeforeValidator(_as_list)]
Range = Annotated[tuple[float | None, float | None], AfterValidator(_rising)]
"""Lowest and highest value, both included; None where there is no limit."""


class ResultFilter(BaseModel):
    """What is wanted of the results. What is not given does not matter; of several names one has to fit."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    host: Names = Field(default=(), description="Name of the host, such as MoS2")
    label: Names = Field(default=(), description="Defects by name, such as V_Mo+V_S")
    species: Elements = Field(default=(), description="Element that a defect brings in; of several, all of them")
    defect: Defects = Field(default=(), description="Point defect among others, such as V_S; of several, all of them")
    concentration: Range | None = Field(default=None, description="Changed sites per site of the supercell")
    distance: Range | None = Field(default=None, description="Smallest distance between two defects, Å")
    state: Names = Field(default=(), description="Of a relaxation, or of a pair of runs")
    engine: Names = Field(default=(), description="Name of the engine, such as forcefield")
    start: Start | None = Field(default=None, description="Start of a relaxation")
    charge: Charges = Field(default=(), description="Total charge of the cell in elementary charges")
    exposure: Exposures = Field(default=(), description="What training has seen of the defect cluster")
    savings: Range | None = Field(default=None, description="Steps saved over the unrelaxed start's steps, 1 for all")
    model: Names = Field(default=(), description="Name or hash of the checkpoint")
    same_minimum: bool | None = Field(default=None, description="Whether both starts ended in the same minimum")
    campaign: str | None = Field(default=None, description="Campaign that planned the configuration or ran it first")

    @classmethod
    def of(cls, given: ResultFilter | None = None, **changes: Any) -> Self:
        """A filter from names and values, added to one that is there.

        Raises
        ------
        InputError
            If a name is unknown or a value is not of its kind; a range that holds nothing included.
        """
        there = {} if given is None else given.model_dump(exclude_defaults=True)
        for name in changes.keys() - cls.model_fields.keys():
            near = nearest(name, list(cls.model_fields))
            raise InputError(f"There is no filter '{name}'; did you mean {', '.join(near)}?")
        try:
            return cls(**{**there, **{name: value for name, value in changes.items() if value is not None}})
        except ValidationError as error:
            first = error.errors()[0]
            said = str(first.get("ctx", {}).get("error", first["msg"]))
            raise InputError(f"The filter '{first['loc'][0]}' cannot be used: {said.rstrip('.')}.") from error

    def criteria(self, kind: Kind) -> Criteria:
        """The filter as MongoDB criteria on documents of a kind, but for the campaign.

        Raises
        ------
        InputError
            If documents of this kind do not have what is asked for.
        """
        conditions = [condition for name in self.model_fields_set - {"campaign"} for condition in self._of(name, kind)]
        return {"$and": sorted(conditions, key=str)} if conditions else {}

    def of_configurations(self) -> Criteria:
        """What this asks of configurations alone, as criteria that fit all documents of one or none."""
        asked = self.model_dump(include={"host", "label", "species", "defect", "concentration"}, exclude_defaults=True)
        return type(self)(**asked).criteria(Kind.RELAXATIONS)

    def is_within(self, record: ConfigurationSummary) -> bool:
        """Whether a record keeps the limits of the distance, which older documents in a store do not tell."""
        if self.distance is None:
            return True
        low, high = self.distance
        apart = record.defect_distance
        return apart is not None and (low is None or low <= apart) and (high is None or apart <= high)

    def _of(self, name: str, kind: Kind) -> list[Criteria]:
        wanted = getattr(self, name)
        if wanted in ((), None):
            return []
        if name in _PATTERNS:
            return [{"label": {"$regex": _PATTERNS[name].format(re.escape(_written(one)))}} for one in wanted]
        field = _field(name, kind)
        if name == "distance":
            return [{"$or": [{field: _between(wanted)}, UNTOLD_DISTANCE]}]
        if name in {"concentration", "savings"}:
            return [{field: _between(wanted)}]
        if name == "model":
            return [{"$or": [{one: {"$in": list(wanted)}} for one in (field, f"{field}_hash")]}]
        if name == "state":
            _check_states(kind, field, wanted)
        return [{field: {"$in": list(wanted)} if isinstance(wanted, tuple) else wanted}]


UNTOLD_DISTANCE: Criteria = {"schema_version": {"$lt": 2}, "n_defects": {"$gt": 1}}
"""Documents of schema version 1, whose distance is known once their configuration is rebuilt."""

_PATTERNS = {"species": r"(^|\+){}_", "defect": r"(^|\+){}(\+|$)"}
_FIELDS = {
    "host": ("host.name",),
    "distance": ("defect_distance",),
    "state": ("state", "pair_state"),
    "engine": ("engine.name", "engine_name"),
    "savings": ("steps_saved_fraction",),
    "model": ("checkpoint",),
}


def _field(name: str, kind: Kind) -> str:
    known = kind.columns
    found = next((field for field in _FIELDS.get(name, (name,)) if field in known), None)
    if found is None:
        having = [one.value for one in Kind if set(_FIELDS.get(name, (name,))) & set(one.columns)]
        raise InputError(f"{kind.value} have no {name.replace('_', ' ')} to filter by; ask for {' or '.join(having)}.")
    return found


def _check_states(kind: Kind, field: str, wanted: Iterable[str]) -> None:
    states = kind.choices(field)
    for state in wanted:
        if state not in states:
            raise InputError(f"{kind.value} have no state '{state}'; the states are {', '.join(states)}.")


def _written(name: str) -> str:
    """A species or a defect as labels write it: vanadium is not V, which is a vacancy."""
    return "Vanadium" if name == "V" else name


def _between(limits: tuple[float | None, float | None]) -> dict[str, float]:
    return {name: limit for name, limit in zip(("$gte", "$lte"), limits, strict=True) if limit is not None}
