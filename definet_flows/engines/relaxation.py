"""What every engine offers and every relaxation reports."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from definet_flows.defects import DefectConfiguration, Host

FloatArray = npt.NDArray[np.float64]


class Relaxation(BaseModel):
    """Outcome of one relaxation run, finished or not. Figures that could not be had are None, never 0."""

    model_config = ConfigDict(extra="forbid")

    converged: bool = Field(description="The largest force fell below the engine's threshold")
    error: str | None = Field(
        default=None, description="Why the run failed, in one sentence; None if it ran to its end"
    )
    ionic_steps: int = Field(description="Force evaluations, the first included")
    electronic_steps: int | None = Field(default=None, description="Self-consistency steps over all ionic steps")
    max_force_history: list[float] = Field(description="Largest force on an atom at each evaluation, eV/Å")
    max_force: float | None = Field(default=None, description="Largest force on an atom at the end, eV/Å")
    energy: float | None = Field(default=None, description="Final energy of the cell, eV")
    total_moment: float | None = Field(default=None, description="Final total magnetic moment of the cell, µ_B")
    wall_seconds: float = Field(description="Elapsed time, s")
    cores: int = Field(description="Processor cores used")
    core_hours: float = Field(description="Elapsed time times cores, core-hours")
    positions: list[list[float]] | None = Field(
        default=None,
        description="Final positions [n_sites][3] Å in host site order, vacancy placeholders at their pristine sites",
    )
    engine_version: str = Field(description="Packages that computed it, with versions")


class Engine(Protocol):
    """What a relaxation needs from an engine; each engine is one pydantic settings model that implements it."""

    @property
    def name(self) -> str:
        """Name of the engine."""

    @property
    def physics(self) -> dict[str, Any]:
        """Settings that change the result."""

    @property
    def physics_hash(self) -> str:
        """Content hash of `physics`."""

    @property
    def execution(self) -> dict[str, Any]:
        """Settings that change only where and how fast it runs."""

    def relaxed_host(self, host: Host) -> Host:
        """The host with the pristine positions this engine prefers, recorded as its reference."""

    def relax(self, configuration: DefectConfiguration, start_positions: FloatArray | None = None) -> Relaxation:
        """Relax the atoms of a configuration in its fixed cell.

        Parameters
        ----------
        configuration
            What to relax.
        start_positions
            [n_sites, 3] Å in host site order; by default the unrelaxed start.
        """

    def relax_pristine(self, host: Host) -> Relaxation:
        """Relax the pristine supercell, the energy reference."""
