"""The GPAW engine: real DFT at the level of theory that the DefiNet paper used, in a fixed cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines.folders import LaunchFolder, run_name
from definet_flows.engines.gpaw.settings import GpawSettings, grid_points
from definet_flows.engines.moments import initial_moments
from definet_flows.engines.potentials import package_versions
from definet_flows.engines.relaxation import FloatArray, Relaxation, RunDetails
from definet_flows.engines.starts import start_name, start_of, with_supercell_reference
from definet_flows.engines.stepping import atoms_of, descend
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.engines.gpaw.journal import IonicStep

JOURNAL = "steps.jsonl"


class GpawEngine(GpawSettings):
    """The GPAW engine; `relax` does the work, on one core."""

    @property
    def cores(self) -> int:
        """Processor cores that one relaxation holds."""
        return 1

    @property
    def threads(self) -> int:
        """Threads of its numerical libraries: more make it slower."""
        return 1

    def in_campaign(self, directory: Path, _host: Host) -> Self:
        """The engine as a campaign uses it: runs lie in its directory."""
        return self.model_copy(update={"directory": (self.directory or directory / "gpaw").resolve()})

    def relaxed_host(self, host: Host) -> Host:
        """The host with GPAW's own pristine positions as its reference; its cell stays.

        The supercell is relaxed as the configurations are, so that its k-points are theirs.

        Raises
        ------
        InputError
            If GPAW is not installed.
        DefinetFlowsError
            If the pristine cell does not converge.
        """
        if not self.relax_host or host.reference_hash == self.physics_hash:
            return host
        return with_supercell_reference(host, self.relax_pristine(host), self.name, self.physics_hash)

    def relax_pristine(self, host: Host) -> Relaxation:
        """Relax the pristine supercell, the energy reference; errors as for `relax`."""
        return self.relax(DefectConfiguration(host, ()))

    def relax(
        self, configuration: DefectConfiguration, start_positions: FloatArray | None = None, charge: int = 0
    ) -> Relaxation:
        """Relax the atoms of a configuration in its fixed cell, in a directory of its own.

        A run that was killed goes on from its last ionic step.

        Parameters
        ----------
        configuration
            What to relax.
        start_positions
            [n_sites, 3] Å in host site order; by default the unrelaxed start.
        charge
            0: charged cells are left to VASP.

        Returns
        -------
        Relaxation
            Also where the run failed: a self-consistency cycle that does not converge becomes its ``error``.

        Raises
        ------
        InputError
            If GPAW is not installed or lacks an element, or the cell is charged.
        """
        if charge:
            raise InputError(
                f"The GPAW engine relaxes neutral cells, and {charge:+d} was asked for; relax it with VASP."
            )
        from definet_flows.engines.gpaw.calculator import check_installed

        check_installed()
        start = start_of(configuration, start_positions, self.rattle)
        folder = self._folder(configuration, start, start_name(start_positions))
        folder.begin(self.cores)
        return self._followed(configuration, start, folder, len(folder.launches()))

    def left_behind(
        self, configuration: DefectConfiguration, start_positions: FloatArray | None = None, charge: int = 0
    ) -> Relaxation | None:
        """What the files of a run tell that was lost before it could report; None where no ionic step was finished.

        Parameters
        ----------
        configuration, start_positions, charge
            As for `relax`; the pristine supercell is the configuration without defects.
        """
        start = start_of(configuration, start_positions, self.rattle)
        folder = self._folder(configuration, start, start_name(start_positions))
        if charge or not (folder.path / JOURNAL).exists():
            return None
        return self._followed(configuration, start, folder, None)

    def _folder(self, configuration: DefectConfiguration, start: FloatArray, origin: str) -> LaunchFolder:
        name = run_name(configuration, start, origin, self.physics_hash)
        return LaunchFolder((self.directory or Path("gpaw")) / name)

    def _followed(
        self, configuration: DefectConfiguration, start: FloatArray, folder: LaunchFolder, launch: int | None
    ) -> Relaxation:
        """Follow the atoms to their end; without the number of a launch, only as far as they have come."""
        from definet_flows.engines.gpaw.calculator import JournalledGpaw
        from definet_flows.engines.gpaw.journal import Journal

        journal = Journal(folder.path / JOURNAL)
        parameters = self.parameters | {"gpts": grid_points(configuration.host, self.grid_spacing)}
        calculator = JournalledGpaw(parameters, journal, folder.path, launch)
        atoms, sites = atoms_of(configuration, start)
        atoms.set_initial_magnetic_moments(initial_moments(configuration, self.moments)[sites])
        descent = descend(atoms, calculator, self, "GPAW")
        if launch is not None:
            folder.end(descent.error)
        if descent.error is None:
            calculator.forget_electrons()
        version = package_versions("gpaw", "gpaw-data", "ase")
        relaxation = descent.relaxation(configuration.host, sites, self.force_threshold, self.cores, version)
        return relaxation.model_copy(update=self._electronic(folder, journal.steps, calculator.unfinished))

    def _electronic(self, folder: LaunchFolder, steps: list[IonicStep], unfinished: int) -> dict[str, Any]:
        """The figures of a run over all its launches that the motion of the atoms does not tell."""
        seconds, core_hours = folder.costs()
        details = RunDetails(
            directory=str(folder.path),
            functional="PBE",
            encut=self.cutoff,
            electronic_converged=not unfinished,
            electronic_steps_history=[step.electronic_steps for step in steps],
            energy_history=[step.energy for step in steps],
            cpu_seconds=sum(step.cpu_seconds for step in steps),
        )
        return {
            "electronic_steps": sum(step.electronic_steps for step in steps) + unfinished,
            "total_moment": steps[-1].total_moment if steps and not unfinished else None,
            "wall_seconds": seconds,
            "core_hours": core_hours,
            "details": details,
        }
