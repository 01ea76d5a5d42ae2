"""What every engine tells of a phase that it relaxed with its cell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PhaseRelaxation:
    """What became of an elemental phase.

    Parameters
    ----------
    converged
        Forces and stress are below the threshold.
    error
        Why it failed, in one sentence; None where it did not.
    ionic_steps
        Force evaluations.
    max_force
        Largest force on an atom at the end, eV/Å.
    energy_per_atom
        eV; None where it failed.
    lattice
        [3, 3] rows in Å, at the end.
    positions
        [n_atoms, 3] Å, at the end.
    wall_seconds, core_hours
        Elapsed time, and that times cores; None where nothing tells it.
    engine_version
        Packages that computed it.
    kpoints
        Γ-centred grid; None for engines without k-points.
    """

    converged: bool
    error: str | None
    ionic_steps: int
    max_force: float | None
    energy_per_atom: float | None
    lattice: list[list[float]]
    positions: list[list[float]]
    wall_seconds: float | None
    core_hours: float | None = None
    engine_version: str = ""
    kpoints: tuple[int, int, int] | None = None
