"""``build``: savings records, where they are missing or out of date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from definet_flows.cli.output import AsJson, show_json, show_table
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from jobflow.core.store import JobStore

    from definet_flows.flows import Campaign
    from definet_flows.records import BuildSummary
    from definet_flows.records.documents import BuildFailure, SavingsRecord
    from definet_flows.records.store import RecordStore

COLUMNS = (
    "host",
    "checkpoint",
    "checkpoint hash",
    "engine",
    "pairs",
    "same minimum",
    "refused",
    "median steps",
    "median trust",
)
SHOWN_FAILURES = 10
_STARTS = ("unrelaxed", "prerelaxed")

OptionalPlace = Annotated[
    str | None,
    typer.Argument(
        metavar="DIR|URI",
        help="A campaign's directory, or a MongoDB's address (mongodb://…, or a store file).",
        show_default=False,
    ),
]
AlsoPlace = Annotated[
    str | None, typer.Option("--store", metavar="DIR|URI", help="The same, as an option.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("build", epilog="Example: definet-flows build demo-run")(build)


@dataclass(frozen=True)
class JobOutputs:
    """Where jobs put out their results, and the campaigns that they were made from."""

    name: str
    job_store: JobStore
    campaigns: Sequence[Campaign]

    @classmethod
    def named(cls, jobs: str, campaign: str | None) -> JobOutputs:
        """Those of a configuration of jobflow and a campaign file; errors before anything is written."""
        from definet_flows.cli.campaigns import campaign_file
        from definet_flows.flows import load_campaigns
        from definet_flows.flows.adoption import configured_job_store

        plans = [] if campaign is None else load_campaigns(campaign_file(campaign))
        return cls(jobs, configured_job_store(jobs), plans)

    def take(self, store: RecordStore, *, quiet: bool) -> None:
        """Copy them into a results store."""
        from definet_flows.flows.adoption import adopt_campaign, adopt_outputs
        from definet_flows.records.trouble import STORE_FAILURES, explained

        try:
            self.job_store.connect()
            for plan in self.campaigns:
                adopt_campaign(self.job_store, store, plan)
            relaxations, predictions = adopt_outputs(self.job_store, store)
        except STORE_FAILURES as error:
            raise explained(f"job store of {self.name}", error) from error
        finally:
            self.job_store.close()  # type: ignore[no-untyped-call]
        if not quiet:
            typer.echo(f"Taken from the job store: {relaxations} relaxations, {predictions} predictions")


def build(
    place: OptionalPlace = None,
    store: AlsoPlace = None,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Build every record anew.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")] = False,
    jobs: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="First take in what jobs put out, from the JOB_STORE of this jobflow.yaml; 'configured' for jobflow's own.",
        ),
    ] = None,
    campaign: Annotated[
        str | None, typer.Option(metavar="CAMPAIGN", help="The campaign file that these jobs were made from.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pair the runs of a results store and write what pre-relaxation saved: only what is missing or out of date."""
    from definet_flows.records import SavingsBuilder, open_store
    from definet_flows.records.documents import BuildFailure

    chosen = one_place(place, store)
    if campaign is not None and jobs is None:
        raise InputError("--campaign says what the jobs of --jobs were made from; give both.")
    outputs = None if jobs is None else JobOutputs.named(jobs, campaign)
    if outputs is None:
        _refuse_empty(chosen)
    with open_store(chosen) as opened:
        if outputs is not None:
            outputs.take(opened, quiet=as_json)
        summary = SavingsBuilder(opened, from_scratch=from_scratch, retry_failed=retry_failed).build()
        failures = sorted(opened.read("build_failures", BuildFailure), key=lambda one: one.key)
        rows = [] if as_json else list(_rows(opened.savings()))
    if as_json:
        show_json({**asdict(summary), "failures": [one.model_dump(mode="json") for one in failures]})
        return
    if rows:
        show_table(COLUMNS, rows)
    _show_summary(summary)
    _show_failures(failures)


def one_place(place: str | None, store: str | None) -> str:
    """The results store that a command line names, as an argument or an option.

    Raises
    ------
    InputError
        If it names none or two.
    """
    if (place is None) == (store is None):
        raise InputError(
            "Name the results once: a campaign's directory or a database, as the argument or with --store."
        )
    return str(place or store)


def _refuse_empty(place: str) -> None:
    """A store that is only to be read is not made."""
    from definet_flows.records import open_store
    from definet_flows.records.errors import StoreContentError

    with open_store(place, read_only=True) as opened:
        if not opened.is_begun():
            raise StoreContentError(
                f"{opened.location} holds no campaign and no relaxation; there is nothing to build."
            )


def _rows(savings: Iterator[SavingsRecord]) -> Iterator[tuple[Any, ...]]:
    """One line for each host, checkpoint and engine."""
    groups: dict[tuple[str, ...], list[SavingsRecord]] = {}
    for record in savings:
        name = (
            record.host.name,
            record.checkpoint,
            record.checkpoint_hash,
            f"{record.engine_name} {record.physics_hash}",
        )
        groups.setdefault(name, []).append(record)
    for group, records in sorted(groups.items()):
        steps = [
            [run.ionic_steps for one in records if (run := getattr(one, start)).ionic_steps is not None]
            for start in _STARTS
        ]
        trusted = [one.trust for one in records if one.trust is not None]
        yield (
            *group,
            len(records),
            sum(bool(one.same_minimum) for one in records),
            sum(one.fallback for one in records),
            " → ".join(f"{median(counts):g}" if counts else "–" for counts in steps),
            round(median(trusted), 3) if trusted else None,
        )


def _show_summary(summary: BuildSummary) -> None:
    typer.echo(
        f"{summary.pairs} pairs: {summary.built} records built, {summary.unchanged} up to date, {summary.failed} failed, "
        f"{summary.left} that failed before left alone, {summary.removed} of pairs that are no more removed"
    )


def _show_failures(failures: list[BuildFailure]) -> None:
    for failure in failures[:SHOWN_FAILURES]:
        typer.echo(f"  {failure.configuration_id}: {failure.reason}")
    if len(failures) > SHOWN_FAILURES:
        typer.echo(f"  and {len(failures) - SHOWN_FAILURES} more; --json lists them all")
    if failures:
        typer.echo("Pairs that failed are tried again when their documents change, or with --retry-failed.")
