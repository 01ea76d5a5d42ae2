"""``vasp-inputs``: what a campaign would give to VASP, to be looked at before anything runs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from definet_flows.cli.campaigns import campaign_file
from definet_flows.cli.output import writable_folder
from definet_flows.errors import InputError


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    epilog = "Example: definet-flows vasp-inputs vasp-mos2 --dir inputs --count 3"
    app.command("vasp-inputs", epilog=epilog)(vasp_inputs)


def vasp_inputs(
    campaign: Annotated[
        str,
        typer.Argument(metavar="CAMPAIGN", help="A campaign file, or the name of one that ships, such as vasp-mos2."),
    ],
    directory: Annotated[Path, typer.Option("--dir", metavar="DIR", help="One folder per configuration goes here.")],
    count: Annotated[int, typer.Option(min=1, help="How many of the campaign's configurations.")] = 1,
) -> None:
    """Write INCAR, KPOINTS, POSCAR and the POTCAR symbols of a campaign's first configurations, without running them."""
    from definet_flows.engines import VaspEngine
    from definet_flows.flows import load_campaign

    plan = load_campaign(campaign_file(campaign))
    if not isinstance(plan.engine, VaspEngine):
        raise InputError(
            f"{campaign} relaxes with the {plan.engine.name} engine; write engine: {{name: vasp}} for VASP."
        )
    try:
        from definet_flows.engines.vasp.inputs.sets import write_inputs
    except ImportError as error:
        raise InputError(f"VASP inputs need atomate2 ({error}): pip install 'definet-flows[vasp]'.") from error
    writable_folder(directory)
    host = plan.host.host()
    engine = plan.engine.in_campaign(directory, host)
    for configuration in islice(plan.configurations.configurations(host), count):
        folder = directory / f"{configuration.label}-{configuration.id[:8]}"
        write_inputs(engine, configuration, folder)
        typer.echo(str(folder))
