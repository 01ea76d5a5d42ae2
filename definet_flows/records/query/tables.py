"""Records as rows and tables whose columns depend on nothing but the kind of document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from definet_flows.records.fields import leaves
from definet_flows.records.query.kinds import Kind
from definet_flows.records.query.packages import needed

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Row = dict[str, Any]

_PANDAS = {str: "string", int: "Int64", float: "float64", bool: "boolean"}
"""Types in which an unknown figure is no other figure."""


def rows(kind: Kind, records: Iterable[BaseModel]) -> Iterator[Row]:
    """Records as rows: every column, dotted where a document lies in another, None where nothing is known."""
    paths = [(name, name.split(".")) for name in kind.columns]
    for record in records:
        document = record.model_dump(mode="json")
        yield {name: _at(document, path) for name, path in paths}


def text_rows(kind: Kind, records: Iterable[BaseModel]) -> Iterator[Row]:
    """As `rows`, with lists and free-form settings as JSON, for a file of texts."""
    scalars = kind.types
    for row in rows(kind, records):
        yield {name: value if name in scalars else _as_json(value) for name, value in row.items()}


def frame(kind: Kind, records: Iterable[BaseModel]) -> pd.DataFrame:
    """Records as a pandas DataFrame; the columns and their types are the same whatever was found.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    pandas = needed("pandas", "Tables of results")
    listed, scalars = _with_lists(kind), kind.types
    columns: dict[str, list[Any]] = {name: [] for name in kind.columns}
    for row in rows(kind, records):
        for name, value in row.items():
            columns[name].append(value if name in scalars or name in listed else _as_json(value))
    types = {name: _PANDAS[scalars[name]] if name in scalars else "object" for name in columns}
    return pandas.DataFrame({name: pandas.Series(values, dtype=types[name]) for name, values in columns.items()})


def arrow_table(kind: Kind, records: Iterable[BaseModel]) -> pa.Table:
    """Records as an Arrow table, for Parquet files.

    Raises
    ------
    InputError
        If pyarrow is not installed.
    """
    arrow = needed("pyarrow", "Parquet files")
    listed, scalars = _with_lists(kind), kind.types
    schema = arrow.schema([(name, _arrow_type(arrow, scalars.get(name), listed.get(name))) for name in kind.columns])
    told = [
        {name: value if name in scalars or name in listed else _as_json(value) for name, value in row.items()}
        for row in rows(kind, records)
    ]
    return arrow.Table.from_pylist(told, schema=schema)


def _arrow_type(arrow: ModuleType, scalar: type | None, element: type | None) -> Any:
    makers: dict[type, Callable[[], Any]] = {
        str: arrow.string,
        int: arrow.int64,
        float: arrow.float64,
        bool: arrow.bool_,
    }
    if element is not None:
        return arrow.list_(makers[element]())
    return makers[scalar or str]()


def _with_lists(kind: Kind) -> dict[str, type]:
    """Columns that hold lists of texts or of numbers, and the type of their elements."""
    found = {}
    for name, annotation in leaves(kind.document):
        elements = (
            set(get_args(get_args(annotation)[0]) or get_args(annotation)) if get_origin(annotation) is list else ()
        )
        plain = [one for one in elements if one is not type(None)]
        if len(plain) == 1 and plain[0] in _PANDAS:
            found[name] = plain[0]
    return found


def _at(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return document


def _as_json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, separators=(",", ":"))
