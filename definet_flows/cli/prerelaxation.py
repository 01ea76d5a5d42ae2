"""``prerelax``: a user's own defect files in, pre-relaxed ones out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.hosts import Dimensionality, HostName, Supercell, SupercellMatrix, Vacuum, host_from_options
from definet_flows.cli.output import AsJson, show_json, show_table, writable_folder
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from definet_flows.defects.host import Host
    from definet_flows.defects.matching import StructureMatch
    from definet_flows.definet import Prediction


class FileFormat(StrEnum):
    """Structure formats that ``prerelax`` writes."""

    CIF = "cif"
    POSCAR = "poscar"


SUFFIX = {FileFormat.CIF: ".cif", FileFormat.POSCAR: ".vasp"}
LIST = ".jsonl"


@dataclass(frozen=True)
class Source:
    """A structure to pre-relax.

    Parameters
    ----------
    file
        Where it was read.
    name
        Of the file to write, without its ending.
    structure
        Without placeholders.
    """

    file: Path
    name: str
    structure: Structure


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    example = "Example: definet-flows prerelax --host MoS2 --supercell 4 4 1 V_S.cif V_Mo.cif -o prerelaxed"
    app.command("prerelax", epilog=example)(prerelax)


def prerelax(
    files: Annotated[
        list[Path],
        typer.Argument(help="Defect supercells: CIF, POSCAR, extxyz, ...; or a list that `enumerate -o` wrote."),
    ],
    host_name: HostName,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results.")],
    supercell: Supercell = None,
    supercell_matrix: SupercellMatrix = None,
    vacuum: Vacuum = None,
    dimensionality: Dimensionality = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="DIR|NAME", help="Checkpoint; by default the shipped one.")
    ] = None,
    guard: Annotated[bool, typer.Option("--guard/--no-guard", help="Refuse predictions that cannot be right.")] = True,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    file_format: Annotated[FileFormat, typer.Option("--format", help="Of the files written.")] = FileFormat.CIF,
    as_json: AsJson = False,
) -> None:
    """Move the atoms of your own defect structures to where DefiNet expects them after relaxation.

    Which sites are vacant or substituted is found by matching each file to the host; atoms keep the file's order and
    cell. A prediction that the guard refuses leaves the structure as it was, and the table says why. Structures of a list
    are named by the ids of their configurations.
    """
    host = host_from_options(host_name, supercell, supercell_matrix, vacuum, dimensionality)
    sources = [source for file in dict.fromkeys(files) for source in _sources(host, file)]
    if not sources:
        raise InputError(f"{files[0]} lists no configuration; there is nothing to pre-relax.")
    targets = _targets(sources, output, SUFFIX[file_format])
    matches = [_match(host, source) for source in sources]
    rows = []
    predictions = _predictions(matches, model, device, guard)
    for source, target, match, prediction in zip(sources, targets, matches, predictions, strict=True):
        _write(match, prediction, target, file_format)
        rows.append(_outcome(source.file, prediction, target))
    if as_json:
        show_json(rows)
    else:
        show_table(list(rows[0]), [tuple(row.values()) for row in rows])


def _sources(host: Host, file: Path) -> Iterator[Source]:
    from definet_flows.defects import read_configurations, read_structure

    if file.suffix == LIST:
        for configuration in read_configurations(file, host):
            yield Source(file, configuration.id, configuration.structure())
    else:
        yield Source(file, file.stem, read_structure(file))


def _targets(sources: list[Source], output: Path, suffix: str) -> list[Path]:
    """Where each structure goes; the folder is made."""
    targets: dict[Path, Source] = {}
    for source in sources:
        target = output / f"{source.name}{suffix}"
        if target in targets:
            raise InputError(
                f"Several structures are called {source.name}, and would overwrite one another; rename them or run them apart."
            )
        if target.resolve() == source.file.resolve():
            raise InputError(f"{source.file} would overwrite itself; name another folder with -o.")
        targets[target] = source
    writable_folder(output)
    return list(targets)


def _match(host: Host, source: Source) -> StructureMatch:
    from definet_flows.defects.matching import MatchError, match_structure

    try:
        match = match_structure(host, source.structure)
        match.placement  # noqa: B018 - a pristine cell is refused here, with the file's name
    except MatchError as error:
        raise MatchError(f"{source.file}: {error}") from error
    return match


def _predictions(matches: list[StructureMatch], model: str | None, device: str, guard: bool) -> list[Prediction]:
    from definet_flows.definet import GuardSettings, Prerelaxer, load_checkpoint
    from definet_flows.settings import settings

    checkpoint = load_checkpoint(model or settings().checkpoint)
    prerelaxer = Prerelaxer(checkpoint, device=device, guard=GuardSettings() if guard else None)
    return list(prerelaxer.predict([match.placement for match in matches]))


def _write(match: StructureMatch, prediction: Prediction, target: Path, file_format: FileFormat) -> None:
    structure = match.structure
    if prediction.verdict.passed and prediction.positions is not None:
        structure = match.with_displacements(prediction.positions - match.host.positions)
    structure.to(filename=str(target), fmt=file_format.value)


def _outcome(file: Path, prediction: Prediction, target: Path) -> dict[str, str | float | None]:
    passed = prediction.verdict.passed
    return {
        "file": str(file),
        "defects": prediction.configuration.label,
        "largest displacement (Å)": prediction.verdict.max_displacement,
        "outcome": "pre-relaxed" if passed else "left as it was: " + "; ".join(prediction.verdict.reasons),
        "written to": str(target),
    }
