"""``results``: what a results store holds, as tables, JSON or CSV, and in files of other programs."""

from __future__ import annotations

import json
import re
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from definet_flows.cli.output import AsJson, show_json, show_table
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.records.query import Selection

OPERATORS = {"=": "$in", "!=": "$nin", "<=": "$lte", ">=": "$gte", "<": "$lt", ">": "$gt"}
CONDITION = re.compile(r"^\s*([\w.]+)\s*(!=|<=|>=|=|<|>)\s*(.*?)\s*$")
RANGE = "LOW:HIGH"

Place = Annotated[
    str,
    typer.Argument(
        metavar="DIR|URI", help="A campaign's directory, or a MongoDB's address (mongodb://…, or a store file)."
    ),
]
Words = list[str] | None

Where = Annotated[
    Words,
    typer.Option("--where", metavar="KEY=VALUE", help="Keep what fits; also !=, <, >, <=, >=. May be given again."),
]
Query = Annotated[str | None, typer.Option(metavar="JSON", help="Keep what fits a query of MongoDB.")]
HostName = Annotated[Words, typer.Option(metavar="NAME", help="Of this host; given again, of any of them.")]
Label = Annotated[Words, typer.Option(metavar="LABEL", help="With just these defects, such as V_Mo+V_S.")]
Defect = Annotated[Words, typer.Option(metavar="DEFECT", help="With this defect, such as V_S, among others.")]
Species = Annotated[Words, typer.Option(metavar="ELEMENT", help="With a defect that brings this element in.")]
Concentration = Annotated[str | None, typer.Option(metavar=RANGE, help="Defects per site.")]
Distance = Annotated[str | None, typer.Option(metavar=RANGE, help="Smallest defect–defect distance, Å.")]
State = Annotated[Words, typer.Option(metavar="STATE", help="Such as converged, failed, prerelaxed_lost.")]
EngineName = Annotated[Words, typer.Option(metavar="NAME", help="Such as forcefield, vasp.")]
Start = Annotated[str | None, typer.Option(metavar="START", help="unrelaxed or prerelaxed.")]
Charge = Annotated[list[int] | None, typer.Option(metavar="Q", help="Charge of the cell.")]
Exposure = Annotated[Words, typer.Option(metavar="WHAT", help="What training saw: same_size, other_size, new.")]
Savings = Annotated[str | None, typer.Option(metavar=RANGE, help="Share of the steps saved, 1 for all.")]
SameMinimum = Annotated[
    bool | None, typer.Option("--same-minimum/--other-minimum", help="Where both starts ended.", show_default=False)
]
Model = Annotated[Words, typer.Option(metavar="NAME", help="Name or hash of the checkpoint.")]
CampaignName = Annotated[str | None, typer.Option(metavar="NAME", help="Planned or first run by this campaign.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many.")]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write .parquet, .csv, .json, .jsonl, or structures as .xyz."),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")]


class Documents(StrEnum):
    """Documents that can be asked for, by the names that the records have for them."""

    RELAXATIONS = "relaxations"
    SAVINGS = "savings"
    PREDICTIONS = "predictions"


# What a terminal is wide enough for; --json, --csv and files have every field.
SHOWN = {
    Documents.RELAXATIONS: (
        "label",
        "configuration_id",
        "start",
        "state",
        "ionic_steps",
        "max_force",
        "energy",
        "core_hours",
    ),
    Documents.SAVINGS: (
        *("label", "configuration_id", "exposure", "pair_state", "unrelaxed.ionic_steps", "prerelaxed.ionic_steps"),
        *("steps_saved", "same_minimum"),
    ),
    Documents.PREDICTIONS: ("label", "configuration_id", "exposure", "passed", "max_displacement", "seconds"),
}


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(
        "results",
        epilog="Example: definet-flows results demo-run --defect V_S --state converged --where 'ionic_steps>20' -o found.csv",
    )(results)


def results(
    place: Place,
    kind: Annotated[Documents, typer.Option("--of", help="Which documents.")] = Documents.RELAXATIONS,
    where: Where = None,
    query: Query = None,
    host: HostName = None,
    label: Label = None,
    defect: Defect = None,
    species: Species = None,
    concentration: Concentration = None,
    distance: Distance = None,
    state: State = None,
    engine: EngineName = None,
    start: Start = None,
    charge: Charge = None,
    exposure: Exposure = None,
    savings: Savings = None,
    same_minimum: SameMinimum = None,
    model: Model = None,
    campaign: CampaignName = None,
    limit: Limit = None,
    output: Output = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Query the results of a campaign, while it runs or after."""
    named = {"host": host, "label": label, "defect": defect, "species": species, "state": state, "engine": engine}
    others = {"start": start, "charge": charge, "exposure": exposure, "model": model, "campaign": campaign}
    ranges = {"savings": savings, "concentration": concentration, "distance": distance}
    read = {name: _range(f"--{name}", text) for name, text in ranges.items()}
    filters = {**named, **others, **read, "same_minimum": same_minimum}
    if sum((as_json, as_csv, output is not None)) > 1:
        raise InputError("--json, --csv and --output exclude each other; give one of them.")
    _answer(place, kind, filters, _criteria(where or [], query), limit, output, as_json=as_json, as_csv=as_csv)


def _answer(
    place: str,
    kind: Documents,
    filters: dict[str, Any],
    criteria: dict[str, Any],
    limit: int | None,
    output: Path | None,
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    from definet_flows.records.query import Kind, ResultFilter, ResultsStore
    from definet_flows.records.query.files import csv_text, writer_of

    if output is not None:
        writer_of(output)  # a name that cannot be written is said before anything is read
    with ResultsStore(place) as store:
        found = store.select(Kind(kind.value), ResultFilter.of(**filters), where=criteria)
        selected = found[:limit]
        if output is not None:
            typer.echo(f"{selected.write(output)}: {_counted(selected, found, kind)}")
        elif as_json:
            show_json(selected.rows())
        elif as_csv:
            typer.echo(csv_text(found.kind, selected.records), nl=False)
        else:
            rows = selected.rows()
            show_table(SHOWN[kind], [[row[column] for column in SHOWN[kind]] for row in rows])
            typer.echo(_counted(selected, found, kind))


def _counted(selected: Selection[Any], found: Selection[Any], kind: Documents) -> str:
    of_all = "" if len(selected) == len(found) else f" of {len(found)}"
    campaigns = Counter(record.campaign for record in selected.records)
    parts = "".join(f"\n  {name}: {count}" for name, count in sorted(campaigns.items())) if len(campaigns) > 1 else ""
    return f"{len(selected)}{of_all} {kind.value}{parts}"


def _criteria(where: list[str], query: str | None) -> dict[str, Any]:
    conditions = [_condition(text) for text in where]
    if query is not None:
        try:
            conditions.append(json.loads(query))
        except json.JSONDecodeError as error:
            raise InputError(
                f'--query is no JSON ({error}); write for example \'{{"n_defects": {{"$gt": 1}}}}\'.'
            ) from error
    return {"$and": conditions} if conditions else {}


def _condition(text: str) -> dict[str, Any]:
    """One ``--where`` as MongoDB criteria."""
    parsed = CONDITION.match(text)
    if parsed is None:
        raise InputError(f"'{text}' is no condition; write --where KEY=VALUE, for example --where label=V_S.")
    field, operator, value = parsed.groups()
    candidates = _values(value)
    wanted = candidates if operator in {"=", "!="} else candidates[0]
    return {field: {OPERATORS[operator]: wanted}}


def _values(text: str) -> list[Any]:
    """What a text may stand for: a number or a word of JSON, and always itself (an id may be all digits)."""
    try:
        return [json.loads(text), text]
    except json.JSONDecodeError:
        return [text]


def _range(option: str, text: str | None) -> tuple[float | None, float | None] | None:
    """A range written LOW:HIGH, either limit of which may be left out; one number stands for itself."""
    if text is None:
        return None
    limits = text.split(":") if ":" in text else [text, text]
    try:
        low, high = (float(limit) if limit.strip() else None for limit in limits)
    except ValueError as error:
        raise InputError(
            f"{option} {text} is no range; write {RANGE}, such as 0.01:0.05, or 3: without a limit."
        ) from error
    return low, high
