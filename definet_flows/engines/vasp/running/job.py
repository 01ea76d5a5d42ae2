"""One relaxation as it is to be run: what, from where, with which settings, in which directory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from definet_flows.defects import DefectConfiguration
from definet_flows.engines.folders import run_name
from definet_flows.engines.moments import Scheme
from definet_flows.engines.relaxation import FloatArray
from definet_flows.engines.vasp.inputs.sets import RunInputs, poscar_order, relaxation_inputs, single_point_inputs
from definet_flows.engines.vasp.outputs.figures import Frame
from definet_flows.engines.vasp.outputs.relaxations import Placed, host_positions
from definet_flows.engines.vasp.outputs.runs import VaspRun
from definet_flows.engines.vasp.running.folder import RunFolder
from definet_flows.engines.vasp.settings import SinglePoint, VaspSettings

_FEWEST_STEPS = 2
"""NSW of a launch: with fewer, VASP would not relax."""


@dataclass(frozen=True)
class VaspJob:
    """A relaxation, and the single points before and after it.

    Parameters
    ----------
    settings
        The settings.
    configuration
        What to relax; the one without defects is the pristine supercell.
    start
        [n_sites, 3] Å in host site order.
    origin
        ``unrelaxed`` or ``prerelaxed``, for the name of the directory.
    charge
        Total charge of the cell in elementary charges.
    """

    settings: VaspSettings
    configuration: DefectConfiguration
    start: FloatArray
    origin: str
    charge: int = 0

    @cached_property
    def folder(self) -> RunFolder:
        """Its directory, the same for the same content, so that a killed run is found again."""
        name = run_name(self.configuration, self.start, self.origin, self.settings.physics_hash, self.charge)
        return RunFolder(((self.settings.directory or Path("vasp")) / name).resolve())

    @property
    def elements(self) -> list[str]:
        """Symbols in the order of POSCAR, one per atom."""
        return [self.configuration.species[site] for site in poscar_order(self.configuration)]

    @property
    def placed(self) -> Placed:
        """Puts the atoms of a file on the sites of the host."""
        return host_positions(self.configuration.host, poscar_order(self.configuration))

    def inputs(self, earlier: VaspRun | None, scheme: Scheme) -> RunInputs:
        """Inputs of the next launch.

        Parameters
        ----------
        earlier
            All launches so far; None before the first.
        scheme
            Initial moments.
        """
        positions = self.start if earlier is None else self.last_positions(earlier)
        left = steps_left(self.settings, earlier)
        return relaxation_inputs(self.settings, self.configuration, positions, self.charge, scheme, left)

    def single_point(self, positions: FloatArray, level: SinglePoint, scheme: Scheme | None = None) -> RunInputs:
        """Inputs of an energy at another level of theory."""
        return single_point_inputs(self.settings, self.configuration, positions, level, self.charge, scheme)

    def last_positions(self, run: VaspRun) -> FloatArray:
        """[n_sites, 3] Å: where the last start of VASP that wrote a whole CONTCAR was to go on, else the start.

        Parameters
        ----------
        run
            All its launches so far.
        """
        frame = last_frame(run, self.elements)
        return self.start if frame is None else self.placed(frame)


def last_frame(run: VaspRun, elements: list[str]) -> Frame | None:
    """Where the last start of VASP that wrote a whole CONTCAR was to go on; None where none did.

    Parameters
    ----------
    run
        All launches so far.
    elements
        Symbols in the order of POSCAR, one per atom.
    """
    written = (attempt.following for attempt in reversed(run.attempts))
    return next((frame for frame in written if frame is not None and list(frame.species) == elements), None)


def steps_left(settings: VaspSettings, earlier: VaspRun | None) -> int:
    """Ionic steps of the next launch."""
    return max(_FEWEST_STEPS, settings.max_steps - (0 if earlier is None else len(earlier.steps)))
