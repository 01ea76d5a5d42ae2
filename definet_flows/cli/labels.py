"""``labels``: data sets made into label sets, and what those hold."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from definet_flows.cli.hosts import Dimensionality, Supercell, SupercellMatrix, Vacuum, host_from_options
from definet_flows.cli.output import AsJson, show_json, show_table, writable_folder
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.training.datasets.labels import LabelSet

SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="List and leave out samples that cannot be used, instead of stopping.")
]

TYPES_SHOWN = 30

labels = typer.Typer(no_args_is_help=True, help="Make label sets from data sets, or show what they hold.")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    labels.command("import", epilog="Example: definet-flows labels import 2DMD/low_density -o labels --skip-bad")(
        import_labels
    )
    labels.command("show", epilog="Example: definet-flows labels show labels/*.safetensors")(show_labels)
    app.add_typer(labels, name="labels", epilog="Example: definet-flows labels show labels/*.safetensors")


def import_labels(
    source: Annotated[
        str,
        typer.Argument(
            help="The 2DMD data set or a part of it, a results store (DIR or URI), or a file of relaxations (extxyz, ...)."
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for one file per host supercell.")
    ],
    skip_bad: SkipBad = False,
    host_name: Annotated[
        str | None, typer.Option("--host", help="Host of a file of relaxations: a preset or a file with the unit cell.")
    ] = None,
    supercell: Supercell = None,
    supercell_matrix: SupercellMatrix = None,
    vacuum: Vacuum = None,
    dimensionality: Dimensionality = None,
    teacher: Annotated[
        str | None,
        typer.Option("--teacher", help="Name of what relaxed a file's structures; sets of one name train together."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read relaxed structures and write compact label sets, one for each host supercell and density.

    Files of relaxations do not name their host: give --host and --supercell, or put the host as NAME.host.json beside them.
    """
    from definet_flows.training.datasets.sources import read_source

    host = host_name and host_from_options(host_name, supercell, supercell_matrix, vacuum, dimensionality)
    sets = read_source(source, skip_bad, host or None, teacher, _bar)
    files = _files(sets, output)
    writable_folder(output)
    for one, file in zip(sets, files, strict=True):
        one.save(file)
    _show(dict(zip(map(str, files), sets, strict=True)), as_json)


def show_labels(
    sources: Annotated[list[str], typer.Argument(metavar="FILE...", help="Label sets, or whatever `import` reads.")],
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Count labels by host, density and defect type, and show how far their atoms move."""
    from definet_flows.training.datasets.sources import read_source

    found: dict[str, LabelSet] = {}
    for source in sources:
        sets = read_source(source, skip_bad, track=_bar)
        found |= {str(source) if len(sets) == 1 else f"{source} ({i + 1})": one for i, one in enumerate(sets)}
    _show(found, as_json)


def _bar(samples: Sequence[Any], name: str) -> Iterable[Any]:
    """A progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    hidden = not sys.stderr.isatty()
    return track(samples, f"Reading {name}", console=Console(stderr=True), transient=True, disable=hidden)


def _files(sets: list[LabelSet], folder: Path) -> list[Path]:
    """A name for each set, none of which is there already.

    Raises
    ------
    InputError
        If one is.
    """
    from definet_flows.training.datasets.labels import SUFFIX
    from definet_flows.training.datasets.summary import supercell_name

    files: list[Path] = []
    for one in sets:
        stem = "-".join(part for part in (one.host.name, supercell_name(one), one.density) if part).replace("/", "-")
        taken = sum(file.name.startswith((f"{stem}.", f"{stem}_")) for file in files)
        files.append(folder / f"{stem}{f'_{taken + 1}' if taken else ''}{SUFFIX}")
    there = next((file for file in files if file.exists()), None)
    if there:
        raise InputError(f"{there} is there already; name another folder, or remove it to import anew.")
    return files


def _show(sets: dict[str, LabelSet], as_json: bool) -> None:
    from definet_flows.training.datasets.summary import QUANTILES, summary

    summaries = {file: summary(one) for file, one in sets.items()}
    if as_json:
        show_json([{"file": file, **content} for file, content in summaries.items()])
        return
    shared = ("host", "supercell", "density", "teacher", "labels")
    rows = [
        (Path(f).name, *(s[key] for key in shared), *s["displacements_angstrom"].values()) for f, s in summaries.items()
    ]
    show_table(("file", *shared, *(f"{name} (Å)" for name in QUANTILES)), rows, "displacements of atoms")
    show_table(("host", "density", "defects", "labels"), _type_rows(list(summaries.values())))


def _type_rows(summaries: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Labels of each defect type in each host and density, over all supercells; the rarest together."""
    counts: dict[tuple[str, str | None], dict[str, int]] = {}
    for content in summaries:
        of_host = counts.setdefault((content["host"], content["density"]), {})
        for name, count in content["types"].items():
            of_host[name] = of_host.get(name, 0) + count
    rows: list[tuple[Any, ...]] = []
    for (host, density), types in counts.items():
        ordered = sorted(types.items(), key=lambda item: -item[1])
        rows += [(host, density, name, count) for name, count in ordered[:TYPES_SHOWN]]
        rest = ordered[TYPES_SHOWN:]
        rows += [(host, density, f"{len(rest)} other types", sum(count for _, count in rest))] if rest else []
    return rows
