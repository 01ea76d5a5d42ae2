"""``top``: a campaign on the terminal while it runs."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.output import WIDTH_WITHOUT_TERMINAL, time_left
from definet_flows.cli.reports import BUSY_SHARE, revision_of
from definet_flows.cli.results import Place
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from definet_flows.analysis.results import CampaignResults
    from definet_flows.launch.status import CampaignStatus

LATEST = 5
"""Failures that are listed."""


@dataclass(frozen=True)
class Seen:
    """What a look at the records found.

    Attributes
    ----------
    campaigns
        How far each campaign has come, and its results.
    seconds
        What the look took.
    """

    campaigns: list[tuple[CampaignStatus, CampaignResults]]
    seconds: float


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("top", epilog="Example: definet-flows top demo-run")(top)


def top(
    place: Place,
    interval: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Between looks at the records.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
) -> None:
    """Show a campaign on the terminal while it runs: states, rate, time left, failures, savings; q or Ctrl-C ends it."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL)
    if once or not console.is_terminal:
        console.print(frame(place, _look(place)))
        return
    seen, revision = _look(place), revision_of(place)
    screen = Live(frame(place, seen), console=console, screen=True, auto_refresh=False)
    with suppress(KeyboardInterrupt), screen, _keys() as pressed:
        while pressed(max(interval, seen.seconds / BUSY_SHARE)) != "q":
            now = revision_of(place)
            if now != revision:
                seen, revision = _look(place), now
            screen.update(frame(place, seen), refresh=True)


def frame(place: str, seen: Seen) -> RenderableType:
    """One picture of the campaigns of a store."""
    from rich.console import Group
    from rich.text import Text

    clock = Text(f"{place}   {time.strftime('%H:%M:%S')}   q ends", style="bold", overflow="ellipsis", no_wrap=True)
    parts: list[RenderableType] = [clock, _states([status for status, _ in seen.campaigns])]
    for status, results in seen.campaigns:
        parts += [_bar(status), *(Text(line) for line in _savings(results)), Text("")]
    failures = _failures([results for _, results in seen.campaigns])
    return Group(*parts, *([failures] if failures is not None else []))


def _look(place: str) -> Seen:
    from definet_flows.analysis.results import campaign_results
    from definet_flows.launch.watching import is_under_way, status_of_records
    from definet_flows.records.store import open_store

    began = time.monotonic()
    under_way = is_under_way(place)
    with open_store(place, read_only=True) as store:
        records = store.campaigns()
        if not records:
            raise InputError(f"{store.location} holds no campaign yet; run one with --dir {store.location} first.")
        found = [
            (
                status_of_records(store, record, place, under_way=under_way),
                campaign_results(store, record.name),
            )
            for record in records
        ]
    return Seen(found, time.monotonic() - began)


def _states(statuses: list[CampaignStatus]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    states = [
        state for state in statuses[0].states if state == "converged" or any(one.states[state] for one in statuses)
    ]
    table.add_column("campaign", no_wrap=True, max_width=30)
    for name in ("configurations", *states, "runs/hour", "time left", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for one in statuses:
        rate = "–" if one.per_hour is None else f"{one.per_hour:.3g}"
        numbers = (one.n_configurations, *(one.states[state] for state in states))
        cells = (*map(str, numbers), rate, time_left(one.seconds_left) or "–", one.standing or "")
        table.add_row(Text(one.name), *cells)
    return table


def _bar(status: CampaignStatus) -> Table:
    """How much is done."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    done = status.n_configurations - status.n_left
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(status.n_configurations, 1), completed=done, width=40)
    grid.add_column(no_wrap=True, max_width=30)
    grid.add_row(Text(status.name), bar, f"{done} of {status.n_configurations} configurations done")
    return grid


def _savings(results: CampaignResults) -> Iterator[str]:
    from definet_flows.analysis.wording import listed, percent, saved_core_hours

    if not results.rows:
        yield "  no configuration has been relaxed from both starts yet"
        return
    row = results.rows[-1]
    yield (
        f"  ionic steps saved so far: {percent(row.reduction_of_totals, row.totals_interval)} over {row.pairs} pairs, "
        f"median {row.median_unrelaxed:g} → {row.median_prerelaxed:g}; same minimum {row.same_minimum} of {row.pairs}"
    )
    yield f"  losers: {listed(row.losers)}"
    if results.account.measured is not None:
        yield f"  core-hours saved so far: {saved_core_hours(results.account.measured)}"


def _failures(campaigns: list[CampaignResults]) -> Table | None:
    """The latest runs that did not converge, or None where all did."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    runs = [run for results in campaigns for run in results.relaxations if results.is_current(run)]
    lost = sorted((run for run in runs if run.state != "converged"), key=lambda run: run.last_updated)
    if not lost:
        return None
    table = Table(box=box.SIMPLE_HEAD, title="latest failures", title_justify="left")
    for name in ("when (UTC)", "defects", "configuration", "start", "why"):
        table.add_column(name, no_wrap=name != "why")
    for run in reversed(lost[-LATEST:]):
        texts = (run.last_updated[11:19], run.label, run.configuration_id, run.start, run.reason or run.state)
        table.add_row(*map(Text, texts))
    return table


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Gives what waits for a key some seconds, without Enter; the terminal is as before when it ends."""
    import termios
    import tty

    if not sys.stdin.isatty():
        yield _no_key
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield _key
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _key(seconds: float) -> str:
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return os.read(sys.stdin.fileno(), 1).decode(errors="replace").lower() if ready else ""


def _no_key(seconds: float) -> str:
    time.sleep(seconds)
    return ""
