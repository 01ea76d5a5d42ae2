"""``submit``: a campaign handed to a cluster; and what commands about clusters have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from definet_flows.cli.campaigns import campaign_file
from definet_flows.cli.output import AsJson, show_json
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.flows import Campaign
    from definet_flows.launch.fireworks.cluster import Cluster
    from definet_flows.launch.fireworks.estimate import Estimate
    from definet_flows.launch.fireworks.submissions import Submission
    from definet_flows.launch.fireworks.submitting import Plan

ConfigDir = Annotated[
    Path | None,
    typer.Option(
        "--config-dir",
        metavar="DIR",
        help="Configuration folder of `hpc init`; by default DEFINET_FLOWS_CONFIG_DIR or ~/.definet-flows.",
    ),
]
WithElements = Annotated[
    bool,
    typer.Option("--elements", help="Also relax the elements and compounds that formation energies are counted from."),
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("submit", epilog="Example: definet-flows submit low-density-mos2 --dir /scratch/me/mos2 --dry-run")(
        submit
    )


def submit(
    campaign: Annotated[
        str, typer.Argument(metavar="CAMPAIGN", help="A campaign file, or the name of one that ships.")
    ],
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="Where its runs go, on a file system that all nodes see; by default a folder of its name here.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be submitted.")] = False,
    priority: Annotated[
        int | None,
        typer.Option(help="Jobs of the highest go first; in place of the campaign file's resources.priority."),
    ] = None,
    elements: WithElements = False,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Hand a campaign to a cluster, or what is missing of it: what is on record or on its way is not run twice."""
    loaded = _with_priority(_loaded(campaign), priority)
    title = loaded[0].title
    with opened_cluster(config_dir) as cluster:
        from definet_flows.launch.fireworks import submitting

        plans = [_planned(one, cluster, directory or Path(title)) for one in loaded]
        costs = [_costs(plan, cluster) for plan in plans]
        n_submitted = 0 if dry_run else sum(submitting.submit(plan, cluster) for plan in plans)
        phases = _elements(loaded, plans[0], cluster, dry_run=dry_run) if elements else []
    if as_json:
        facts = [_facts(plan, cost) for plan, cost in zip(plans, costs, strict=True)]
        show_json(_facts_of_all(title, facts) | {"submitted": n_submitted, "elements": phases})
        return
    for plan, cost in zip(plans, costs, strict=True):
        _show_plan(plan, cost)
    _show_outcome(title, plans, n_submitted, phases, dry_run=dry_run)


def _elements(campaigns: list[Campaign], plan: Plan, cluster: Cluster, *, dry_run: bool) -> list[str]:
    from definet_flows.launch.fireworks.elements import missing_phases, submit_elements

    if dry_run:
        return [phase.element for phase in missing_phases(campaigns, cluster).values()]
    return submit_elements(campaigns, plan.submission, cluster)


def _planned(campaign: Campaign, cluster: Cluster, directory: Path) -> Plan:
    from definet_flows.flows.hosts import naming
    from definet_flows.launch.fireworks.submitting import plan_submission

    with naming(campaign):
        return plan_submission(campaign, cluster, directory)


def _costs(plan: Plan, cluster: Cluster) -> dict[str, Estimate]:
    from definet_flows.launch.fireworks.estimate import core_hours, gpu_hours

    return {"GPU-hours": gpu_hours(plan, cluster.store), "core-hours": core_hours(plan, cluster.store)}


@contextmanager
def opened_cluster(config_dir: Path | None) -> Iterator[Cluster]:
    """The launchpad and the results of a configuration folder.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    from definet_flows.launch.hpc.folder import ConfigFolder

    folder = ConfigFolder.find(config_dir)
    if folder is None:
        raise InputError(
            "No cluster is configured: definet-flows hpc init writes a configuration folder, or --config-dir names one."
        )
    folder.use()  # before anything imports FireWorks
    from definet_flows.launch.fireworks.cluster import Cluster

    with Cluster.open(folder) as cluster:
        yield cluster


def in_directory(name: str, config_dir: Path | None) -> bool:
    """Whether a campaign is named by the directory it runs in; else by what it was submitted as.

    Raises
    ------
    InputError
        If it is neither, as far as that can be told without asking the launchpad.
    """
    from definet_flows.launch.hpc.folder import ConfigFolder
    from definet_flows.launch.watching import is_campaign_directory

    if config_dir is not None or is_campaign_directory(name):
        return config_dir is None
    if name.startswith(("/", ".", "~")) or ConfigFolder.find() is None:
        trouble = f"{name} holds no campaign" if Path(name).exists() else f"There is no directory {name}"
        raise InputError(
            f"{trouble}; give the directory that `run --dir` was given, or, once hpc init has set up a cluster, the name of a "
            "submitted campaign."
        )
    return False


def submitted(cluster: Cluster, name: str | None, *, or_directory: bool = False) -> list[Submission]:
    """The campaign of a name, or those of all hosts of a file of that name; without a name, all that were submitted.

    Parameters
    ----------
    cluster, name
        Where to look, and for what.
    or_directory
        The name could have been that of a directory, and `in_directory` has said that it is not.

    Raises
    ------
    InputError
        If none was submitted under that name.
    """
    from definet_flows.launch.fireworks.submissions import submissions, submissions_named

    with cluster.answering():
        try:
            return submissions(cluster.launchpad) if name is None else submissions_named(cluster.launchpad, name)
        except InputError as error:
            if or_directory:
                raise InputError(f"{str(error).rstrip('.')}; and no directory {name} holds a campaign.") from error
            raise


def _loaded(name: str) -> list[Campaign]:
    from definet_flows.flows import load_campaigns

    return load_campaigns(campaign_file(name))


def _with_priority(campaigns: list[Campaign], priority: int | None) -> list[Campaign]:
    if priority is None:
        return campaigns
    resources = campaigns[0].resources.model_copy(update={"priority": priority})
    return [one.model_copy(update={"resources": resources}) for one in campaigns]


def _facts(plan: Plan, costs: dict[str, Estimate]) -> dict[str, Any]:
    resources = plan.submission.plan.resources
    return {
        "name": plan.submission.name,
        "configurations": plan.n_configurations,
        "on_record": plan.n_recorded,
        "under_way": plan.n_under_way,
        "to_submit": plan.n_new,
        "from_both_starts": plan.n_baseline,
        "chunks": len(plan.chunks),
        "chunk_size": resources.chunk_size,
        "at_once": resources.max_active,
        "directory": plan.submission.place["directory"],
        "estimates": {what: {"hours": cost.hours, "basis": cost.basis} for what, cost in costs.items()},
    }


def _facts_of_all(title: str, members: list[dict[str, Any]]) -> dict[str, Any]:
    """The facts of the only host, or those of each and their sums."""
    if len(members) == 1:
        return members[0]
    summed = ("configurations", "on_record", "under_way", "to_submit", "from_both_starts", "chunks")
    return {"name": title, **{what: sum(one[what] for one in members) for what in summed}, "hosts": members}


def _show_outcome(title: str, plans: list[Plan], n_submitted: int, phases: list[str], *, dry_run: bool) -> None:
    if phases:
        typer.echo(f"Elements and compounds {'to submit' if dry_run else 'submitted'}: {', '.join(phases)}")
    if len(plans) > 1:
        counts = [sum(getattr(plan, what) for plan in plans) for what in ("n_configurations", "n_recorded", "n_new")]
        typer.echo(f"{title}, all hosts: {counts[0]} configurations, {counts[1]} on record, {counts[2]} to submit")
    if dry_run:
        typer.echo("Nothing was submitted.")
    elif n_submitted:
        typer.echo(f"{n_submitted} configurations submitted. Next: definet-flows status {title}")
    else:
        typer.echo(f"There was nothing to submit. See definet-flows status {title}")


def _show_plan(plan: Plan, costs: dict[str, Estimate]) -> None:
    resources = plan.submission.plan.resources
    typer.echo(
        f"{plan.submission.name}: {plan.n_configurations} configurations, {plan.n_recorded} on record, "
        f"{plan.n_under_way} on their way, {plan.n_new} to submit"
    )
    if not plan.chunks:
        return
    typer.echo(
        f"{len(plan.chunks)} prediction jobs of up to {resources.chunk_size} configurations; jobs of about "
        f"{resources.max_active} configurations at once; {plan.n_baseline} configurations from both starts"
    )
    for what, cost in costs.items():
        amount = "unknown" if cost.hours is None else f"{cost.hours:.3g}"
        typer.echo(f"Estimated {what}: {amount} ({cost.basis})")
    typer.echo(f"Runs go to {plan.submission.place['directory']}")
