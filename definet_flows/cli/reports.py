"""``report``: what a campaign saved, as a table and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from definet_flows.cli.output import show_json, show_table, writable_file
from definet_flows.cli.records import AsJson, Place
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.analysis import SavingsRow
    from definet_flows.analysis.accounting import CampaignAccount, PredictionCost, SavedCoreHours
    from definet_flows.analysis.savings import Threshold
    from definet_flows.records.documents import CampaignRecord, ConfigurationSummary, SavingsRecord
    from definet_flows.records.store import RecordStore

Summary = TypeVar("Summary", bound="ConfigurationSummary")
FIGURE_FILE = "ionic_steps.png"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("report", epilog="Example: definet-flows report demo-run")(report)


def report(
    place: Place,
    campaign_name: Annotated[
        str | None, typer.Option("--campaign", metavar="NAME", help="Which campaign, where the results are of several.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.png", help="The figure; by default in DIR, or here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a campaign saved, losers counted, and draw the ionic steps from both starts."""
    from definet_flows.analysis import savings_table
    from definet_flows.records.address import is_database

    campaign, savings, account = _settled(place, campaign_name)
    rows = savings_table(savings, _thresholds(campaign))
    path = writable_file(figure or (Path() if is_database(place) else Path(place)) / FIGURE_FILE)
    _draw(campaign, savings, path, ", trained on all of these" if _all_trained_on(rows) else "")
    if as_json:
        content = {"campaign": campaign.name, "figure": str(path), "rows": [asdict(row) for row in rows]}
        show_json(content | {"account": asdict(account)})
        return
    show_savings(rows, _title(campaign))
    show_account(account)
    typer.echo(f"Figure: {path}")


def _settled(place: str, name: str | None) -> tuple[CampaignRecord, list[SavingsRecord], CampaignAccount]:
    """A campaign with its pairs and its account."""
    from definet_flows.analysis.accounting import campaign_account
    from definet_flows.records.building import build_savings
    from definet_flows.records.store import open_store

    with open_store(place, read_only=True) as store:
        campaign, alone = _campaign(store, name)
        model = _model(campaign, store.location)
        savings, predictions = build_savings(store, model), list(store.predictions(model))
        relaxations = list(store.relaxations())
    if not alone:
        savings, predictions = _of(campaign, savings), _of(campaign, predictions)
        relaxations = _of(campaign, relaxations)
    return campaign, savings, campaign_account(campaign, relaxations, predictions, savings)


def _draw(campaign: CampaignRecord, savings: list[SavingsRecord], path: Path, remark: str) -> None:
    from definet_flows.analysis import counted_pairs
    from definet_flows.analysis.figures import plot_ionic_steps
    from definet_flows.analysis.savings import not_trained_on

    drawn = not_trained_on(savings) or savings
    panels = {force: counted_pairs(drawn, threshold) for threshold, force in _thresholds(campaign).items()}
    plot_ionic_steps(panels, path, title=_title(campaign) + remark)


def show_savings(rows: Sequence[SavingsRow], title: str) -> None:
    """Print the savings table and its losers."""
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
        typer.echo(f"  {row.clusters}: {_losers(row)}")
    last = rows[-1]
    if last.excluded:
        typer.echo(f"Pairs not in the last row, because the checkpoint was trained on them: {last.excluded}")
    elif _all_trained_on(rows):
        typer.echo("The checkpoint was trained on all of these: this is not what it saves for other configurations.")
    typer.echo(f"Core-hours, predictions included: {last.core_hours_unrelaxed:.3f} → {last.core_hours_prerelaxed:.3f}")


def show_account(account: CampaignAccount) -> None:
    """Print what the campaign cost, and what it saved on its pairs and, extrapolated, as a whole."""
    columns = ("engine", "start", "runs", "converged", "unconverged", "failed", "core-hours", "not told")
    show_table(columns, [tuple(asdict(cost).values()) for cost in account.engines])
    typer.echo(f"Predictions: {_predictions(account.predictions)}")
    if account.measured is None:
        typer.echo("Core-hours saved: not known, for no pair tells them.")
        return
    measured, whole = account.measured, account.extrapolated
    typer.echo(f"Core-hours saved, measured on {measured.configurations} pairs: {_core_hours(measured)}")
    if whole is not None and whole.configurations != measured.configurations:
        typer.echo(
            f"Core-hours saved, extrapolated from these pairs to all {whole.configurations} configurations: {_core_hours(whole)}"
        )
    remarks = {
        "runs from the unrelaxed start that only measured this, in core-hours": account.measuring,
        "pairs left out, because a run did not tell its core-hours": account.untold,
        "pairs whose prerelaxed run was lost without telling its core-hours, counted as none": account.losses_untold,
        "pairs whose prediction is not charged, because its time is not known": account.uncharged,
        "configurations in neither number, because the checkpoint was trained on them": account.trained_on,
    }
    for remark, number in remarks.items():
        if number:
            typer.echo(f"  {remark}: {number:.4g}")


def _predictions(paid: PredictionCost) -> str:
    from definet_flows.records.savings import CORES_PER_GPU

    if paid.untold == paid.predictions:
        return f"{paid.predictions}, of unknown time"
    gpu = f", with {paid.gpu_hours:.3g} GPU-hours counted as {CORES_PER_GPU} each" if paid.gpu_hours else ""
    untold = f", {paid.untold} of unknown time" if paid.untold else ""
    return f"{paid.predictions} in {paid.wall_seconds:.3g} s, {paid.core_hours:.3g} core-hours{gpu}{untold}"


def _core_hours(saved: SavedCoreHours) -> str:
    interval = "" if saved.interval is None else f", 95 % interval [{saved.interval[0]:.4g}, {saved.interval[1]:.4g}]"
    return f"{saved.core_hours:.4g}{interval}"


def _all_trained_on(rows: Sequence[SavingsRow]) -> bool:
    from definet_flows.analysis.savings import TRAINED_ON
    from definet_flows.analysis.table import EXPOSURES

    return {row.clusters for row in rows} == {EXPOSURES[TRAINED_ON]}


def _cells(row: SavingsRow) -> tuple[str, ...]:
    return (
        f"{row.threshold:g}",
        f"{row.median_unrelaxed:g} → {row.median_prerelaxed:g}",
        f"{row.reduction_of_medians:.0%}",
        f"{row.total_unrelaxed} → {row.total_prerelaxed}",
        f"{row.reduction_of_totals:.0%}{_interval(row.totals_interval)}",
        f"{row.same_minimum}/{row.pairs}",
    )


def _losers(row: SavingsRow) -> str:
    counts = {
        "in another minimum": row.other_minimum,
        "refused by the guard": row.fallback,
        "lost the prerelaxed run to an error": row.failed,
        "lost the prerelaxed run at the step limit": row.unconverged,
        "lost the unrelaxed run": row.baseline_lost,
    }
    return ", ".join(f"{number} {fate}" for fate, number in counts.items() if number) or "none"


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" [{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]"


def _title(campaign: CampaignRecord) -> str:
    checkpoint = campaign.model.checkpoint if campaign.model else "no model"
    potential = campaign.physics.get("potential", "")
    return f"{campaign.name}: {checkpoint}, {campaign.engine_name} {potential}".rstrip()


def _campaign(store: RecordStore, name: str | None) -> tuple[CampaignRecord, bool]:
    """The campaign that is asked for, and whether it is the only one."""
    campaigns = {one.name: one for one in store.campaigns()}
    if not campaigns:
        raise InputError(f"{store.location} holds no campaign yet; run one with --dir {store.location} first.")
    if name is None and len(campaigns) > 1:
        raise InputError(f"{store.location} holds several campaigns; give one as --campaign: {', '.join(campaigns)}.")
    if name is not None and name not in campaigns:
        raise InputError(f"{store.location} holds no campaign {name}, but {', '.join(campaigns)}.")
    return campaigns[name or next(iter(campaigns))], len(campaigns) == 1


def _of(campaign: CampaignRecord, records: Sequence[Summary]) -> list[Summary]:
    """What belongs to one campaign of several: its configurations, whoever ran them first, and what carries its name."""
    planned = set(campaign.configuration_ids)
    return [one for one in records if one.campaign == campaign.name or one.configuration_id in planned]


def _model(campaign: CampaignRecord, location: str) -> dict[str, str]:
    """Criteria for the predictions of the campaign's present checkpoint and guard."""
    if campaign.model is None:
        raise InputError(
            f"The campaign in {location} has no model, so that there is nothing to compare; see `results`."
        )
    return {"checkpoint_hash": campaign.model.checkpoint_hash, "guard_hash": campaign.model.guard_hash}


def _thresholds(campaign: CampaignRecord) -> dict[Threshold, float]:
    from definet_flows.analysis.savings import Threshold
    from definet_flows.records.savings import COARSE_FORCE

    engine = _force_threshold(campaign.physics)
    coarse = {Threshold.COARSE: COARSE_FORCE} if engine < COARSE_FORCE else {}
    return {**coarse, Threshold.ENGINE: engine}


def _force_threshold(physics: dict[str, Any]) -> float:
    """Largest force in eV/Å at which the engine stops, also where VASP's settings say it."""
    energy_or_force = physics.get("incar", {}).get("EDIFFG")
    if energy_or_force is not None and energy_or_force < 0:
        return -float(energy_or_force)
    return float(physics.get("force_threshold", 0.01))
