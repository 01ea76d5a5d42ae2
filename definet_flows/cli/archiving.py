"""``archive``: the results of a campaign that has ended in one file, and its launchpad cleared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from definet_flows.cli.output import AsJson, show_json, writable_file
from definet_flows.cli.submission import ConfigDir, in_directory, opened_cluster, submitted
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.launch.fireworks.clearing import Cleared

Contents = dict[str, dict[str, Any]]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    epilog = "Example: definet-flows archive low-density-mos2 -o low-density-mos2.tar.gz --clean"
    app.command("archive", epilog=epilog)(archive)


def archive(
    name: Annotated[
        str, typer.Argument(metavar="NAME|DIR", help="A submitted campaign, or the directory of one that `run` ran.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.tar.gz", help="The archive.")],
    clean: Annotated[
        bool,
        typer.Option("--clean", help="Then remove a submitted campaign's jobs and their outputs; its records stay."),
    ] = False,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Put all records of a campaign that has ended into one file, read it back, and only then clear the launchpad."""
    here = in_directory(name, config_dir)
    file = writable_file(output).absolute()
    if here:
        contents, cleared = _of_directory(name, file, clean=clean), None
    else:
        contents, cleared = _of_cluster(name, file, config_dir, clean=clean)
    if as_json:
        removed = [] if cleared is None else [one.model_dump(mode="json") for one in cleared]
        show_json({"file": str(output), "collections": contents, "removed": removed})
        return
    counts = ", ".join(f"{one['documents']} {what}" for what, one in contents.items() if one["documents"])
    typer.echo(f"{output}: {counts}; read back and compared")
    for one in cleared or ():
        typer.echo(f"{one.name}: {one.fireworks} jobs, {one.chunks} chunks and {one.outputs} outputs removed")
    typer.echo(f"To look at it: tar xf {output} && definet-flows results {_folder(name)}")


def _of_directory(directory: str, file: Path, *, clean: bool) -> Contents:
    from definet_flows.records.archiving import write_archive
    from definet_flows.records.lock import is_held
    from definet_flows.records.store import LOCK_FILE, STORE_FOLDER, open_store

    if clean:
        raise InputError(
            "--clean clears a launchpad, which a campaign in a directory has none of; remove the directory."
        )
    if is_held(Path(directory) / STORE_FOLDER / LOCK_FILE):
        raise InputError(f"The campaign in {directory} is being run; wait for it, or stop it first.")
    with open_store(directory, read_only=True) as store:
        return write_archive(store, _folder(directory), file)


def _of_cluster(name: str, file: Path, config_dir: Path | None, *, clean: bool) -> tuple[Contents, list[Cleared]]:
    with opened_cluster(config_dir) as cluster:
        from definet_flows.launch.fireworks.clearing import check_ended, clear
        from definet_flows.records.archiving import write_archive

        found = submitted(cluster, name, or_directory=True)
        for one in found:
            check_ended(cluster, one, clean=clean)
        records = cluster.store.campaigns({"key": {"$in": [one.key for one in found]}})
        contents = write_archive(cluster.store, _folder(name), file, records)
        return contents, [clear(cluster, one) for one in found] if clean else []


def _folder(name: str) -> str:
    """What the archive unpacks to."""
    return Path(name).resolve().name if Path(name).is_dir() else name.replace("/", "-")
