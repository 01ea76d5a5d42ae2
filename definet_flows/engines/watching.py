"""A calculator that passes everything through and remembers the force at each evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from definet_flows.errors import DefinetFlowsError


class DivergedError(DefinetFlowsError):
    """Forces that are not numbers, or beyond any physical size."""


class WatchedCalculator(Calculator):
    """Delegates energy and forces to another calculator, which may be shared between runs: the record is this one's own.

    Parameters
    ----------
    inner
        The calculator that does the work.
    limit
        eV/Å; a larger force ends the run.

    Attributes
    ----------
    history
        Largest force on an atom at each evaluation, eV/Å.
    """

    implemented_properties: list[str] = ["energy", "forces"]  # noqa: RUF012  ASE declares it on the instance

    def __init__(self, inner: Any, limit: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.inner = inner
        self.limit = limit
        self.history: list[float] = []

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Evaluate once, whatever is asked for.

        Raises
        ------
        DivergedError
            If a force is not finite or exceeds the limit.
        """
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        self.inner.calculate(self.atoms, ["energy", "forces"], all_changes)
        forces = np.asarray(self.inner.results["forces"], dtype=float)
        energy = float(self.inner.results["energy"])
        largest = float(np.linalg.norm(forces, axis=1).max())
        if not (np.isfinite(largest) and np.isfinite(energy)):
            raise DivergedError(
                f"The relaxation diverged: forces are not finite after {len(self.history)} evaluations."
            )
        self.history.append(largest)
        if largest > self.limit:
            raise DivergedError(
                f"The relaxation diverged: a force reached {largest:.3g} eV/Å at evaluation {len(self.history)}."
            )
        self.results = {"energy": energy, "forces": forces}
