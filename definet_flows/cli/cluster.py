"""``status``, ``stop``, ``resume`` and ``recover``: campaigns under way, on a cluster or, to look at, in a directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.output import AsJson, show_json, show_table, time_left
from definet_flows.cli.submission import ConfigDir, in_directory, opened_cluster, submitted

if TYPE_CHECKING:
    from definet_flows.launch.fireworks.recovery import Recovery
    from definet_flows.launch.status import CampaignStatus

LostAfter = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="A running job without a sign of life for so long is lost; FireWorks' RUN_EXPIRATION_SECS by default.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("status", epilog="Example: definet-flows status low-density-mos2")(status)
    app.command("stop", epilog="Example: definet-flows stop low-density-mos2 --now")(stop)
    app.command("resume", epilog="Example: definet-flows resume low-density-mos2")(resume)
    app.command("recover", epilog="Example: definet-flows recover low-density-mos2")(recover)


def status(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|DIR]",
            help="A submitted campaign, or the directory of one that `run` runs; all that were submitted by default.",
        ),
    ] = None,
    config_dir: ConfigDir = None,
    lost_after: LostAfter = None,
    as_json: AsJson = False,
) -> None:
    """Show how far campaigns have come, and what went wrong."""
    shown = _statuses(name, config_dir, lost_after)
    if as_json:
        show_json([one.model_dump(mode="json") for one in shown])
    elif not shown:
        typer.echo("No campaign was submitted to this launchpad.")
    else:
        _show_states(shown)
        for one in shown:
            _show_failures(one)


def _statuses(name: str | None, config_dir: Path | None, lost_after: float | None) -> list[CampaignStatus]:
    if name is not None and in_directory(name, config_dir):
        from definet_flows.launch.watching import status_of_directory

        return status_of_directory(name)
    with opened_cluster(config_dir) as cluster:
        from definet_flows.launch.fireworks.status import status_of

        found = submitted(cluster, name, or_directory=True)
        return [status_of(cluster, one, _expiration(lost_after)) for one in found]


def stop(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a submitted campaign.")],
    now: Annotated[
        bool, typer.Option("--now", help="Also take its jobs out of the queue, running ones included.")
    ] = False,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Let nothing of a campaign begin any more; what runs finishes. `resume` lets it go on."""
    with opened_cluster(config_dir) as cluster:
        from definet_flows.launch.fireworks.stopping import stop as stop_campaign

        outcomes = [stop_campaign(cluster, one, now=now) for one in submitted(cluster, name)]
    if as_json:
        show_json([one.model_dump(mode="json") for one in outcomes])
        return
    for one in outcomes:
        typer.echo(f"{one.name} is stopped: {one.held} jobs held, {one.waiting} chunks wait")
        if one.cancelled:
            typer.echo(f"{one.cancelled} jobs were taken out of the queue; recover them once it goes on")
        if one.running > one.cancelled:
            typer.echo(f"{one.running - one.cancelled} jobs run on and finish")
        if one.unreached:
            typer.echo(
                f"{one.unreached} jobs could not be taken out of the queue from this machine: no queue here knows of them"
            )
    typer.echo(f"To go on: definet-flows resume {name}")


def resume(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a submitted campaign.")],
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a stopped campaign go on where it was."""
    with opened_cluster(config_dir) as cluster:
        from definet_flows.launch.fireworks.stopping import resume as resume_campaign

        outcomes = [resume_campaign(cluster, one) for one in submitted(cluster, name)]
    if as_json:
        show_json([one.model_dump(mode="json") for one in outcomes])
        return
    for one in outcomes:
        typer.echo(
            f"{one.name} goes on: {one.freed} jobs that were held wait to be run, {one.released} chunks released"
        )


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
    with opened_cluster(config_dir) as cluster:
        from definet_flows.launch.fireworks.recovery import Rescue
        from definet_flows.launch.fireworks.recovery import recover as recover_campaign

        found = submitted(cluster, name)
        for one in found:
            one.check_going()
        rescue = Rescue(_expiration(lost_after), failed=failed, reason=reason, again=again)
        outcomes = [recover_campaign(cluster, one, rescue) for one in found]
    if as_json:
        shown = [outcome.model_dump(mode="json") for outcome in outcomes]
        show_json(shown if len(shown) > 1 else shown[0])
        return
    for outcome in outcomes:
        _show_recovery(outcome)


def _expiration(lost_after: float | None) -> float:
    from fireworks import fw_config

    return float(fw_config.RUN_EXPIRATION_SECS if lost_after is None else lost_after)


def _show_states(campaigns: list[CampaignStatus]) -> None:
    from definet_flows.launch.status import total_of

    several = len(campaigns) > 1
    listed = [*campaigns, total_of("total", campaigns)] if several else campaigns
    states = list(campaigns[0].states)
    standing = any(one.standing for one in campaigns)
    rows = [
        [
            *(one.name, one.n_configurations, *(one.states[state] for state in states)),
            *(one.per_hour, time_left(one.seconds_left), *([one.standing] if standing else [])),
        ]
        for one in listed
    ]
    show_table(["campaign", "configurations", *states, "runs/hour", "time left", *([""] if standing else [])], rows)


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
