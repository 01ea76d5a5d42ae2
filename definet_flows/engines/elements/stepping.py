"""Phases relaxed with their cell by an ASE calculator and an ASE optimiser, for the engines that move the atoms themselves."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms

from definet_flows.engines.elements.outcome import PhaseRelaxation
from definet_flows.engines.elements.phases import ElementalPhase
from definet_flows.engines.forcefield import ForceFieldEngine
from definet_flows.engines.gpaw.calculator import check_installed
from definet_flows.engines.gpaw.engine import GpawEngine
from definet_flows.engines.gpaw.settings import fast_grid
from definet_flows.engines.potentials import load_potential, package_versions, potential_version
from definet_flows.engines.stepping import OptimizerSettings


def relax_with_potential(engine: ForceFieldEngine, phase: ElementalPhase) -> PhaseRelaxation:
    """Relax atoms and cell with the engine's potential, optimiser and threshold; a molecule in its fixed box.

    Parameters
    ----------
    engine
        Its potential must give stresses, but for a molecule.
    phase
        Where to start.

    Raises
    ------
    InputError
        If the potential cannot be loaded.
    """
    atoms = phase.atoms()
    atoms.calc = load_potential(engine.potential, engine.potential_arguments, engine.device)
    outcome = _relaxed(atoms, engine, engine.potential, molecule=phase.molecule)
    return _with_costs(outcome, engine.cores, potential_version(engine.potential))


def relax_with_gpaw(engine: GpawEngine, phase: ElementalPhase, kpoint_density: float | None) -> PhaseRelaxation:
    """Relax atoms and cell at the level of theory of the supercells, by symmetry and on k-points of the phase's own.

    What is interrupted begins anew.

    Parameters
    ----------
    engine
        Of the supercells.
    phase
        Where to start.
    kpoint_density
        k-points per reciprocal volume, Å³; None for the Γ point alone.

    Raises
    ------
    InputError
        If GPAW is not installed.
    """
    check_installed()
    from gpaw import GPAW, ConvergenceError

    folder = (engine.directory or Path("gpaw")) / phase.folder
    folder.mkdir(parents=True, exist_ok=True)
    grid = phase.kpoints(kpoint_density)
    own = {
        "kpts": {"size": list(grid), "gamma": True},
        "symmetry": {},
        "gpts": fast_grid(phase.structure.lattice.abc, engine.grid_spacing),
    }
    atoms = phase.atoms()
    atoms.set_initial_magnetic_moments(phase.moments())
    atoms.calc = GPAW(**engine.parameters | own, txt=str(folder / "gpaw.txt"))
    # It has no data set for an element; a cycle does not converge.
    failures = FileNotFoundError, ConvergenceError
    outcome = _relaxed(atoms, engine, "GPAW", failures, molecule=phase.molecule)
    return replace(_with_costs(outcome, engine.cores, package_versions("gpaw", "gpaw-data", "ase")), kpoints=grid)


def _with_costs(outcome: PhaseRelaxation, cores: int, version: str) -> PhaseRelaxation:
    return replace(outcome, core_hours=(outcome.wall_seconds or 0.0) * cores / 3600, engine_version=version)


def _relaxed(
    atoms: Atoms,
    settings: OptimizerSettings,
    called: str,
    failures: tuple[type[Exception], ...] = (),
    *,
    molecule: bool,
) -> PhaseRelaxation:
    """Relax in place; `failures` are errors of the calculator's own that make a failed record."""
    began = time.perf_counter()
    converged, steps, error = _descend(atoms, settings, called, failures, molecule=molecule)
    seconds = time.perf_counter() - began
    return PhaseRelaxation(
        converged=converged,
        error=error,
        ionic_steps=steps,
        max_force=None if error else float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
        energy_per_atom=None if error else float(atoms.get_potential_energy()) / len(atoms),
        lattice=np.asarray(atoms.cell).tolist(),
        positions=np.asarray(atoms.positions).tolist(),
        wall_seconds=seconds,
    )


def _descend(
    atoms: Atoms, settings: OptimizerSettings, called: str, failures: tuple[type[Exception], ...], *, molecule: bool
) -> tuple[bool, int, str | None]:
    """Whether it converged, after how many force evaluations, and what went wrong if something did."""
    from ase.calculators.calculator import PropertyNotImplementedError
    from ase.filters import FrechetCellFilter

    # What a calculator raises on a structure it cannot treat; anything else is a bug and should be seen.
    expected: tuple[type[Exception], ...] = (RuntimeError, ValueError, ArithmeticError, NotImplementedError, *failures)
    steps = 0
    try:
        moved = atoms if molecule else FrechetCellFilter(atoms)
        converged = False
        for below in settings.steps_of(moved):
            steps, converged = steps + 1, below
            if not np.isfinite(atoms.get_potential_energy()):
                return False, steps, f"the relaxation diverged after {steps} evaluations"
    except PropertyNotImplementedError:
        return False, steps, f"{called} gives no stress, which relaxing a cell needs"
    except expected as error:
        return False, steps, f"{called} failed after {steps} evaluations: {type(error).__name__}: {error}"
    return converged, steps, None
