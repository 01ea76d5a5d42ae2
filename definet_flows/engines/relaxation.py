"""What every engine offers and every relaxation reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from definet_flows.defects import DefectConfiguration, Host

FloatArray = npt.NDArray[np.float64]


class Attempt(BaseModel):
    """One start of the program within a relaxation: the last one, or an earlier one that was interrupted or corrected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(
        description="Where its files lie in the run directory, such as error.1.tar.gz; '.' for the last"
    )
    ionic_steps: int = Field(description="Force evaluations that it finished")
    electronic_steps: int | None = Field(
        description="Self-consistency steps, those of an unfinished ionic step included"
    )
    wall_seconds: float | None = Field(description="Elapsed time, s")
    cores: int | None = Field(description="Processor cores it held")
    ended: bool | None = Field(
        description="The program came to its own end, whether converged or not; None where nothing tells"
    )


class Correction(BaseModel):
    """What custodian found wrong with a run and changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    handler: str = Field(description="Class of the handler, such as VaspErrorHandler")
    errors: list[str] = Field(description="Names of the errors")
    actions: str | None = Field(default=None, description="What it changed, as JSON; None where it changed nothing")


class SinglePointEnergy(BaseModel):
    """An energy without moving atoms, before a relaxation or after it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        description="Level of theory, such as HSE06; or 'moments' and a scheme, of the trials at the start"
    )
    energy: float | None = Field(default=None, description="Energy of the cell, eV; None where it did not converge")
    total_moment: float | None = Field(default=None, description="Total magnetic moment of the cell, µ_B")
    wall_seconds: float | None = Field(default=None, description="Elapsed time, s")
    core_hours: float | None = Field(default=None, description="Elapsed time times cores, core-hours")
    error: str | None = Field(default=None, description="Why it failed; None where it did not")


class RunDetails(BaseModel):
    """What an engine that runs a program in a directory can tell beyond the figures that all engines report."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: str | None = Field(default=None, description="Where the run's files lie")
    functional: str | None = Field(default=None, description="Exchange and correlation, such as PBE or HSE06+D3")
    encut: float | None = Field(default=None, description="Plane-wave cutoff, eV")
    electronic_converged: bool | None = Field(
        default=None, description="The last ionic step's self-consistency cycle converged"
    )
    electronic_steps_history: list[int | None] = Field(
        default_factory=list, description="Self-consistency steps of each ionic step, over all attempts"
    )
    energy_history: list[float | None] = Field(
        default_factory=list, description="Energy of the cell at each ionic step, over all attempts, eV"
    )
    cpu_seconds: float | None = Field(default=None, description="Processor time as the program reports it, s")
    memory_gb: float | None = Field(
        default=None, description="Largest memory of one process as the program reports it, GB of 10^6 kB"
    )
    attempts: list[Attempt] = Field(default_factory=list, description="Every start of the program, the last one last")
    corrections: list[Correction] | None = Field(
        default=None, description="What custodian corrected; None where nothing tells whether it ran"
    )
    single_points: list[SinglePointEnergy] = Field(
        default_factory=list, description="Trials of initial moments at the start, and the single point at the end"
    )
    caveats: dict[str, str] = Field(
        default_factory=dict, description="Why a figure is None, or how it was estimated, by the name of its field"
    )


class Relaxation(BaseModel):
    """Outcome of one relaxation run, finished or not. Figures that could not be had are None, never 0."""

    model_config = ConfigDict(extra="forbid")

    converged: bool = Field(description="The largest force fell below the engine's threshold")
    error: str | None = Field(
        default=None, description="Why the run failed, in one sentence; None if it ran to its end"
    )
    ionic_steps: int | None = Field(description="Force evaluations over all attempts, the first included")
    electronic_steps: int | None = Field(default=None, description="Self-consistency steps over all ionic steps")
    max_force_history: list[float] = Field(description="Largest force on an atom at each evaluation, eV/Å")
    max_force: float | None = Field(default=None, description="Largest force on an atom at the end, eV/Å")
    energy: float | None = Field(default=None, description="Final energy of the cell, eV")
    total_moment: float | None = Field(default=None, description="Final total magnetic moment of the cell, µ_B")
    wall_seconds: float | None = Field(description="Elapsed time over all attempts, s")
    cores: int | None = Field(description="Processor cores used, by the last attempt")
    core_hours: float | None = Field(description="Elapsed time times cores over all attempts, core-hours")
    positions: list[list[float]] | None = Field(
        default=None,
        description="Final positions [n_sites][3] Å in host site order, vacancy placeholders at their pristine sites",
    )
    engine_version: str = Field(description="Packages that computed it, with versions")
    details: RunDetails | None = Field(default=None, description="What a program run in a directory tells besides")


class EngineDescription(Protocol):
    """What a record says of the engine: also of one that ran elsewhere, before there was a campaign."""

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


class Engine(EngineDescription, Protocol):
    """What a relaxation needs from an engine; each engine is one pydantic settings model that implements it."""

    @property
    def cores(self) -> int:
        """Processor cores that one relaxation holds."""

    @property
    def threads(self) -> int:
        """Threads that numerical libraries may use in the process that runs `relax`, and in what it starts."""

    def in_campaign(self, directory: Path, host: Host, /) -> Self:
        """The engine as a campaign in a directory, on a host, uses it."""

    def relaxed_host(self, host: Host) -> Host:
        """The host with the pristine positions this engine prefers, recorded as its reference."""

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
            Total charge of the cell in elementary charges, as its record states it.

        Raises
        ------
        InputError
            If the engine cannot treat a charged cell.
        """

    def relax_pristine(self, host: Host) -> Relaxation:
        """Relax the pristine supercell, the energy reference."""
