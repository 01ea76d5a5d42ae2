"""Relaxation with an ML potential (or any ASE calculator) and an ASE optimiser, in a fixed cell.

ASE is used directly rather than through atomate2's force-field layer because that layer's documents keep the first and the
duplicated last frame, from which neither the number of force evaluations nor the force at each of them follows.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.defects.host import content_hash
from definet_flows.engines.potentials import load_potential, potential_version
from definet_flows.engines.relaxation import FloatArray, Relaxation
from definet_flows.engines.starts import pristine_positions, start_of, with_reference
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

_EXPLODED = 1e3
"""eV/Å; no relaxation comes back from a larger force."""

_HOST_THRESHOLD_SHARE = 0.1
"""The pristine cell is relaxed this much tighter than the configurations, so that it adds no force of its own."""

_EXECUTION = {"threads", "device"}


class ForceFieldEngine(BaseModel):
    """Settings of the force-field engine; `relax` does the work."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["forcefield"] = Field(default="forcefield", description="Which engine these settings are for")
    potential: str = Field(
        default="CHGNet", description="CHGNet, 7net-0, 7net-l3i5, or the import path of an ASE calculator"
    )
    potential_arguments: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the calculator")
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
    relax_host: bool = Field(default=True, description="Relax the pristine cell with the potential first")
    threads: int = Field(default=1, ge=1, description="Threads per relaxation; does not change the result")
    device: str = Field(default="cpu", description="Where the potential runs; does not change the result")

    @property
    def physics(self) -> dict[str, Any]:
        """Settings that change the result."""
        return self.model_dump(mode="json", exclude=_EXECUTION)

    @property
    def physics_hash(self) -> str:
        """Content hash of `physics`, 16 hexadecimal digits."""
        return content_hash(self.physics)

    @property
    def cores(self) -> int:
        """Processor cores that one relaxation holds."""
        return self.threads

    @property
    def execution(self) -> dict[str, Any]:
        """Settings that change only where and how fast it runs."""
        return self.model_dump(mode="json", include=_EXECUTION)

    def in_campaign(self, _directory: Path, _host: Host) -> Self:
        """The engine itself: it leaves no files."""
        return self

    def relaxed_host(self, host: Host) -> Host:
        """The host with this potential's own pristine positions as its reference; its cell stays.

        The unit cell is relaxed, and the displacements averaged over its symmetry so that rounding breaks none of it. A host
        that has this engine's reference already, or settings without ``relax_host``, come back unchanged.

        Raises
        ------
        DefinetFlowsError
            If the pristine cell does not converge.
        """
        if not self.relax_host or (host.reference and host.reference.physics_hash == self.physics_hash):
            return host
        unit = host.with_supercell((1, 1, 1))
        tight = self.model_copy(update={"force_threshold": self.force_threshold * _HOST_THRESHOLD_SHARE, "rattle": 0.0})
        outcome = tight.relax_pristine(unit)
        moved = pristine_positions(unit, outcome, self.potential) - unit.nominal_positions
        return with_reference(host, moved, f"{self.name}:{self.potential}", self.physics_hash, outcome)

    def relax_pristine(self, host: Host) -> Relaxation:
        """Relax the pristine supercell, the energy reference."""
        return self._relax(host, np.arange(host.n_sites), host.atomic_numbers, host.positions)

    def relax(
        self, configuration: DefectConfiguration, start_positions: FloatArray | None = None, charge: int = 0
    ) -> Relaxation:
        """Relax the atoms of a configuration in its fixed cell.

        Parameters
        ----------
        configuration
            What to relax.
        start_positions
            [n_sites, 3] Å in host site order; by default the unrelaxed start.
        charge
            0: a force field knows no electrons.

        Returns
        -------
        Relaxation
            Also where the run failed: a calculator's error becomes its ``error``.

        Raises
        ------
        InputError
            If the cell is charged.
        """
        if charge:
            raise InputError(f"A force field knows no charge, and {charge:+d} was asked for; relax it with VASP.")
        start = start_of(configuration, start_positions, self.rattle)
        sites = np.flatnonzero(configuration.occupied)
        return self._relax(configuration.host, sites, configuration.atomic_numbers, start)

    def _relax(self, host: Host, sites: Any, atomic_numbers: Any, start: FloatArray) -> Relaxation:
        from ase import Atoms

        calculator = load_potential(self.potential, self.potential_arguments, self.device)
        atoms = Atoms(numbers=atomic_numbers[sites], positions=start[sites], cell=host.lattice, pbc=True)
        began = time.perf_counter()
        history, error = self._optimise(atoms, calculator)
        wall_seconds = time.perf_counter() - began
        finished = bool(history) and error is None
        positions = host.positions.copy()
        positions[sites] = atoms.positions
        return Relaxation(
            converged=finished and history[-1] < self.force_threshold,
            error=error,
            ionic_steps=len(history),
            max_force_history=[round(force, 6) for force in history],
            max_force=history[-1] if history else None,
            energy=float(atoms.get_potential_energy()) if finished else None,
            wall_seconds=wall_seconds,
            cores=self.threads,
            core_hours=wall_seconds * self.threads / 3600,
            positions=positions.tolist() if finished else None,
            engine_version=potential_version(self.potential),
        )

    def _optimise(self, atoms: Atoms, calculator: Any) -> tuple[list[float], str | None]:
        """Move the atoms; return the largest force at every evaluation, and what went wrong if something did."""
        import ase.optimize

        from definet_flows.engines.watching import DivergedError, watched

        atoms.calc = watched(calculator, _EXPLODED)
        history: list[float] = atoms.calc.history
        try:
            curvature = {} if self.optimizer.startswith("FIRE") else {"alpha": self.initial_hessian}
            optimizer = getattr(ase.optimize, self.optimizer)(atoms, logfile=None, **curvature)
            # A line search evaluates several times per step, so the limit is checked on evaluations.
            for _ in optimizer.irun(fmax=self.force_threshold, steps=self.max_steps - 1):
                if len(history) >= self.max_steps:
                    break
        except DivergedError as error:
            return history, str(error)
        # What a calculator raises on a structure it cannot treat; anything else is a bug and should be seen.
        except (RuntimeError, ValueError, ArithmeticError) as error:
            return history, f"{self.potential} failed after {len(history)} evaluations: {type(error).__name__}: {error}"
        return history, None
