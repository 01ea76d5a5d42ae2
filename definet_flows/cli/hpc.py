"""``hpc init``: the configuration of a cluster from a few answers; ``doctor``: what of it works."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from definet_flows.cli.campaigns import campaign_file
from definet_flows.cli.output import AsJson, show_json
from definet_flows.errors import InputError
from definet_flows.settings import settings

if TYPE_CHECKING:
    from definet_flows.launch.doctor import Finding
    from definet_flows.launch.hpc.cluster import ClusterSettings

hpc = typer.Typer(no_args_is_help=True)

ConfigDir = Annotated[
    Path | None,
    typer.Option("--config-dir", metavar="DIR", help="The configuration folder; by default ~/.definet-flows."),
]
Text = str | None
QUESTIONS = {
    "scheduler": "Scheduler (slurm or pbs)",
    "gpu_queue": "Partition or queue with GPUs, for predictions",
    "cpu_queue": "Partition or queue for relaxations",
    "account": "Account to charge (Enter for none)",
    "vasp_cmd": "Command that starts VASP (Enter for the scheduler's usual one)",
    "database_host": "Host of the MongoDB database",
}
NEEDED = ("scheduler", "gpu_queue", "cpu_queue", "database_host")
EXAMPLE = (
    "definet-flows hpc init --scheduler slurm --gpu-queue gpu --cpu-queue cpu --database-host db.example.org "
    "--vasp-cmd 'srun vasp_std' --cpu-cores 32 --module vasp/6.4.2"
)
MARKS = {"pass": "✓", "warn": "!", "fail": "✗", "not set up": "–"}


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(hpc, name="hpc", epilog=f"Example: {EXAMPLE}")
    hpc.callback()(_of_cluster)
    hpc.command("init", epilog=f"Example: {EXAMPLE}")(initialise)
    app.command("doctor", epilog="Example: definet-flows doctor --campaign vasp-mos2")(doctor)


def _of_cluster() -> None:
    """Set up a cluster: FireWorks, jobflow and atomate2."""


def initialise(
    config_dir: ConfigDir = None,
    scheduler: Annotated[Literal["slurm", "pbs"] | None, typer.Option(help="The queueing system.")] = None,
    gpu_queue: Annotated[Text, typer.Option(help="Partition or queue for predictions.")] = None,
    cpu_queue: Annotated[Text, typer.Option(help="Partition or queue for relaxations.")] = None,
    account: Annotated[Text, typer.Option(help="Account or project to charge.")] = None,
    gres: Annotated[str, typer.Option(help="What a GPU job asks for (Slurm).")] = "gpu:1",
    gpu_walltime: Annotated[str, typer.Option(help="Of a GPU job.")] = "01:00:00",
    cpu_walltime: Annotated[str, typer.Option(help="Of a CPU job.")] = "24:00:00",
    gpu_cores: Annotated[int, typer.Option(help="Cores of a GPU job.")] = 4,
    cpu_cores: Annotated[int, typer.Option(help="Cores of a CPU job on each node.")] = 16,
    nodes: Annotated[int, typer.Option(help="Nodes of a CPU job.")] = 1,
    gpu_memory: Annotated[Text, typer.Option(help="Memory of a GPU job, such as 32G.")] = None,
    cpu_memory: Annotated[Text, typer.Option(help="Memory of a CPU job on each node.")] = None,
    max_gpu_jobs: Annotated[int, typer.Option(help="GPU jobs in the queue at once.")] = 4,
    max_cpu_jobs: Annotated[int, typer.Option(help="CPU jobs in the queue at once.")] = 50,
    vasp_cmd: Annotated[Text, typer.Option(help="Starts VASP.")] = None,
    vasp_gamma_cmd: Annotated[Text, typer.Option(help="Starts the Γ-only VASP.")] = None,
    module: Annotated[list[str] | None, typer.Option(help="A module that VASP jobs load; repeatable.")] = None,
    database_host: Annotated[Text, typer.Option(help="Host, or mongodb:// or mongodb+srv:// address.")] = None,
    database_port: Annotated[int, typer.Option(help="Port of the database.")] = 27017,
    database_name: Annotated[str, typer.Option(help="Name of the database on it.")] = "definet_flows",
    database_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Client option such as tls=true; repeatable.")
    ] = None,
    login: Annotated[bool, typer.Option(help="Whether the database asks for a user and a password.")] = True,
    launch_dir: Annotated[Path | None, typer.Option(help="Where jobs run: shared by all nodes.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write a commented configuration folder; what is missing is asked for on a terminal."""
    given = {name: value for name, value in locals().items() if value is not None}
    from definet_flows.launch.hpc.folder import DEFAULT_FOLDER
    from definet_flows.launch.hpc.writing import write_configuration

    folder = config_dir or settings().config_dir or DEFAULT_FOLDER
    cluster = _cluster(given | _asked(given))
    for file in write_configuration(cluster, folder, force=force):
        typer.echo(str(file))
    _say_what_next(cluster, folder)


def doctor(
    config_dir: ConfigDir = None,
    campaign: Annotated[
        Text, typer.Option(metavar="CAMPAIGN", help="A campaign file: check its VASP commands and POTCARs too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check everything a campaign on a cluster stands on, each with what to do; fails if anything would not work."""
    from definet_flows.launch.doctor import Subject, examine
    from definet_flows.launch.hpc.folder import ConfigFolder

    folder = ConfigFolder.find(config_dir)
    if folder is not None:
        folder.use()
    plan = None
    if campaign is not None:
        from definet_flows.flows import load_campaign

        plan = load_campaign(campaign_file(campaign))
    findings = examine(Subject(folder, plan))
    if as_json:
        show_json([finding.model_dump() for finding in findings])
    else:
        _show(findings)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


def _asked(given: dict[str, Any]) -> dict[str, Any]:
    """What is needed and was not given, asked for where somebody can answer."""
    missing = {name: question for name, question in QUESTIONS.items() if name not in given}
    needed = [name for name in missing if name in NEEDED]
    if not needed:
        return {}
    if not sys.stdin.isatty():
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in needed)
        raise InputError(
            f"A cluster is not told by these options alone; add {flags} (on a terminal they are asked for)."
        )
    answers = {}
    for name, question in missing.items():
        answer = typer.prompt(question, default=None if name in NEEDED else "", show_default=False)
        if answer:
            answers[name] = answer
    return answers


def _cluster(given: dict[str, Any]) -> ClusterSettings:
    from pydantic import ValidationError

    from definet_flows.launch.hpc.cluster import ClusterSettings, parse_options

    gpus = given["gres"].rpartition(":")[2]
    content = {
        name: given.get(name) for name in ("scheduler", "account", "vasp_cmd", "vasp_gamma_cmd", "launch_dir")
    } | {
        "modules": given.get("module", ()),
        "gpu": {
            **{name: given.get(f"gpu_{name}") for name in ("queue", "walltime", "cores", "memory")},
            "gres": given["gres"],
            "gpus": int(gpus) if gpus.isdigit() else 1,
            "max_jobs": given["max_gpu_jobs"],
        },
        "cpu": {
            **{name: given.get(f"cpu_{name}") for name in ("queue", "walltime", "cores", "memory")},
            "nodes": given["nodes"],
            "max_jobs": given["max_cpu_jobs"],
        },
        "database": {
            **{name: given[f"database_{name}"] for name in ("host", "port", "name")},
            "login": given["login"],
            "options": parse_options(given.get("database_option", [])),
        },
    }
    try:
        return ClusterSettings.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def _say_what_next(cluster: ClusterSettings, folder: Path) -> None:
    from definet_flows.launch.hpc.credentials import PASSWORD_VARIABLE, USER_VARIABLE

    if cluster.database.login:
        typer.echo(f"Next: set {USER_VARIABLE} and {PASSWORD_VARIABLE} (env.sh says how), then")
    else:
        typer.echo("Next:")
    typer.echo(f"  source {folder}/env.sh && definet-flows doctor")


def _show(findings: Sequence[Finding]) -> None:
    group = None
    for finding in findings:
        if finding.group != group:
            group = finding.group
            typer.echo(group)
        typer.echo(f"  {MARKS[finding.state]} {finding.check}: {finding.message}")
        if finding.remedy:
            typer.echo(f"    → {finding.remedy}")
    counts = {state: sum(finding.state == state for finding in findings) for state in MARKS}
    typer.echo(", ".join(f"{count} {state}" for state, count in counts.items() if count))
