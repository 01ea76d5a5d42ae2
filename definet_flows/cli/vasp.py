"""``vasp-inputs``: what a campaign would give to VASP, to be looked at before anything runs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.campaigns import campaign_file
from definet_flows.cli.output import writable_folder
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.engines import VaspEngine
    from definet_flows.flows.campaign import Campaign


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    epilog = "Example: definet-flows vasp-inputs vasp-mos2 --dir inputs --count 3"
    app.command("vasp-inputs", epilog=epilog)(vasp_inputs)


def vasp_inputs(
    campaign: Annotated[
        str,
        typer.Argument(metavar="CAMPAIGN", help="A campaign file, or the name of one that ships, such as vasp-mos2."),
    ],
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="One folder per configuration goes here; by default files are shown."
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many of the configurations of each host.")] = 1,
    charge: Annotated[int, typer.Option(help="Charge of the cells; sets NELECT, for which POTCARs are needed.")] = 0,
) -> None:
    """Show or write INCAR, KPOINTS and POTCAR symbols of a campaign's first configurations, without running them."""
    from definet_flows.flows import load_campaigns
    from definet_flows.flows.hosts import naming

    plans = load_campaigns(campaign_file(campaign))
    if directory is not None:
        writable_folder(directory)
    for plan in plans:
        with naming(plan):
            folder = directory and directory / plan.name.removeprefix(f"{plan.title}/") if plan.screening else directory
            _inputs_of(plan, folder, count, charge)


def _inputs_of(plan: Campaign, directory: Path | None, count: int, charge: int) -> None:
    try:
        from definet_flows.engines.vasp.inputs.potcars import check_potcars
        from definet_flows.engines.vasp.inputs.sets import input_texts, poscar_order, write_inputs
    except ImportError as error:
        raise InputError(f"VASP inputs need atomate2 ({error}): pip install 'definet-flows[vasp]'.") from error
    host = plan.host.host()
    engine = _engine(plan).in_campaign(directory or Path(), host)
    for configuration in islice(plan.configurations.configurations(host), count):
        name = f"{configuration.label}-{configuration.id[:8]}"
        if charge:
            check_potcars(engine, [configuration.species[site] for site in poscar_order(configuration)])
        if directory is not None:
            write_inputs(engine, configuration, directory / name, charge)
            typer.echo(str(directory / name))
            continue
        shown = [(file, text) for file, text in input_texts(engine, configuration, charge).items() if file != "POSCAR"]
        typer.echo("\n".join(f"# {name}: {file}\n{text}" for file, text in shown))


def _engine(plan: Campaign) -> VaspEngine:
    """The campaign's VASP engine; the default one where it relaxes with another, which is said."""
    from definet_flows.engines import VaspEngine

    if isinstance(plan.engine, VaspEngine):
        return plan.engine
    typer.echo(
        f"{plan.name} relaxes with the {plan.engine.name} engine; with engine: {{name: vasp}} it would give this to VASP:",
        err=True,
    )
    return VaspEngine()
