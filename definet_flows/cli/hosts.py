"""The options that name a host, shared by every command that needs one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.defects import Host

BULK = 3
MATRIX_ENTRIES = 9

HostName = Annotated[
    str,
    typer.Option(
        "--host", help="A preset (see `hosts`), a structure file with the unit cell, or a Materials Project id."
    ),
]
Supercell = Annotated[
    tuple[int, int, int] | None,
    typer.Option("--supercell", metavar="A B C", help="Unit cells along a, b and c; a preset has a default."),
]
SupercellMatrix = Annotated[
    str | None,
    typer.Option(
        "--supercell-matrix", metavar='"9 INTEGERS"', help="A 3×3 matrix, row by row, instead of --supercell."
    ),
]
Vacuum = Annotated[float | None, typer.Option("--vacuum", metavar="Å", help="Widen a layer's vacuum to at least this.")]
Dimensionality = Annotated[
    int | None,
    typer.Option("--dimensionality", metavar="2|3", help="Layer or bulk, where it cannot be told from the file."),
]


def host_from_options(
    name: str,
    supercell: tuple[int, int, int] | None,
    matrix: str | None,
    vacuum: float | None,
    dimensionality: int | None,
) -> Host:
    """Build the host that a command's options name.

    Raises
    ------
    InputError
        If no preset, file or Materials Project id fits, or the supercell is missing or unusable.
    """
    from definet_flows.defects import Host

    size = _size(supercell, matrix)
    if Path(name).is_file() or Path(name).suffix or "/" in name:
        return Host.from_file(name, _required(size), dimensionality, vacuum)
    if name.startswith("mp-"):
        return Host.from_mp_id(name, _required(size), dimensionality, vacuum)
    if dimensionality == BULK:
        raise InputError(
            f"The preset hosts are layers; drop --dimensionality, or give a structure file instead of {name}."
        )
    return Host.from_preset(name, size, vacuum)


def _size(supercell: tuple[int, int, int] | None, matrix: str | None) -> list[Any] | None:
    if matrix is None:
        return None if supercell is None else list(supercell)
    if supercell is not None:
        raise InputError("--supercell and --supercell-matrix say the same thing; give one of them.")
    entries = matrix.replace(",", " ").split()
    if len(entries) != MATRIX_ENTRIES:
        raise InputError(f"--supercell-matrix has {len(entries)} entries; give nine integers, row by row.")
    return [entries[0:3], entries[3:6], entries[6:9]]


def _required(size: list[Any] | None) -> list[Any]:
    if size is None:
        raise InputError("Only a preset has a supercell of its own; give --supercell, for example --supercell 8 8 1.")
    return size
