"""``submit``, ``status`` and ``recover``: campaigns on a cluster, through FireWorks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.campaigns import campaign_file
from definet_flows.cli.output import show_json, show_table
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.launch.fireworks.cluster import Cluster
    from definet_flows.launch.fireworks.estimate import Estimate
    from definet_flows.launch.fireworks.recovery import Recovery
    from definet_flows.launch.fireworks.status import CampaignStatus
    from definet_flows.launch.fireworks.submitting import Plan

ConfigDir = Annotated[
    Path | None,
    typer.Option(
        "--config-dir",
        metavar="DIR",
        help="Configuration folder of `hpc init`; by default DEFINET_FLOWS_CONFIG_DIR or ~/.definet-flows.",
    ),
]
LostAfter = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="A running job without a sign of life for so long is lost; FireWorks' RUN_EXPIRATION_SECS by default.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("submit", epilog="Example: definet-flows submit low-density-mos2 --dir /scratch/me/mos2 --dry-run")(
        submit
    )
    app.command("status", epilog="Example: definet-flows status low-density-mos2")(status)
    app.command("recover", epilog="Example: definet-flows recover low-density-mos2")(recover)


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
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Hand a campaign to a cluster, or what is missing of it: what is on record or on its way is not run twice."""
    path = campaign_file(campaign)
    from definet_flows.flows import load_campaign

    loaded = load_campaign(path)
    with _cluster(config_dir) as cluster:
        from definet_flows.launch.fireworks import estimate, submitting

        plan = submitting.plan_submission(loaded, cluster, directory or Path(loaded.name))
        costs = {
            "GPU-hours": estimate.gpu_hours(plan, cluster.store),
            "core-hours": estimate.core_hours(plan, cluster.store),
        }
        n_submitted = 0 if dry_run else submitting.submit(plan, cluster)
    if as_json:
        show_json(_facts(plan, costs) | {"submitted": n_submitted})
        return
    _show_plan(plan, costs)
    if dry_run:
        typer.echo("Nothing was submitted.")
    elif n_submitted:
        typer.echo(f"{n_submitted} configurations submitted. Next: definet-flows status {loaded.name}")
    else:
        typer.echo(f"There was nothing to submit. See definet-flows status {loaded.name}")


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of a submitted campaign; all by default.")
    ] = None,
    config_dir: ConfigDir = None,
    lost_after: LostAfter = None,
    as_json: AsJson = False,
) -> None:
    """Show how far submitted campaigns have come, and what went wrong."""
    with _cluster(config_dir) as cluster:
        from definet_flows.launch.fireworks.status import status_of, submission_named, submissions

        with cluster.answering():
            found = [submission_named(cluster.launchpad, name)] if name else submissions(cluster.launchpad)
        shown = [status_of(cluster, one, _expiration(lost_after)) for one in found]
    if as_json:
        show_json([one.model_dump(mode="json") for one in shown])
    elif not shown:
        typer.echo("No campaign was submitted to this launchpad.")
    else:
        _show_states(shown)
        for one in shown:
            _show_failures(one)


def recover(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a submitted campaign.")],
    failed: Annotated[
        bool, typer.Option("--failed", help="Also run relaxations again whose record says that they failed.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only jobs whose reason contains this text.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also jobs that were recovered before.")] = False,
    config_dir: ConfigDir = None,
    lost_after: LostAfter = None,
    as_json: AsJson = False,
) -> None:
    """Put lost and crashed runs on record with what they left behind, and queue them again, once each."""
    with _cluster(config_dir) as cluster:
        from definet_flows.launch.fireworks.recovery import Rescue
        from definet_flows.launch.fireworks.recovery import recover as recover_campaign
        from definet_flows.launch.fireworks.status import submission_named

        with cluster.answering():
            submission = submission_named(cluster.launchpad, name)
        rescue = Rescue(_expiration(lost_after), failed=failed, reason=reason, again=again)
        outcome = recover_campaign(cluster, submission, rescue)
    if as_json:
        show_json(outcome.model_dump(mode="json"))
    else:
        _show_recovery(outcome)


@contextmanager
def _cluster(config_dir: Path | None) -> Iterator[Cluster]:
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


def _expiration(lost_after: float | None) -> float:
    from fireworks import fw_config

    return float(fw_config.RUN_EXPIRATION_SECS if lost_after is None else lost_after)


def _facts(plan: Plan, costs: dict[str, Estimate]) -> dict[str, object]:
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


def _show_states(campaigns: list[CampaignStatus]) -> None:
    states = list(campaigns[0].states)
    rows = [
        [one.name, one.n_configurations, *(one.states[state] for state in states), one.per_hour, _time_left(one)]
        for one in campaigns
    ]
    show_table(["campaign", "configurations", *states, "runs/hour", "time left"], rows)


def _time_left(campaign: CampaignStatus) -> str | None:
    if campaign.seconds_left is None:
        return None
    hours = campaign.seconds_left / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def _show_failures(campaign: CampaignStatus) -> None:
    for group in campaign.failures:
        roles = ", ".join(f"{count} {role}" for role, count in group.roles.items())
        typer.echo(f"{group.count} failed ({roles}): {group.reason}")
        if group.examples:
            typer.echo(f"  such as {', '.join(group.examples)}")
        typer.echo(f"  again: {group.command}")


def _show_recovery(outcome: Recovery) -> None:
    typer.echo(f"{outcome.name}: {outcome.lost} lost, {outcome.crashed} crashed, {outcome.failed} failed by record")
    if outcome.mended or outcome.dropped:
        typer.echo(f"{outcome.mended} left half-written and put right, {outcome.dropped} dropped by the queue")
    typer.echo(f"{outcome.requeued} queued again, {outcome.recorded} of them put on record first")
    if outcome.given_up:
        typer.echo(f"{outcome.given_up} were recovered before and left alone; --again takes them too")
    if outcome.released_chunks:
        typer.echo(f"{outcome.released_chunks} chunks released")
