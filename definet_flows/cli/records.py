"""``results``: what a results store holds, as tables, JSON or CSV."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from enum import StrEnum
from itertools import islice
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

import typer

from definet_flows.cli.output import show_csv, show_json, show_table
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from definet_flows.records.documents import StoredDocument
    from definet_flows.records.store import RecordStore

OPERATORS = {"=": "$in", "!=": "$nin", "<=": "$lte", ">=": "$gte", "<": "$lt", ">": "$gt"}
CONDITION = re.compile(r"^\s*([\w.]+)\s*(!=|<=|>=|=|<|>)\s*(.*?)\s*$")

Place = Annotated[
    str,
    typer.Argument(
        metavar="DIR|URI", help="A campaign's directory, or a MongoDB's address (mongodb://…, or a store file)."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Kind(StrEnum):
    """Documents that a results store holds."""

    RELAXATIONS = "relaxations"
    SAVINGS = "savings"
    PREDICTIONS = "predictions"


# What a terminal is wide enough for; --json and --csv print every field.
SHOWN = {
    Kind.RELAXATIONS: (
        "label",
        "configuration_id",
        "start",
        "state",
        "ionic_steps",
        "max_force",
        "energy",
        "core_hours",
    ),
    Kind.SAVINGS: (
        *("label", "configuration_id", "exposure", "pair_state", "unrelaxed.ionic_steps", "prerelaxed.ionic_steps"),
        *("steps_saved", "same_minimum"),
    ),
    Kind.PREDICTIONS: ("label", "configuration_id", "exposure", "passed", "max_displacement", "seconds"),
}


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(
        "results", epilog="Example: definet-flows results demo-run --where label=V_Mo+V_S --where state=converged --csv"
    )(results)


def results(
    place: Place,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="KEY=VALUE", help="Keep what fits; also !=, <, >, <=, >=. May be given again."),
    ] = None,
    kind: Annotated[Kind, typer.Option("--of", help="Which documents.")] = Kind.RELAXATIONS,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
) -> None:
    """Query the results of a campaign, while it runs or after."""
    from definet_flows.records.store import open_store

    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other; give one of them.")
    criteria = {"$and": conditions} if (conditions := [_condition(kind, text) for text in where or ()]) else {}
    with open_store(place, read_only=True) as store:
        records = sorted(_records(store, kind, criteria), key=_order)
    rows = [_flat(record.model_dump(mode="json", exclude={"positions"})) for record in islice(records, limit)]
    if as_json:
        show_json(rows)
    elif as_csv:
        columns = list(dict.fromkeys(field for row in rows for field in row)) or _fields(_document(kind))
        show_csv(columns, [[row.get(column) for column in columns] for row in rows])
    else:
        show_table(SHOWN[kind], [[row.get(column) for column in SHOWN[kind]] for row in rows])
        typer.echo(f"{len(rows)} of {len(records)} {kind.value}" if limit else f"{len(rows)} {kind.value}")


def _records(store: RecordStore, kind: Kind, criteria: dict[str, Any]) -> Iterable[StoredDocument]:
    if kind is Kind.SAVINGS:
        return _savings(store, criteria)
    return store.predictions(criteria) if kind is Kind.PREDICTIONS else store.relaxations(criteria)


def _savings(store: RecordStore, criteria: dict[str, Any]) -> list[StoredDocument]:
    """Savings as of now, which the store itself need not hold while its campaign runs."""
    from definet_flows.records.building import build_savings
    from definet_flows.records.store import RecordStore as Records

    with Records.in_memory() as paired:
        paired.put_savings(build_savings(store))
        return list(paired.savings(criteria))


def _order(record: StoredDocument) -> tuple[str, ...]:
    return tuple(str(getattr(record, field, "")) for field in ("label", "configuration_id", "start"))


def _document(kind: Kind) -> type[StoredDocument]:
    from definet_flows.records.documents import PredictionRecord, RelaxationRecord, SavingsRecord

    if kind is Kind.SAVINGS:
        return SavingsRecord
    return PredictionRecord if kind is Kind.PREDICTIONS else RelaxationRecord


def _condition(kind: Kind, text: str) -> dict[str, Any]:
    """One ``--where`` as MongoDB criteria."""
    parsed = CONDITION.match(text)
    if parsed is None:
        raise InputError(f"'{text}' is no condition; write --where KEY=VALUE, for example --where label=V_S.")
    field, operator, value = parsed.groups()
    known = _fields(_document(kind))
    if field not in known:
        near = get_close_matches(field, known, n=3, cutoff=0.4) or known
        raise InputError(f"{kind.value} have no field '{field}'; did you mean {', '.join(near)}?")
    candidates = _values(value)
    wanted = candidates if operator in {"=", "!="} else candidates[0]
    return {field: {OPERATORS[operator]: wanted}}


def _values(text: str) -> list[Any]:
    """What a text may stand for: a number or a word of JSON, and always itself (an id may be all digits)."""
    try:
        return [json.loads(text), text]
    except json.JSONDecodeError:
        return [text]


def _fields(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Dotted names of a document's fields, nested documents opened."""
    return [
        name
        for field, annotation in model.model_fields.items()
        for name in _names(prefix + field, annotation.annotation)
    ]


def _names(name: str, annotation: Any) -> Iterator[str]:
    from pydantic import BaseModel

    # A document that may be absent is opened like one that is there.
    options = [option for option in get_args(annotation) if option is not type(None)]
    inner = options[0] if get_origin(annotation) in {UnionType, Union} and len(options) == 1 else annotation
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        yield from _fields(inner, f"{name}.")
    else:
        yield name


def _flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for field, value in document.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{field}."))
        else:
            flat[f"{prefix}{field}"] = value
    return flat
