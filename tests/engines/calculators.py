"""ASE calculators that count themselves, or misbehave on purpose; engines load them by import path."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT


class CountingEMT(EMT):
    """EMT that keeps the cell and the positions of every evaluation, counted without the engine's help."""

    cells: ClassVar[list] = []
    positions: ClassVar[list] = []

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        self.cells.append(atoms.cell.array.copy())
        self.positions.append(atoms.positions.copy())
        super().calculate(atoms, properties, system_changes)


class Faulty(EMT):
    """EMT until evaluation `after`, then what `fault` says, once per instance."""

    faults: ClassVar[dict] = {
        "runtime": RuntimeError("out of memory"),
        "value": ValueError("the structure is unphysical"),
        "arithmetic": ZeroDivisionError("division by zero"),
        "singular": np.linalg.LinAlgError("singular matrix"),
        "bug": KeyError("forces"),
    }

    def __init__(self, fault, after=0):
        super().__init__()
        self.fault, self.after, self.n_evaluations = fault, after, 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.n_evaluations += 1
        if self.n_evaluations <= self.after:
            return
        if self.fault in self.faults:
            raise self.faults[self.fault]
        forces = self.results["forces"].copy()
        forces[0, 0] = {"nan": np.nan, "infinite": np.inf, "huge": 2e3}.get(self.fault, forces[0, 0])
        energy = np.nan if self.fault == "energy" else self.results["energy"]
        self.results |= {"forces": forces, "energy": energy}


class Slope(Calculator):
    """Two atoms pushed apart ever harder: no minimum, and no force beyond reason within a hundred steps."""

    implemented_properties: ClassVar[list] = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        forces = np.zeros((len(atoms), 3))
        apart = atoms.positions[0, 0] - atoms.positions[1, 0]
        forces[0, 0], forces[1, 0] = (sign * (0.5 + 1e-3 * apart) for sign in (1, -1))
        self.results = {"energy": -0.5 * apart - 5e-4 * apart**2, "forces": forces}
