"""``validate``: the residual-step experiment as one command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.campaigns import campaign_file, progress_shown
from definet_flows.cli.output import AsJson, show_json, show_table, writable_folder
from definet_flows.cli.reports import show_savings

if TYPE_CHECKING:
    from definet_flows.analysis.results import CampaignResults
    from definet_flows.analysis.validation import GroupRow, Investment, StepSpread, ValidationResults
    from definet_flows.flows.campaign import Campaign
    from definet_flows.flows.validation import ValidationSettings, ValidationSplit

WORST = 10


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("validate", epilog="Example: definet-flows validate validate-mos2 --dir validation-run")(validate)


def validate(
    campaign: Annotated[
        str, typer.Argument(metavar="CAMPAIGN", help="A campaign file with a model or a validation, or a shipped one.")
    ],
    directory: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="For its split, labels, checkpoint and results.")
    ],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Relaxations side by side; by default as many as fit the cores.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed relaxations once more.")] = False,
    look: Annotated[bool, typer.Option("--look", help="Run nothing: show what has been found so far.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure residual ionic steps: fix a split, label, train, and relax what was held out from both starts.

    The same command goes on where an earlier one stopped, and runs only what is missing.
    """
    from definet_flows.flows import load_campaigns
    from definet_flows.launch.validation import FOLDER, SPLIT_FILE, split_of
    from definet_flows.launch.validation import validate as run_validation

    plans = load_campaigns(campaign_file(campaign))
    if look:
        split = split_of(plans)
        split.check(directory / FOLDER / SPLIT_FILE)
    else:
        writable_folder(directory)
        with progress_shown() as on_progress:
            outcome = run_validation(plans, directory, workers, on_progress, retry_failed=retry_failed)
        split = outcome.split
    members = _members(plans, directory)
    results = _settled(members, split, directory, plans[0].validation)
    figures = _drawn(members, results, directory)
    if as_json:
        show_json(
            {"split": split.hash, "partial": results.is_partial}
            | asdict(results)
            | {"pays_after": results.investment.pays_after, "figures": list(map(str, figures))}
        )
        return
    _show(results, plans[0].title, split)
    for figure in figures:
        typer.echo(f"Figure: {figure}")


def _members(plans: Sequence[Campaign], directory: Path) -> list[CampaignResults]:
    """What is on record of each host."""
    from definet_flows.analysis.results import campaign_results
    from definet_flows.records import open_store

    with open_store(directory, read_only=True) as store:
        begun = {one.name for one in store.campaigns()}
        return [campaign_results(store, one.name) for one in plans if one.name in begun]


def _settled(
    members: Sequence[CampaignResults], split: ValidationSplit, directory: Path, said: ValidationSettings | None
) -> ValidationResults:
    from definet_flows.analysis.validation import validation_results
    from definet_flows.launch.validation import training_core_hours

    trained, held_out = split.ids(split.training), split.ids(split.held_out)
    runs = {run.key: run for one in members for run in one.relaxations if run.start == "unrelaxed"}
    labels = [run for run in runs.values() if run.configuration_id in trained or (trained and run.kind == "pristine")]
    savings = {record.key: record for one in members for record in one.savings}
    took = training_core_hours(directory)
    earlier = said.paid_core_hours if said else 0.0
    return validation_results(held_out, savings.values(), labels, members[0].thresholds, took, earlier)


def _drawn(members: Sequence[CampaignResults], results: ValidationResults, directory: Path) -> list[Path]:
    """Figures 5a, 5b and 5c of the paper, with this experiment's own pairs."""
    if not results.pairs or not find_spec("matplotlib"):
        return []
    from definet_flows.analysis import figures
    from definet_flows.launch.validation import FOLDER

    pairs, title = figures.pairs_table(list(members)), members[0].title
    return [
        figures.plot_ionic_steps(pairs, directory / FOLDER / "steps.png", title),
        figures.plot_supercells(pairs, directory / FOLDER / "supercells.png", title),
        figures.plot_core_hours(pairs, directory / FOLDER / "core-hours.png", title, results.investment.core_hours),
    ]


def _show(results: ValidationResults, name: str, split: ValidationSplit) -> None:
    partial = f"PARTIAL, {results.pairs} of {results.planned} pairs: " if results.is_partial else ""
    typer.echo(f"{partial}{name}, split {split.hash}")
    if not results.rows:
        typer.echo("No held-out configuration has been relaxed from both starts yet.")
    else:
        show_savings(results.rows, f"{partial}held-out configurations of {name}")
        show_table(
            ("", "pairs", "unrelaxed: mean\nand quartiles", "prerelaxed", "fewer", "same\nminimum"),
            [_cells(row) for row in results.groups],
            "Steps to the engine's threshold, without configurations that were trained on",
        )
        _show_worst(results)
    _show_investment(results.investment)


def _cells(row: GroupRow) -> tuple[str, ...]:
    spreads = (_spread(row.unrelaxed), _spread(row.prerelaxed))
    return (row.group, str(row.pairs), *spreads, f"{row.reduction:.0%}", f"{row.same_minimum}/{row.pairs}")


def _spread(steps: StepSpread) -> str:
    return f"{steps.mean:.1f} ({steps.lower:g}, {steps.median:g}, {steps.upper:g})"


def _show_worst(results: ValidationResults) -> None:
    if not results.worst:
        typer.echo("No held-out configuration cost more steps than its baseline or ended in another minimum.")
        return
    rows = [
        (pair.label, pair.configuration_id, pair.unrelaxed_steps, pair.prerelaxed_steps, pair.outcome.value)
        for pair in results.worst[:WORST]
    ]
    more = len(results.worst) - len(rows)
    title = f"Dearer than their baseline, or in another minimum{f' ({more} more not shown)' if more else ''}"
    show_table(("defects", "configuration", "unrelaxed", "prerelaxed", "outcome"), rows, title)


def _show_investment(paid: Investment) -> None:
    if paid.labels:
        typer.echo(
            f"Labels: {paid.labels_converged} of {paid.labels} converged, {paid.label_core_hours:.3g} core-hours; training: "
            f"{paid.training_core_hours:.3g} core-hours."
        )
    if paid.earlier_core_hours:
        typer.echo(
            f"Labels and trainings of the network, from the campaign file: {paid.earlier_core_hours:.3g} core-hours."
        )
    if paid.saved_per_configuration is not None:
        after = f"pays for itself after {paid.pays_after} configurations" if paid.pays_after else "does not pay"
        each = f"Saved per held-out configuration: {paid.saved_per_configuration:.3g} core-hours"
        typer.echo(f"{each}; {after}." if paid.core_hours else f"{each}.")
