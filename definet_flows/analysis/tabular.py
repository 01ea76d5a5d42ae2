"""Plain rows as Markdown and CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Cell = str | int | float | None
Row = Mapping[str, Cell]
"""One line of a table: column name, with its unit, to cell; None where there is nothing to say."""


def columns_of(rows: Iterable[Row]) -> list[str]:
    """Column names in the order of the fullest row, then those that only others have."""
    return list(dict.fromkeys(name for row in sorted(rows, key=len, reverse=True) for name in row))


def filled_columns(rows: Sequence[Row]) -> list[str]:
    """Columns in which at least one row has something to say."""
    return [name for name in columns_of(rows) if any(row.get(name) is not None for row in rows)]


def markdown_table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table without empty columns; numbers flush right and rounded to four digits, None a dash."""
    columns = filled_columns(rows)
    numeric = {name for name in columns if any(isinstance(row.get(name), int | float) for row in rows)}
    rule = ["---:" if name in numeric else "---" for name in columns]
    body = [[_shown(row.get(name)) for name in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in (columns, rule, *body))


def write_csv(rows: Sequence[Row], path: Path) -> Path:
    """Write rows with all their digits; None is an empty cell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns_of(rows), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_tables(
    folder: Path,
    name: str,
    title: str,
    tables: Mapping[str, Sequence[Row]],
    notes: Sequence[str] = (),
    figures: Sequence[Path] = (),
) -> list[Path]:
    """Write tables as one Markdown page, and each of them as CSV.

    Parameters
    ----------
    folder
        Where to; must exist.
    name
        The page becomes ``name.md``, a table ``name-TABLE.csv``.
    title
        Heading of the page.
    tables
        Heading of each table and its rows; tables without rows are left out.
    notes
        Sentences under the heading: what was measured, and how.
    figures
        Images in the same folder, shown at the end.

    Returns
    -------
    list of Path
        The files written.
    """
    filled = {heading: rows for heading, rows in tables.items() if rows}
    parts = [f"# {title}\n\n", *(f"- {note}\n" for note in notes)]
    parts += [f"\n## {heading}\n\n{markdown_table(rows)}" for heading, rows in filled.items()]
    parts += [f"\n![{figure.stem}]({figure.name})\n" for figure in figures]
    page = folder / f"{name}.md"
    page.write_text("".join(parts), encoding="utf-8")
    stems = {heading: "-".join(heading.lower().split()) for heading in filled}
    return [page, *(write_csv(rows, folder / f"{name}-{stems[heading]}.csv") for heading, rows in filled.items())]


def _shown(cell: Cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell).replace("|", "\\|")
