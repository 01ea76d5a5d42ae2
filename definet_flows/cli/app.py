"""The ``definet-flows`` command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

import definet_flows
from definet_flows.cli import (
    adoption,
    archiving,
    building,
    campaigns,
    cluster,
    configurations,
    energies,
    evaluation,
    figures,
    hpc,
    labels,
    live,
    models,
    prerelaxation,
    reports,
    results,
    studies,
    submission,
    training,
    validation,
    vasp,
)
from definet_flows.cli.failures import ReportingGroup, show_log_messages

app = typer.Typer(
    cls=ReportingGroup,
    name="definet-flows",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: definet-flows run demo --dir demo-run && definet-flows report demo-run",
)
for room in (
    configurations,
    prerelaxation,
    campaigns,
    submission,
    cluster,
    archiving,
    live,
    results,
    building,
    energies,
    adoption,
    reports,
    figures,
    labels,
    models,
    training,
    evaluation,
    studies,
    validation,
    vasp,
    hpc,
):
    room.register(app)

# The packages whose versions change what a run computes or stores.
VERSIONED = (
    *("torch", "numpy", "pymatgen", "spglib", "ase", "chgnet", "gpaw", "lightning"),
    *("jobflow", "atomate2", "custodian", "emmet-core", "fireworks", "maggma", "pymongo", "pydantic"),
)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    import platform
    from importlib.metadata import PackageNotFoundError, version

    typer.echo(f"definet-flows {definet_flows.__version__}")
    typer.echo(f"  python {platform.python_version()}")
    for package in VERSIONED:
        try:
            typer.echo(f"  {package} {version(package)}")
        except PackageNotFoundError:
            typer.echo(f"  {package} not installed")
    raise typer.Exit


@app.callback()
def start(
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Say more on stderr; twice for details.")
    ] = 0,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the versions that matter."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", hidden=True, help="Show tracebacks.")] = False,  # noqa: ARG001 - read by ReportingGroup
) -> None:
    """Screen point defects: enumerate, pre-relax with DefiNet, finish with a relaxation engine, show what was saved."""
    show_log_messages(verbose)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    arguments
        What follows the program's name; by default what the shell gave.

    Raises
    ------
    SystemExit
        Always: 0 done, 1 failed, 2 bad input, 130 interrupted.
    """
    app(args=None if arguments is None else list(arguments), prog_name="definet-flows")
