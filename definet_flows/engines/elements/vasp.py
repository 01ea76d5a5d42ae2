"""Phases relaxed with their cell by VASP: the level of theory of the defects' supercells, on k-points of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from pymatgen.core import Lattice, Structure

from definet_flows.defects.host import content_hash
from definet_flows.engines.elements.outcome import PhaseRelaxation
from definet_flows.engines.elements.phases import ElementalPhase
from definet_flows.engines.relaxation import FloatArray
from definet_flows.engines.vasp.inputs.sets import RunInputs, phase_inputs
from definet_flows.engines.vasp.outputs.figures import Frame
from definet_flows.engines.vasp.outputs.relaxations import Placed
from definet_flows.engines.vasp.outputs.runs import VaspRun, read_run
from definet_flows.engines.vasp.running.folder import RunFolder
from definet_flows.engines.vasp.running.job import last_frame, steps_left
from definet_flows.engines.vasp.running.relaxing import ended
from definet_flows.engines.vasp.settings import VaspSettings
from definet_flows.errors import InputError


@dataclass(frozen=True)
class PhaseJob:
    """A phase as VASP is to relax it.

    Parameters
    ----------
    settings
        The settings, with the phase's own k-points.
    phase
        What it is.
    start
        Where it starts, with the initial moments.
    """

    settings: VaspSettings
    phase: ElementalPhase
    start: Structure

    @classmethod
    def first(cls, settings: VaspSettings, phase: ElementalPhase, kpoint_density: float | None) -> Self:
        """The first of its runs; parameters as for `relax_with_vasp`."""
        own = settings.model_copy(update={"kpoints": phase.kpoints(kpoint_density)})
        start = phase.structure.copy(site_properties={"magmom": phase.moments()})
        return cls(own, phase, start.get_sorted_structure(key=lambda site: site.specie.symbol))

    @cached_property
    def folder(self) -> RunFolder:
        """Its directory, the same for the same content, so that a killed run is found again."""
        geometry = [np.round(self.start.lattice.matrix, 6) + 0.0, np.round(self.start.frac_coords, 6) + 0.0]
        content = [self.settings.physics_hash, self.elements, *(part.tolist() for part in geometry)]
        name = f"{self.phase.folder}-{content_hash(content, 8)}"
        return RunFolder(((self.settings.directory or Path("vasp")) / name).resolve())

    @property
    def elements(self) -> list[str]:
        """Symbols in the order of POSCAR, one per atom."""
        return [site.specie.symbol for site in self.start]

    @property
    def placed(self) -> Placed:
        """[n_atoms, 3] Å of the atoms of a file."""
        return _cartesian

    def inputs(self, earlier: VaspRun | None) -> RunInputs:
        """Inputs of the next launch.

        Parameters
        ----------
        earlier
            All launches so far; None before the first.
        """
        frame = None if earlier is None else last_frame(earlier, self.elements)
        left = steps_left(self.settings, earlier)
        return phase_inputs(self.settings, self._moved(frame), left, fixed_cell=self.phase.molecule)

    def end(self) -> Structure:
        """The last cell and positions that VASP wrote; the start where it wrote none."""
        try:
            return self._moved(read_run(self.folder.path).last.final)
        except InputError:
            return self.start

    def _moved(self, frame: Frame | None) -> Structure:
        """The start with the cell and the positions of a file."""
        if frame is None:
            return self.start
        moments = {"magmom": self.start.site_properties["magmom"]}
        return Structure(Lattice(frame.lattice), self.elements, frame.frac_coords, site_properties=moments)


def relax_with_vasp(settings: VaspSettings, phase: ElementalPhase, kpoint_density: float | None) -> PhaseRelaxation:
    """Relax atoms and cell, and then again from there; a molecule once, in its fixed box.

    VASP keeps the plane waves of the cell that it starts with. The second run starts with the cell at which the first ended, so
    that its energy is that of the cutoff.

    Parameters
    ----------
    settings
        Of the defects' supercells.
    phase
        Where to start.
    kpoint_density
        k-points per reciprocal volume, Å³; None for the Γ point alone.

    Raises
    ------
    InputError
        If VASP or a POTCAR is missing.
    WalltimeError
        If the wall time ends first; the same call goes on in another job.
    """
    job = PhaseJob.first(settings, phase, kpoint_density)
    outcomes = [ended(job, job.inputs)]
    if outcomes[0].converged and not phase.molecule:
        job = replace(job, start=job.end())
        outcomes.append(ended(job, job.inputs))
    last, final = outcomes[-1], job.end()
    energy = None if last.error else last.energy
    return PhaseRelaxation(
        converged=last.converged and energy is not None,
        error=last.error,
        ionic_steps=sum(one.ionic_steps or 0 for one in outcomes),
        max_force=last.max_force,
        energy_per_atom=None if energy is None else energy / len(final),
        lattice=final.lattice.matrix.tolist(),
        positions=final.cart_coords.tolist(),
        wall_seconds=_sum(one.wall_seconds for one in outcomes),
        core_hours=_sum(one.core_hours for one in outcomes),
        engine_version=last.engine_version,
        kpoints=job.settings.kpoints,
    )


def _cartesian(frame: Frame) -> FloatArray:
    return frame.frac_coords @ frame.lattice


def _sum(parts: Iterable[float | None]) -> float | None:
    known = list(parts)
    return None if None in known else sum(filter(None, known))
