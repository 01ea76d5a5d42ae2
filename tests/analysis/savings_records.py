"""Savings records made by hand, for tests that know what the table must say."""

from __future__ import annotations

from typing import Any

from definet_flows.records.documents import HostSummary, RunFigures, SavingsRecord

HOST = HostSummary(
    name="MoS2",
    family="MoS2-187-MoSS",
    fingerprint="0" * 16,
    supercell_matrix=((6, 0, 0), (0, 6, 0), (0, 0, 1)),
    n_sites=108,
)


def run(steps: int, coarse: int | None, state: str = "converged", core_hours: float = 1.0) -> RunFigures:
    return RunFigures(
        key="k" * 32,
        state=state,
        reason=None if state == "converged" else "step limit",
        ionic_steps=steps,
        electronic_steps=None,
        steps_to_coarse=coarse,
        max_force=0.009 if state == "converged" else 0.3,
        energy=-1.0,
        total_moment=None,
        wall_seconds=60.0,
        core_hours=core_hours,
    )


def pair(number: int, unrelaxed: RunFigures, prerelaxed: RunFigures, **changes: Any) -> SavingsRecord:
    both = unrelaxed.state == prerelaxed.state == "converged"
    fields: dict[str, Any] = {
        "key": f"{number:032x}",
        "campaign": "test",
        "configuration_id": f"{number:016x}",
        "cluster_id": None,
        "defects": [(0, "Vac")],
        "host": HOST,
        "label": "V_Mo",
        "n_defects": 1,
        "concentration": 1 / 108,
        "multiplicity": 36,
        "engine_name": "forcefield",
        "physics_hash": "p" * 16,
        "checkpoint": "test-model",
        "checkpoint_hash": "c" * 16,
        "guard_hash": "g" * 16,
        "exposure": "new",
        "guard_passed": True,
        "guard_reasons": [],
        "fallback": False,
        "max_displacement": 0.1,
        "unrelaxed": unrelaxed,
        "prerelaxed": prerelaxed,
        "pair_state": "both_converged" if both else "prerelaxed_lost",
        "steps_saved": None,
        "steps_saved_fraction": None,
        "core_hours_saved": None,
        "prerelax_core_hours": 0.01,
        "net_core_hours_saved": None,
        "same_minimum": True if both else None,
        "largest_distance": 0.001 if both else None,
        "energy_difference": 0.0 if both else None,
        "moment_difference": None,
        "lower_start": "equal" if both else None,
    }
    return SavingsRecord(**{**fields, **changes})
