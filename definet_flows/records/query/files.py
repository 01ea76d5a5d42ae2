"""Results in files of other programs, by the suffix of the file's name."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from definet_flows.defects.interop import as_extxyz_text
from definet_flows.errors import InputError
from definet_flows.records.query.kinds import Kind
from definet_flows.records.query.packages import needed
from definet_flows.records.query.structures import Record, atoms
from definet_flows.records.query.tables import arrow_table, rows, text_rows
from definet_flows.records.store import RecordStore

Writer = Callable[[RecordStore, Kind, Sequence[Any], Path], None]


def write(store: RecordStore, kind: Kind, records: Sequence[Record], path: Path) -> Path:
    """Write records to a file, whole or not at all.

    Parameters
    ----------
    store
        Where the records are from, for their coordinates.
    kind
        What they are.
    records
        In the order of the file.
    path
        Its suffix chooses the format, one of `WRITERS`.

    Raises
    ------
    InputError
        If the suffix stands for no format, the file cannot be written, or a package for it is missing.
    """
    written = writer_of(path)
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written(store, kind, records, partial)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}); name another file.") from error
    finally:
        _forget(partial)
    return path


def writer_of(path: Path) -> Writer:
    """What writes files of this name.

    Raises
    ------
    InputError
        If its suffix stands for no format, or it is a folder.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it.")
    if path.suffix.lower() not in WRITERS:
        raise InputError(f"{path.name} has no suffix of a format; end it in {', '.join(WRITERS)}.")
    return WRITERS[path.suffix.lower()]


def csv_text(kind: Kind, records: Sequence[Record]) -> str:
    """Records as comma-separated values, the names of the columns first; an unknown figure is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, kind.columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(text_rows(kind, records))
    return text.getvalue()


def _forget(partial: Path) -> None:
    # A folder that does not exist or may not be written to holds no partial file.
    with contextlib.suppress(OSError):
        partial.unlink()


def _write_csv(_: RecordStore, kind: Kind, records: Sequence[Record], path: Path) -> None:
    path.write_text(csv_text(kind, records), encoding="utf-8")


def _write_json(_: RecordStore, kind: Kind, records: Sequence[Record], path: Path) -> None:
    path.write_text(json.dumps(list(rows(kind, records)), indent=2) + "\n", encoding="utf-8")


def _write_json_lines(_: RecordStore, kind: Kind, records: Sequence[Record], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows(kind, records))


def _write_parquet(_: RecordStore, kind: Kind, records: Sequence[Record], path: Path) -> None:
    table = arrow_table(kind, records)
    needed("pyarrow.parquet", "Parquet files").write_table(table, path)


def _write_structures(store: RecordStore, _: Kind, records: Sequence[Record], path: Path) -> None:
    from ase.io.extxyz import write_extxyz

    with path.open("w", encoding="utf-8") as file:
        for one in atoms(store, records):
            words = {name: as_extxyz_text(value) for name, value in one.info.items() if isinstance(value, str)}
            one.info |= words
            write_extxyz(file, [one])


WRITERS: dict[str, Writer] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".json": _write_json,
    ".jsonl": _write_json_lines,
    ".xyz": _write_structures,
    ".extxyz": _write_structures,
}
"""How each format is written, by suffix."""
