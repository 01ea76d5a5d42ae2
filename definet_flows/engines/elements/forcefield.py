"""Phases relaxed with their cell by a potential."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from definet_flows.engines.elements.outcome import PhaseRelaxation
from definet_flows.engines.elements.phases import ElementalPhase
from definet_flows.engines.forcefield import ForceFieldEngine
from definet_flows.engines.potentials import load_potential, potential_version

if TYPE_CHECKING:
    from ase import Atoms


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
    began = time.perf_counter()
    converged, steps, error = _descend(atoms, engine, molecule=phase.molecule)
    seconds = time.perf_counter() - began
    forces = None if error else float(np.linalg.norm(atoms.get_forces(), axis=1).max())
    return PhaseRelaxation(
        converged=converged,
        error=error,
        ionic_steps=steps,
        max_force=forces,
        energy_per_atom=None if error else float(atoms.get_potential_energy()) / len(atoms),
        lattice=np.asarray(atoms.cell).tolist(),
        positions=np.asarray(atoms.positions).tolist(),
        wall_seconds=seconds,
        core_hours=seconds * engine.cores / 3600,
        engine_version=potential_version(engine.potential),
    )


def _descend(atoms: Atoms, engine: ForceFieldEngine, *, molecule: bool) -> tuple[bool, int, str | None]:
    """Whether it converged, after how many force evaluations, and what went wrong if something did."""
    import ase.optimize
    from ase.calculators.calculator import PropertyNotImplementedError
    from ase.filters import FrechetCellFilter

    steps = 0
    try:
        moved = atoms if molecule else FrechetCellFilter(atoms)
        curvature = {} if engine.optimizer.startswith("FIRE") else {"alpha": engine.initial_hessian}
        optimizer = getattr(ase.optimize, engine.optimizer)(moved, logfile=None, **curvature)
        converged = False
        for below in optimizer.irun(fmax=engine.force_threshold, steps=engine.max_steps - 1):
            steps, converged = steps + 1, bool(below)
            if not np.isfinite(atoms.get_potential_energy()):
                return False, steps, f"the relaxation diverged after {steps} evaluations"
    except PropertyNotImplementedError:
        return False, steps, f"{engine.potential} gives no stress, which relaxing a cell needs"
    # What a calculator raises on a structure it cannot treat; anything else is a bug and should be seen.
    except (RuntimeError, ValueError, ArithmeticError, NotImplementedError) as error:
        return False, steps, f"{engine.potential} failed after {steps} evaluations: {type(error).__name__}: {error}"
    return converged, steps, None
