"""Relaxation in a fixed cell with an ASE calculator and an ASE optimiser, for the engines that move the atoms themselves.

ASE is used directly rather than through atomate2's force-field layer because that layer's documents keep the first and the
duplicated last frame, from which neither the number of force evaluations nor the force at each of them follows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.defects.supercell import IntArray
from definet_flows.engines.relaxation import FloatArray, Relaxation

if TYPE_CHECKING:
    from ase import Atoms

_EXPLODED = 1e3
"""eV/Å; no relaxation comes back from a larger force."""


class OptimizerSettings(BaseModel):
    """How an engine moves the atoms, and when it stops."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    optimizer: Literal["BFGS", "LBFGS", "BFGSLineSearch", "FIRE", "FIRE2"] = Field(
        default="BFGS", description="ASE optimiser, the same for both starts"
    )
    initial_hessian: float = Field(
        default=15.0, gt=0, description="Curvature the BFGS family starts from, eV/Å²; FIRE does not use it"
    )
    force_threshold: float = Field(default=0.01, gt=0, description="Converged when every force is below this, eV/Å")
    max_steps: int = Field(default=500, ge=1, description="Force evaluations after which a run is unconverged")
    rattle: float = Field(
        default=0.0, ge=0, description="Å, standard deviation of a random displacement of every start, seeded by the id"
    )
    relax_host: bool = Field(default=True, description="Relax the pristine cell with this engine first")

    def steps_of(self, moved: Any) -> Iterator[bool]:
        """Take the steps of the optimiser one by one; after each, whether every force is below the threshold.

        Parameters
        ----------
        moved
            The atoms with their calculator, or an ASE filter on them that moves the cell too.
        """
        import ase.optimize

        curvature = {} if self.optimizer.startswith("FIRE") else {"alpha": self.initial_hessian}
        optimizer = getattr(ase.optimize, self.optimizer)(moved, logfile=None, **curvature)
        for below in optimizer.irun(fmax=self.force_threshold, steps=self.max_steps - 1):
            yield bool(below)


@dataclass(frozen=True)
class Descent:
    """What became of the atoms of a cell.

    Attributes
    ----------
    history
        Largest force on an atom at each evaluation, eV/Å.
    error
        What went wrong, in one sentence; None where nothing did.
    seconds
        Elapsed time.
    energy
        Final energy of the cell, eV; None where it failed.
    positions
        [n_atoms, 3] Å, where the atoms are.
    """

    history: list[float]
    error: str | None
    seconds: float
    energy: float | None
    positions: FloatArray

    def relaxation(self, host: Host, sites: IntArray, threshold: float, cores: int, version: str) -> Relaxation:
        """The figures that every engine reports.

        Parameters
        ----------
        host
            The pristine supercell.
        sites
            [n_atoms] its sites that hold the atoms.
        threshold
            eV/Å, below which every force is to be.
        cores
            Processor cores used.
        version
            Of the packages that computed it.
        """
        finished = self.energy is not None
        positions = host.positions.copy()
        positions[sites] = self.positions
        return Relaxation(
            converged=finished and self.history[-1] < threshold,
            error=self.error,
            ionic_steps=len(self.history),
            max_force_history=[round(force, 6) for force in self.history],
            max_force=self.history[-1] if self.history else None,
            energy=self.energy,
            wall_seconds=self.seconds,
            cores=cores,
            core_hours=self.seconds * cores / 3600,
            positions=positions.tolist() if finished else None,
            engine_version=version,
        )


def atoms_of(configuration: DefectConfiguration, start: FloatArray) -> tuple[Atoms, IntArray]:
    """The atoms of a configuration without its vacancies.

    Parameters
    ----------
    configuration
        Which species are where.
    start
        [n_sites, 3] Å in host site order.

    Returns
    -------
    tuple
        The atoms, and [n_atoms] the sites that hold them.
    """
    from ase import Atoms

    sites = np.flatnonzero(configuration.occupied)
    numbers = configuration.atomic_numbers[sites]
    return Atoms(numbers=numbers, positions=start[sites], cell=configuration.host.lattice, pbc=True), sites


def descend(atoms: Atoms, calculator: Any, settings: OptimizerSettings, called: str) -> Descent:
    """Move atoms downhill until every force is below the threshold, in place.

    Parameters
    ----------
    atoms
        What to relax.
    calculator
        An ASE calculator, which may be shared between runs.
    settings
        How to move the atoms.
    called
        What computes the forces, for the message.
    """
    began = time.perf_counter()
    history, error = _optimise(atoms, calculator, settings, called)
    seconds = time.perf_counter() - began
    finished = bool(history) and error is None
    energy = float(atoms.get_potential_energy()) if finished else None
    return Descent(history, error, seconds, energy, np.asarray(atoms.positions))


def _optimise(
    atoms: Atoms, calculator: Any, settings: OptimizerSettings, called: str
) -> tuple[list[float], str | None]:
    """Move the atoms; return the largest force at every evaluation, and what went wrong if something did."""
    from definet_flows.engines.watching import DivergedError, WatchedCalculator

    atoms.calc = WatchedCalculator(calculator, _EXPLODED)
    history: list[float] = atoms.calc.history
    try:
        # A line search evaluates several times per step, so the limit is checked on evaluations.
        for _ in settings.steps_of(atoms):
            if len(history) >= settings.max_steps:
                break
    except DivergedError as error:
        return history, str(error)
    # What a calculator raises on a structure it cannot treat; anything else is a bug and should be seen.
    except (RuntimeError, ValueError, ArithmeticError) as error:
        return history, f"{called} failed after {len(history)} evaluations: {type(error).__name__}: {error}"
    return history, None
