"""``report``: what a campaign saved, as a table, a figure and a page; once, or again and again while it runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.output import AsJson, show_json, show_table, writable_file
from definet_flows.cli.results import Place

if TYPE_CHECKING:
    from definet_flows.analysis import SavingsRow
    from definet_flows.analysis.accounting import CampaignAccount
    from definet_flows.analysis.report import Live
    from definet_flows.analysis.results import CampaignResults
    from definet_flows.records.energetics import ElementTable

FIGURE_FILE = "ionic_steps.png"
PAGE_FILE = "report.html"
BUSY_SHARE = 0.2
"""Of the time, at most, goes into reading the records of a large store while its campaign runs."""

CampaignName = Annotated[
    str | None, typer.Option("--campaign", metavar="NAME", help="Which campaign, where the results are of several.")
]

FigureFile = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE.png", help="The figure; by default in DIR, or here.")
]
PageFile = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE.html", help="The page, one file for any browser; by default beside the figure."
    ),
]

Elements = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="For the page: energies of elements and compounds; else those that `elements` left."
    ),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", help="Only the page, written anew while the campaign runs, until it is done or Ctrl-C."),
]
Interval = Annotated[
    float, typer.Option(min=0.1, metavar="SECONDS", help="With --watch: between looks at the records.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("report", epilog="Example: definet-flows report demo-run --html demo.html")(report)


def report(
    place: Place,
    campaign_name: CampaignName = None,
    figure: FigureFile = None,
    page: PageFile = None,
    elements: Elements = None,
    watch: Watch = False,
    interval: Interval = 30.0,
    as_json: AsJson = False,
) -> None:
    """Show what a campaign saved, losers counted; draw the ionic steps from both starts and write it all as a page."""
    from definet_flows.analysis.report.document import plotly_source
    from definet_flows.records.address import is_database
    from definet_flows.records.energetics import read_element_table
    from definet_flows.records.store import open_store

    if not is_database(place):
        open_store(place, read_only=True).close()  # before a folder is made for the page
    figure = figure or (Path() if is_database(place) else Path(place)) / FIGURE_FILE
    page = writable_file(page or figure.with_name(PAGE_FILE))
    table = None if elements is None else read_element_table(elements)
    plotly_source()  # what is missing is told before the work is done
    if watch:
        _watch(Source(place, campaign_name, table), page, interval)
        return
    writable_file(figure)
    results = Source(place, campaign_name, table).settled(page)
    files = {"Figure": figure} if _draw(results, figure) else {}
    _show(results, files | {"Page": page}, as_json=as_json)


@dataclass(frozen=True)
class Source:
    """What a page is made from.

    Parameters
    ----------
    place
        Results store.
    name
        Of the campaign; None where there is one only.
    elements
        Table of elemental energies, beside those that the store holds.
    """

    place: str
    name: str | None
    elements: ElementTable | None

    def settled(self, page: Path, live: Live | None = None) -> CampaignResults:
        """A campaign's results, its page written."""
        from definet_flows.analysis.report import report_page, write_page
        from definet_flows.analysis.results import campaign_results
        from definet_flows.records.store import open_store

        with open_store(self.place, read_only=True) as store:
            results = campaign_results(store, self.name)
            write_page(report_page(store, results, live, self.elements), page)
        return results


def _show(results: CampaignResults, files: dict[str, Path], *, as_json: bool) -> None:
    if as_json:
        named = {name.lower(): str(path) for name, path in files.items()}
        rows = [asdict(row) for row in results.rows]
        account = {"charged": [asdict(row) for row in results.charged_rows], "account": asdict(results.account)}
        hosts = {one.campaign.name: [asdict(row) for row in one.rows] for one in results.members}
        several = {"hosts": hosts} if hosts else {}
        show_json({"campaign": results.campaign.name, **named, "rows": rows, **account, **several})
        return
    if results.members:
        _show_members(results)
    if results.rows:
        show_savings(results.rows, results.title)
    else:
        typer.echo(f"{results.title}\nNo configuration has been relaxed from both starts yet: nothing to compare.")
    if results.charged_rows:
        show_savings(results.charged_rows, "Charged cells, which the checkpoint was not trained on, in no number above")
    show_account(results.account)
    typer.echo("\n".join(f"{name}: {path}" for name, path in files.items()))


def _show_members(results: CampaignResults) -> None:
    """A line for each host, and the total."""
    lines: list[tuple[str | float | None, ...]] = []
    for one in (*results.members, results):
        measured, row = one.account.measured, one.rows[-1] if one.rows else None
        fewer = None if row is None else f"{row.reduction_of_totals:.0%}"
        saved = None if measured is None else measured.core_hours
        name = "total" if one is results else one.campaign.name
        counts = len(one.campaign.configuration_ids), len(one.relaxations), 0 if row is None else row.pairs
        lines.append((name, *counts, fewer, saved))
    show_table(("host", "configurations", "relaxations", "pairs", "fewer steps", "core-hours saved"), lines)


def _draw(results: CampaignResults, path: Path) -> bool:
    """Whether there was anything to draw."""
    from definet_flows.analysis.figures import pairs_table, plot_ionic_steps
    from definet_flows.analysis.table import all_trained_on

    if not results.savings:
        return False
    remark = ", trained on all of these" if all_trained_on(results.rows) else ""
    plot_ionic_steps(pairs_table([results]), path, title=results.title + remark)
    return True


def _watch(source: Source, page: Path, interval: float) -> None:
    """Write the page whenever the records have changed; at the end once more, as one that stays as it is."""
    from definet_flows.analysis.report import Live

    seen, pause = object(), interval
    typer.echo(f"Open {page} in a browser; Ctrl-C ends the watch.")
    try:
        while True:
            now = revision_of(source.place)
            if now != seen:
                seen, began = now, time.monotonic()
                results = source.settled(page, Live(interval))
                left = _left(source.place, results)
                done = len(results.campaign.configuration_ids) - left
                typer.echo(f"{time.strftime('%H:%M:%S')} {done} configurations done, {left} left")
                if not left:
                    break
                pause = max(interval, (time.monotonic() - began) / BUSY_SHARE)
            time.sleep(pause)
    except KeyboardInterrupt:
        typer.echo("The watch is over; the page stays as it is.")
    source.settled(page)


def revision_of(place: str) -> object:
    """What differs after any write to a store, and does not without one."""
    from definet_flows.records.revision import revision
    from definet_flows.records.store import open_store

    with open_store(place, read_only=True) as store:
        return revision(store)


def _left(place: str, results: CampaignResults) -> int:
    """Configurations of which a run is still to end."""
    from definet_flows.launch.watching import status_of_records
    from definet_flows.records.store import open_store

    with open_store(place, read_only=True) as store:
        hosts = [one.campaign for one in results.members or [results]]
        return sum(status_of_records(store, one, place).n_left for one in hosts)


def show_savings(rows: Sequence[SavingsRow], title: str) -> None:
    """Print the savings table and its losers."""
    from definet_flows.analysis.table import all_trained_on
    from definet_flows.analysis.wording import listed

    columns = (
        *("clusters", "pairs", "to\neV/Å", "median\nsteps", "\nfewer"),
        *("total\nsteps", "fewer, with\n95 % interval", "same\nminimum"),
    )
    lines, above = [], ""
    for row in rows:
        named = ("", "") if row.clusters == above else (row.clusters, str(row.pairs))
        above = row.clusters
        lines.append((*named, *_cells(row)))
    show_table(columns, lines, title)
    typer.echo("Losers, all counted above:")
    for row in {row.clusters: row for row in rows}.values():
        typer.echo(f"  {row.clusters}: {listed(row.losers)}")
    last = rows[-1]
    if last.excluded:
        typer.echo(f"Pairs not in the last row, because the checkpoint was trained on them: {last.excluded}")
    elif all_trained_on(rows):
        typer.echo("The checkpoint was trained on all of these: this is not what it saves for other configurations.")
    typer.echo(f"Core-hours, predictions included: {last.core_hours_unrelaxed:.3f} → {last.core_hours_prerelaxed:.3f}")


def show_account(account: CampaignAccount) -> None:
    """Print what the campaign cost, and what it saved on its pairs and, extrapolated, as a whole."""
    from definet_flows.analysis.wording import prediction_cost, saved_core_hours

    columns = ("engine", "start", "runs", "converged", "unconverged", "failed", "core-hours", "not told")
    show_table(columns, [tuple(asdict(cost).values()) for cost in account.engines])
    typer.echo(f"Predictions: {prediction_cost(account.predictions)}")
    if account.measured is None:
        typer.echo("Core-hours saved: not known, for no pair tells them.")
        return
    measured, whole = account.measured, account.extrapolated
    typer.echo(f"Core-hours saved, measured on {measured.configurations} pairs: {saved_core_hours(measured)}")
    if whole is not None and whole.configurations != measured.configurations:
        of = f"extrapolated from these pairs to all {whole.configurations} configurations"
        typer.echo(f"Core-hours saved, {of}: {saved_core_hours(whole)}")
    for remark, number in account.remarks.items():
        typer.echo(f"  {remark}: {number:.4g}")


def _cells(row: SavingsRow) -> tuple[str, ...]:
    from definet_flows.analysis.wording import percent

    return (
        f"{row.threshold:g}",
        f"{row.median_unrelaxed:g} → {row.median_prerelaxed:g}",
        f"{row.reduction_of_medians:.0%}",
        f"{row.total_unrelaxed} → {row.total_prerelaxed}",
        percent(row.reduction_of_totals, row.totals_interval),
        f"{row.same_minimum}/{row.pairs}",
    )
