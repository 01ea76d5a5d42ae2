"""GPAW as an ASE calculator that first plays back what a journal holds, and writes there what it computes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from definet_flows.engines.gpaw.journal import IonicStep, Journal
from definet_flows.errors import InputError

RESTART = "restart.gpw"

_SAME_PLACE = 1e-6
"""Å; a step of the journal is played back where every atom is this near to where it was."""


class SelfConsistencyError(RuntimeError):
    """A self-consistency cycle that came to no end."""


class JournalEndsError(RuntimeError):
    """What a run has left behind tells no more."""


class JournalledGpaw(Calculator):
    """Energies and forces of GPAW, each step computed once however often a run is begun.

    Parameters
    ----------
    parameters
        What GPAW is given.
    journal
        Steps done before; those that follow are added.
    folder
        Where GPAW's files lie: its output, of each launch apart, and its electrons after the last step.
    launch
        Number of this launch; None to play back and compute nothing.

    Attributes
    ----------
    unfinished
        Electronic steps of a cycle that did not converge.
    """

    implemented_properties: list[str] = ["energy", "forces"]  # noqa: RUF012  ASE declares it on the instance

    def __init__(self, parameters: dict[str, Any], journal: Journal, folder: Path, launch: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.unfinished = 0
        self._parameters, self._journal = parameters, journal
        self._log = None if launch is None else folder / f"gpaw-{launch}.txt"
        self._restart = folder / RESTART
        self._played = 0
        self._gpaw: Any = None

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Energy and forces, from the journal where it has them.

        Raises
        ------
        InputError
            If GPAW has no data set for an element.
        SelfConsistencyError
            If a self-consistency cycle does not converge.
        JournalEndsError
            If nothing is to be computed, and the journal tells no more.
        """
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        step = self._next_in_journal(atoms)
        if step is None and self._log is None:
            raise JournalEndsError("the run ended here")
        if step is None:
            step = self._computed(atoms)
            self._journal.append(step)
            self._save_electrons()
        self._played += 1
        self.results = {"energy": step.energy, "forces": np.array(step.forces)}

    def _next_in_journal(self, atoms: Atoms) -> IonicStep | None:
        """The step that was done here before; None where the journal ends, or went another way."""
        if self._gpaw is not None:
            return None
        if self._played < len(self._journal.steps):
            step = self._journal.steps[self._played]
            if np.abs(np.array(step.positions) - atoms.positions).max() < _SAME_PLACE:
                return step
        if self._log is not None:
            self._journal.cut(self._played)
        return None

    def _computed(self, atoms: Atoms) -> IonicStep:
        from gpaw import GPAW, ConvergenceError

        began = time.process_time()
        if self._gpaw is None and self._restart.exists():
            self._gpaw = GPAW(str(self._restart), txt=str(self._log))
        elif self._gpaw is None:
            self._gpaw = GPAW(**self._parameters, txt=str(self._log))
        try:
            energy, forces = self._gpaw.get_potential_energy(atoms), self._gpaw.get_forces(atoms)
        except ConvergenceError as error:
            self.unfinished = self._gpaw.get_number_of_iterations()
            raise SelfConsistencyError(
                f"the self-consistency cycle did not converge in {self.unfinished} electronic steps"
            ) from error
        except FileNotFoundError as error:
            raise InputError(
                f"GPAW has no data set for an element of this cell ({error}): choose other species."
            ) from error
        return IonicStep(
            positions=atoms.positions.tolist(),
            energy=float(energy),
            forces=np.asarray(forces).tolist(),
            total_moment=float(self._gpaw.get_magnetic_moment(atoms)),
            electronic_steps=self._gpaw.get_number_of_iterations(),
            cpu_seconds=time.process_time() - began,
        )

    def _save_electrons(self) -> None:
        """Keep the wave functions: begun anew at a later geometry, the electrons could end in another magnetic state."""
        whole = self._restart.with_name(f"new-{RESTART}")
        self._gpaw.write(str(whole), mode="all")
        whole.replace(self._restart)

    def forget_electrons(self) -> None:
        """Remove what only a run that goes on needs."""
        self._restart.unlink(missing_ok=True)


def check_installed() -> None:
    """See that GPAW can be imported.

    Raises
    ------
    InputError
        If it cannot.
    """
    try:
        import gpaw  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"The GPAW engine needs gpaw ({error}): 'make gpaw' in a checkout, or pip install 'definet-flows[gpaw]' once its "
            "libraries are there."
        ) from error
