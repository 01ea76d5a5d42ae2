"""``vasp-inputs``: what a campaign would give to VASP, to be looked at before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.campaigns import campaign_file
from definet_flows.cli.output import writable_folder
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.engines import VaspEngine
    from definet_flows.engines.vasp.inputs.sets import RunInputs
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
    elements: Annotated[
        bool,
        typer.Option("--elements", help="Also the first runs of the elements and compounds that `elements` relaxes."),
    ] = False,
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
            _show(_of_configurations(plan, count, charge), folder)
    if elements:
        _show(_of_phases(plans), directory)


def _show(listed: Iterator[tuple[str, RunInputs]], directory: Path | None) -> None:
    """Write or print the inputs of runs, each by its name."""
    try:
        from definet_flows.engines.vasp.inputs.sets import input_texts, write_inputs
    except ImportError as error:
        raise InputError(f"VASP inputs need atomate2 ({error}): pip install 'definet-flows[vasp]'.") from error
    for name, inputs in listed:
        if directory is not None:
            write_inputs(inputs, directory / name)
            typer.echo(str(directory / name))
            continue
        shown = [(file, text) for file, text in input_texts(inputs).items() if file != "POSCAR"]
        typer.echo("\n".join(f"# {name}: {file}\n{text}" for file, text in shown))


def _of_configurations(plan: Campaign, count: int, charge: int) -> Iterator[tuple[str, RunInputs]]:
    from definet_flows.engines.vasp.inputs.potcars import check_potcars
    from definet_flows.engines.vasp.inputs.sets import poscar_order, relaxation_inputs

    host = plan.host.host()
    engine = _engine(plan).in_campaign(Path(), host)
    for configuration in islice(plan.configurations.configurations(host), count):
        if charge:
            check_potcars(engine, [configuration.species[site] for site in poscar_order(configuration)])
        name = f"{configuration.label}-{configuration.id[:8]}"
        yield name, relaxation_inputs(engine, configuration, host.positions, charge)


def _of_phases(plans: list[Campaign]) -> Iterator[tuple[str, RunInputs]]:
    from definet_flows.engines.elements import own_density
    from definet_flows.engines.elements.vasp import PhaseJob
    from definet_flows.flows.elements import phases_of

    engine = _engine(plans[0])
    for phase in phases_of(plans).values():
        density = own_density(engine, phase, plans[0].elements.kpoint_density)
        yield phase.element, PhaseJob.first(engine, phase, density).inputs(None)


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
