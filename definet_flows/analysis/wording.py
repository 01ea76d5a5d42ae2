"""Shares, intervals and counts in words, the same on a terminal as on a page."""

from __future__ import annotations

from definet_flows.analysis.accounting import PredictionCost, SavedCoreHours
from definet_flows.records.savings import CORES_PER_GPU


def percent(share: float, interval: tuple[float, float] | None) -> str:
    """A share with its interval."""
    return f"{share:.0%}" + ("" if interval is None else f" [{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]")


def saved_core_hours(saved: SavedCoreHours) -> str:
    """Core-hours saved with their interval."""
    interval = "" if saved.interval is None else f", 95 % interval [{saved.interval[0]:.4g}, {saved.interval[1]:.4g}]"
    return f"{saved.core_hours:.4g}{interval}"


def prediction_cost(paid: PredictionCost) -> str:
    """What predictions cost."""
    if paid.untold == paid.predictions:
        return f"{paid.predictions}, of unknown time" if paid.predictions else "none"
    gpu = f", with {paid.gpu_hours:.3g} GPU-hours counted as {CORES_PER_GPU} each" if paid.gpu_hours else ""
    untold = f", {paid.untold} of unknown time" if paid.untold else ""
    return f"{paid.predictions} in {paid.wall_seconds:.3g} s, {paid.core_hours:.3g} core-hours{gpu}{untold}"


def listed(counts: dict[str, int]) -> str:
    """Numbers of what, joined by commas; ``none`` of nothing."""
    return ", ".join(f"{number} {what}" for what, number in counts.items()) or "none"
