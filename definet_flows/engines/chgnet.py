"""CHGNet as a relaxation needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chgnet.model.dynamics import CHGNetCalculator

if TYPE_CHECKING:
    from chgnet import PredTask

FIXED_CELL: PredTask = "ef"
EVERYTHING: PredTask = "efsm"


class ForcesOnDemand(CHGNetCalculator):
    """CHGNet's calculator without the stress, unless that is asked for: it is another pass through the network's graph.

    Energies and forces are the same to the last bit.
    """

    def calculate(
        self,
        atoms: Any = None,
        properties: list[str] | None = None,
        system_changes: list[str] | None = None,
        task: PredTask | None = None,
    ) -> None:
        """Compute energy and forces, and everything where more is asked for."""
        forces_do = set(properties or ["stress"]) <= {"energy", "free_energy", "forces"}
        super().calculate(atoms, properties, system_changes, task or (FIXED_CELL if forces_do else EVERYTHING))
