"""What commands print: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from definet_flows.errors import InputError

# A pipe or a file has no width of its own; a table cut at 80 columns is of no use there.
WIDTH_WITHOUT_TERMINAL = 160

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """Print rows under column names; numbers are set flush right, None as a dash.

    Parameters
    ----------
    columns
        Names, with units where there are any.
    rows
        One cell per column.
    title
        A line above the table.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD)
    for position, column in enumerate(columns):
        numeric = any(isinstance(row[position], int | float) for row in shown)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in shown:
        table.add_row(*[_cell(value) for value in row])
    console = Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)
    # Rich ends the program itself when a pipe is closed, so what it draws is written out here.
    with console.capture() as drawing:
        console.print(table)
    lines = [*([title] if title else []), *drawing.get().splitlines()]
    typer.echo("\n".join(line.rstrip() for line in lines))


def show_json(content: Any) -> None:
    """Print JSON-able content on stdout."""
    typer.echo(json.dumps(content, indent=2, default=str))


def show_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as comma-separated values on stdout."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    typer.echo(text.getvalue(), nl=False)


def time_left(seconds: float | None) -> str | None:
    """A long time in hours or days; None where it is not known."""
    if seconds is None:
        return None
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def writable_file(path: Path) -> Path:
    """Return a path that a file can be written to, its folder made.

    Raises
    ------
    InputError
        If it is a folder, its folder cannot be made, or it cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it.")
    writable_folder(path.parent)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"{path} cannot be written (its permissions do not let you); name another file.")
    return path


def writable_folder(path: Path) -> Path:
    """Return a folder that files can be written to, made where it is missing.

    Raises
    ------
    InputError
        If a file is in the way, or it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {path} cannot be made ({error.strerror}); name another.") from error
    return path


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
