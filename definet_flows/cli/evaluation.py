"""``evaluate``: how far a checkpoint's coordinates are from labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from definet_flows.cli.output import AsJson, show_json, show_table, writable_folder

if TYPE_CHECKING:
    from definet_flows.training.evaluation import Evaluation, Row

SEEN = (
    "A checkpoint scored on what it was trained on says nothing about new structures: read the rows apart, "
    "'new' for clusters that training never met."
)
FAILED = "A failed prediction counts as no displacement, like the Dummy model, which returns its input."
PER_COMPONENT = "Errors are means over Cartesian components; A3 to A6 are over real atoms within 3 to 6 Å of a defect."

REASON, SPREAD = "reason", "±"
"""Marks of columns that are shown otherwise on a terminal."""

Datasets = Annotated[
    list[Path], typer.Argument(metavar="DATASET...", help="Label sets, data-set folders or campaign directories.")
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out samples that cannot be read, naming each.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    example = "Example: definet-flows evaluate definet-mos2-chgnet labels.safetensors -o errors"
    app.command("evaluate", epilog=example)(evaluate)


def evaluate(
    checkpoint: Annotated[str, typer.Argument(metavar="MODEL", help="A checkpoint's name or folder.")],
    datasets: Datasets,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Also write tables and figures here.")
    ] = None,
    device: Device = "auto",
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Measure a checkpoint's coordinate errors on labels, beside those of doing nothing."""
    from definet_flows import training

    folder = None if output is None else writable_folder(output)
    evaluation = training.evaluate(checkpoint, datasets, device, skip_bad=skip_bad)
    tables = error_tables(evaluation)
    if folder is not None:
        _write(folder, str(checkpoint), evaluation, tables)
    if as_json:
        show_json({**evaluation.summary(), "failures": evaluation.failures, "tables": tables})
        return
    for heading in ("by host and density", "by exposure", "by distance"):
        show_rows(tables[heading], f"Errors {heading}")
    for sentence in (PER_COMPONENT, SEEN, *_failure_notes(evaluation)):
        typer.echo(sentence)
    if folder is not None:
        typer.echo(f"Written: {folder / 'evaluation.md'}")


def error_tables(evaluation: Evaluation) -> dict[str, list[Row]]:
    """The tables of an evaluation by the name of their file."""
    everything: Row = {"host": "all", "density": None}
    return {
        "by host and density": evaluation.rows("host", "density") + [everything | row for row in evaluation.rows()],
        "by exposure": [with_exposure_named(row) for row in evaluation.rows("host", "density", "exposure")],
        "by defect type": evaluation.rows("host", "density", "defects"),
        "by distance": evaluation.ring_rows("host", "density"),
    }


def with_exposure_named(row: Row) -> Row:
    """The row with what training has seen in words."""
    from definet_flows.analysis.table import EXPOSURES

    named = {"exposure": "cluster in training"}
    return {named.get(k, k): EXPOSURES.get(str(v), v) if k == "exposure" else v for k, v in row.items()}


def show_rows(rows: Sequence[Row], title: str | None = None) -> None:
    """Print rows as a table with four digits, reasons of failure under it; spreads other than the MAE's are in the files."""
    from definet_flows.analysis.tabular import filled_columns

    columns = [c for c in filled_columns(rows) if c != REASON and (SPREAD not in c or c.startswith("MAE"))]
    show_table(columns, [[_four_digits(row.get(column)) for column in columns] for row in rows], title)
    for row in rows:
        if row.get(REASON):
            typer.echo(f"{row[columns[0]]}: {row[REASON]}")


def _four_digits(cell: Any) -> Any:
    return float(f"{cell:.4g}") if isinstance(cell, float) else cell


def _failure_notes(evaluation: Evaluation) -> list[str]:
    if not evaluation.failures:
        return []
    reasons = [f"  {count} × {reason}" for reason, count in evaluation.failures.most_common(5)]
    return [f"{evaluation.total().failed} predictions failed. {FAILED}", *reasons]


def _write(folder: Path, checkpoint: str, evaluation: Evaluation, tables: dict[str, list[Row]]) -> None:
    from definet_flows.analysis.figures.errors import plot_categories, plot_lengths
    from definet_flows.analysis.tabular import write_tables
    from definet_flows.training.evaluation import DISTANCE, DUMMY_MAE, MODEL_MAE

    rings, series = evaluation.ring_rows(), [DUMMY_MAE, MODEL_MAE]
    figures = [
        plot_categories(rings, DISTANCE, series, folder / "distances.png"),
        plot_categories(_type_rows(evaluation), "defects", ["Dummy", "model"], folder / "defect-types.png"),
        plot_lengths(evaluation.lengths.edges, evaluation.lengths.counts, folder / "lengths.png"),
    ]
    notes = [PER_COMPONENT, SEEN, FAILED, *_failure_notes(evaluation)]
    write_tables(folder, "evaluation", f"Coordinate errors of {checkpoint}", tables, notes, figures)


def _type_rows(evaluation: Evaluation) -> list[Row]:
    """MAE of each defect type, model and Dummy side by side."""
    types: dict[str, Row] = {}
    several = len({group.host for group in evaluation.groups}) > 1
    for row in evaluation.rows("host", "defects"):
        name = f"{row['host']} {row['defects']}" if several else str(row["defects"])
        types.setdefault(name, {"defects": name})[str(row["predictor"])] = row["MAE (Å)"]
    return list(types.values())
