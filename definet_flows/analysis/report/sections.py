"""The parts of the page that need no script: what was saved, what it cost, and where it comes from.

Every text that is not written here passes through `escape`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

import yaml

from definet_flows.analysis.results import CampaignResults
from definet_flows.analysis.table import SavingsRow, all_trained_on
from definet_flows.analysis.wording import listed, percent, prediction_cost, saved_core_hours

DASH, MINUS = "–", "−"


def headlines(results: CampaignResults, recorded: int) -> str:
    """The numbers that come first, each with its interval and its denominator.

    Parameters
    ----------
    results
        The campaign.
    recorded
        Configurations of which anything is on record.
    """
    planned = len(results.campaign.configuration_ids)
    progress = ("Configurations", f"{recorded} of {planned}", "planned configurations are on record")
    if not results.rows:
        return _cards([progress]) + _notice(
            "No configuration has been relaxed from both starts yet, so there is no saving to report."
        )
    row = results.rows[-1]
    cards = [_steps(row), _core_hours(results), _same_minimum(row), _losers(row), progress]
    if all_trained_on(results.rows):
        return _notice("The checkpoint was trained on all of these: this is not what it saves elsewhere.") + _cards(
            cards
        )
    return _cards(cards)


def savings(rows: Sequence[SavingsRow]) -> str:
    """The savings table, as a terminal shows it."""
    header = (
        *("clusters", "pairs", "to eV/Å", "median steps", "fewer, 95 % interval"),
        *("total steps", "fewer, 95 % interval", "same minimum", "losers, counted"),
    )
    lines = [
        (
            *(row.clusters, row.pairs, f"{row.threshold:g}", f"{row.median_unrelaxed:g} → {row.median_prerelaxed:g}"),
            percent(row.reduction_of_medians, row.medians_interval),
            f"{row.total_unrelaxed} → {row.total_prerelaxed}",
            percent(row.reduction_of_totals, row.totals_interval),
            f"{row.same_minimum} of {row.pairs}",
            listed(row.losers),
        )
        for row in rows
    ]
    excluded = rows[-1].excluded if rows else 0
    remark = f"Pairs not in the last row, because the checkpoint was trained on them: {excluded}." if excluded else ""
    return table(header, lines) + (f"<p class='remark'>{escape(remark)}</p>" if remark else "")


def charged(rows: Sequence[SavingsRow]) -> str:
    """The savings table of charged cells; nothing where there are none."""
    title = "Charged cells, which the checkpoint was not trained on, in no number above"
    return f"<h3>{title}</h3>{savings(rows)}" if rows else ""


def account(results: CampaignResults) -> str:
    """What relaxations and predictions cost."""
    settled = results.account
    header = ("engine", "start", "runs", "converged", "unconverged", "failed", "core-hours", "not told")
    lines = [[_rounded(cell) for cell in asdict(cost).values()] for cost in settled.engines]
    notes = [f"Predictions: {prediction_cost(settled.predictions)}"]
    if settled.measured is not None:
        notes.append(
            f"Core-hours saved on {settled.measured.configurations} pairs: {saved_core_hours(settled.measured)}"
        )
    if settled.extrapolated is not None and settled.measured is not None:
        notes.append(
            f"Extrapolated from these to {settled.extrapolated.configurations} configurations: "
            f"{saved_core_hours(settled.extrapolated)}"
        )
    notes += [f"{remark[0].upper()}{remark[1:]}: {number:.4g}" for remark, number in settled.remarks.items()]
    return table(header, lines) + "<ul class='remarks'>" + "".join(f"<li>{escape(one)}" for one in notes) + "</ul>"


def provenance(results: CampaignResults) -> str:
    """Which campaign, network, physics and code made the results, and the campaign file as it was last run."""
    campaign = results.campaign
    members = [one.campaign for one in results.members or [results]]
    models = [one.model for one in members if one.model is not None]
    versions = {record.code_version for record in results.relaxations} | {campaign.code_version}
    engines = {f"{one.engine.name} {one.engine.version or ''}".rstrip() for one in results.relaxations}
    hosts = {one.host.fingerprint: f"{one.host.name}, {one.host.n_sites} sites" for one in results.relaxations}
    facts = {
        "Campaign": f"{campaign.name} ({campaign.content_hash})",
        "Host": _each(f"{name} ({fingerprint})" for fingerprint, name in hosts.items()),
        "Checkpoint": _each(f"{model.checkpoint} ({model.checkpoint_hash})" for model in models),
        "Guard": _each(model.guard_hash for model in models),
        "Engine": _each(engines) if engines else campaign.engine_name,
        "Physics": _each(one.physics_hash for one in members),
        "Written by": f"definet-flows {', '.join(sorted(versions))}",
        "Last change": campaign.last_updated,
    }
    definitions = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
    settings = "---\n".join(yaml.safe_dump(one.settings, sort_keys=False, allow_unicode=True) for one in members)
    physics = json.dumps(campaign.physics, indent=2, ensure_ascii=False, default=str)
    return (
        f"<dl class='facts'>{definitions}</dl>"
        f"<details><summary>Campaign file</summary><pre tabindex='0'>{escape(settings)}</pre></details>"
        f"<details><summary>Settings that decide results</summary><pre tabindex='0'>{escape(physics)}</pre></details>"
    )


def table(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """A table in a frame of its own, which scrolls where the page is narrow; numbers are set flush right."""
    rows = list(lines)
    kinds = [
        " class='number'" if any(isinstance(row[k], int | float) for row in rows) else "" for k in range(len(header))
    ]
    head = "".join(f"<th scope='col'{kind}>{escape(name)}</th>" for name, kind in zip(header, kinds, strict=True))
    body = "".join(f"<tr>{''.join(map(_cell, row, kinds))}</tr>" for row in rows)
    return (
        "<div class='scroll' tabindex='0' role='region' aria-label='table'>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _each(facts: Iterable[str]) -> str:
    """What differs, once each."""
    return "; ".join(sorted(set(facts))) or "none"


def _steps(row: SavingsRow) -> tuple[str, str, str]:
    return (
        "Ionic steps saved",
        percent(row.reduction_of_totals, row.totals_interval),
        (
            f"{row.total_unrelaxed} → {row.total_prerelaxed} over {row.pairs} pairs, to {row.threshold:g} eV/Å; "
            f"median {row.median_unrelaxed:g} → {row.median_prerelaxed:g}"
        ),
    )


def _core_hours(results: CampaignResults) -> tuple[str, str, str]:
    measured, whole = results.account.measured, results.account.extrapolated
    if measured is None:
        return "Core-hours saved", DASH, "no pair tells them"
    interval = "" if measured.interval is None else f" [{measured.interval[0]:.3g}, {measured.interval[1]:.3g}]"
    extrapolated = (
        f"; extrapolated to {whole.configurations}: {whole.core_hours:.3g}"
        if whole is not None and whole.configurations != measured.configurations
        else ""
    )
    told = f"measured on {measured.configurations} pairs, predictions charged{extrapolated}"
    return "Core-hours saved", f"{measured.core_hours:.3g}{interval}", told


def _same_minimum(row: SavingsRow) -> tuple[str, str, str]:
    return "Same minimum", f"{row.same_minimum} of {row.pairs}", "pairs whose two starts provably ended in one"


def _losers(row: SavingsRow) -> tuple[str, str, str]:
    losers = row.losers
    return (
        "Losers",
        f"{sum(losers.values())} of {row.pairs}",
        listed(losers) if losers else "any would count in every number",
    )


def _cards(cards: Iterable[tuple[str, str, str]]) -> str:
    return (
        "<dl class='headlines'>"
        + "".join(
            f"<div><dt>{escape(name)}</dt><dd class='figure'>{_figure(figure)}</dd><dd>{escape(remark)}</dd></div>"
            for name, figure, remark in cards
        )
        + "</dl>"
    )


def _figure(text: str) -> str:
    """A headline number, its interval smaller."""
    number, bracket, interval = escape(text).partition(" [")
    return f"{number} <small>95 % interval [{interval}</small>" if bracket else number


def _notice(sentence: str) -> str:
    return f"<p class='notice'>{escape(sentence)}</p>"


def _cell(value: Any, kind: str) -> str:
    text = DASH if value is None else str(value)
    return f"<td{kind}>{escape(text.replace('-', MINUS) if isinstance(value, float) else text)}</td>"


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
