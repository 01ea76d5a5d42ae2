"""``run``: a campaign file carried out on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.output import show_json, show_table, writable_folder
from definet_flows.errors import InputError
from definet_flows.settings import workflows_directory

if TYPE_CHECKING:
    from definet_flows.launch.progress import Progress
    from definet_flows.launch.summary import CampaignSummary

STAGES = {
    "host": "relaxing the pristine cell",
    "generate": "listing configurations",
    "model": "loading the checkpoint",
    "prerelax": "predicting",
    "relax": "relaxing",
}
LINES_PER_STAGE = 10
"""Without a terminal, progress is a line now and then instead of a bar."""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("run", epilog="Example: definet-flows run demo --dir demo-run --workers 2")(run)


def run(
    campaign: Annotated[
        str, typer.Argument(metavar="CAMPAIGN", help="A campaign file, or the name of one that ships, such as demo.")
    ],
    directory: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where its results go; one campaign each.")],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Relaxations side by side; by default as many as fit the cores.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed relaxations once more.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run a campaign, or what is missing of it: the same command goes on where an earlier one stopped."""
    path = campaign_file(campaign)
    from definet_flows.flows import load_campaigns
    from definet_flows.launch.local import run_campaigns
    from definet_flows.launch.summary import total_of

    plans = load_campaigns(path)
    writable_folder(directory)
    with progress_shown() as on_progress:
        members = run_campaigns(plans, directory, workers, on_progress, retry_failed=retry_failed)
    several = plans[0].screening is not None
    summary = total_of(plans[0].title, members) if several else members[0]
    if as_json:
        content = summary.model_dump(mode="json", exclude={"savings"})
        parts = [one.model_dump(mode="json", exclude={"savings"}) for one in members]
        show_json(content | ({"hosts": parts} if several else {}))
        return
    if several:
        _show_members(members)
    _show_summary(summary, directory)


def campaign_file(name: str) -> Path:
    """The file that a path or the name of a shipped campaign means.

    Raises
    ------
    InputError
        If there is neither; the message offers the nearest names.
    """
    path = Path(name)
    if path.suffix or path.is_file() or "/" in name:
        return path
    shipped = {file.stem: file for file in workflows_directory().glob("*.yaml")}
    if name not in shipped:
        near = get_close_matches(name, shipped, n=3) or sorted(shipped)
        raise InputError(f"No campaign called '{name}' ships; give the path of a campaign file, or {', '.join(near)}.")
    return shipped[name]


def _show_members(members: Sequence[CampaignSummary]) -> None:
    counts = ("n_configurations", "n_relaxations", "converged", "unconverged", "failed", "n_run")
    columns = ("host", *(name.removeprefix("n_") for name in counts[:-1]), "run now")
    show_table(columns, [[one.name, *(getattr(one, name) for name in counts)] for one in members])


def _show_summary(summary: CampaignSummary, directory: Path) -> None:
    states = f"{summary.converged} converged, {summary.unconverged} unconverged, {summary.failed} failed"
    typer.echo(
        f"{summary.name}: {summary.n_configurations} configurations, {summary.n_relaxations} relaxations ({states})"
    )
    typer.echo(f"{summary.n_run} run now in {_clock(summary.wall_seconds)}, {summary.n_skipped} on record before")
    if summary.n_fallbacks:
        typer.echo(f"{summary.n_fallbacks} predictions were refused by the guard and started unrelaxed")
    typer.echo(f"Next: definet-flows report {directory}")


@contextmanager
def progress_shown() -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal's stderr, lines elsewhere; results on stdout stay clean."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks = {}

        def show(progress: Progress) -> None:
            doing = _doing(progress)
            if doing not in tasks:
                tasks[doing] = bars.add_task(doing, pace="")
            bars.update(tasks[doing], total=progress.total, completed=progress.done, pace=pace(progress))

        yield show


class _Lines:
    """Reports progress in lines, about ten per stage."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def __call__(self, progress: Progress) -> None:
        tenth = LINES_PER_STAGE * progress.done // max(progress.total, 1)
        doing = _doing(progress)
        if self._told.get(doing) != tenth:
            self._told[doing] = tenth
            counts = f"{progress.done}/{progress.total}"
            typer.echo(f"{doing}: {counts} {pace(progress)}".rstrip(), err=True)


def _doing(progress: Progress) -> str:
    return f"{progress.member} {STAGES[progress.stage]}".lstrip()


def pace(progress: Progress) -> str:
    """Rate, time left and failures of a stage, as far as they are known."""
    parts = []
    if progress.rate is not None and progress.total > 1:
        per_minute = 60 * progress.rate
        parts.append(f"{per_minute:.1f}/min" if per_minute < 100 else f"{progress.rate:.0f}/s")
    if progress.seconds_left:
        parts.append(f"{_clock(progress.seconds_left)} left")
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
