"""One run directory as a record: which configuration it relaxes, from which start, and with what settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.defects.distances import minimum_image
from definet_flows.defects.equivalence import canonical_images
from definet_flows.defects.host import FloatArray, content_hash
from definet_flows.defects.matching import StructureMatch, match_structure
from definet_flows.defects.pairing import to_host_frame
from definet_flows.engines.vasp.outputs.figures import Frame
from definet_flows.engines.vasp.outputs.physics import charge_of, physics_of, untold
from definet_flows.engines.vasp.outputs.relaxations import relaxation_of
from definet_flows.engines.vasp.outputs.runs import VaspRun, read_run
from definet_flows.errors import InputError
from definet_flows.records.adoption.origin import StartOrigin
from definet_flows.records.documents import PredictionRecord, RelaxationRecord
from definet_flows.records.extract import configuration_summary, pristine_configuration, record_from_relaxation
from definet_flows.records.keys import prediction_key

_CELL_TOLERANCE = 0.01
"""Å; a lattice vector that changes by more belongs to a relaxation of the cell."""

_FEW_CELLS = 4
"""In fewer unit cells, the median atom of a sublattice may be one that a defect has moved."""


@dataclass(frozen=True)
class AdoptedEngine:
    """How a run that was made elsewhere describes its engine.

    Parameters
    ----------
    physics
        Settings that decide its result.
    execution
        How it ran.
    """

    physics: dict[str, Any]
    execution: dict[str, Any]
    name: str = field(default="vasp", init=False)

    @cached_property
    def physics_hash(self) -> str:
        """Content hash of `physics`, 16 hexadecimal digits."""
        return content_hash(self.physics)


@dataclass(frozen=True)
class AdoptedRun:
    """A run directory that could be read.

    Parameters
    ----------
    directory
        Where it lies.
    record
        What becomes of it.
    prediction
        Its start, where that is not the unrelaxed one.
    displacement
        Largest distance of an atom from its pristine site at the start, Å.
    start, ends
        [n_sites, 3] Å in host site order: where it started, and where a run that goes on from it would start.
    """

    directory: Path
    record: RelaxationRecord
    prediction: PredictionRecord | None
    displacement: float
    start: FloatArray
    ends: list[FloatArray]


def read_adopted(directory: Path, host: Host, origin: StartOrigin, tolerance: float, campaign: str) -> AdoptedRun:
    """Read one run directory.

    Parameters
    ----------
    directory
        Holds what VASP wrote.
    host
        The pristine supercell.
    origin
        What made the starts that are not the pristine sites.
    tolerance
        Å; a start with every atom this near to its pristine site is the unrelaxed one.
    campaign
        Name for the records.

    Raises
    ------
    InputError
        If it holds no relaxation of a defect of this host in a fixed cell; the message says what is wrong.
    """
    run = read_run(directory)
    initial = run.first.initial
    if initial is None:
        raise InputError("No file tells where the atoms started: vasprun.xml is cut off or missing, and so is POSCAR.")
    placement = _Placement.of(host, initial)
    _check_cell(run, initial)
    start = placement.positions(initial)
    displacement = placement.displacement(start)
    prediction = None
    if displacement > tolerance:
        prediction = _start_record(placement.configuration, start, displacement, origin, campaign)
    relaxation = relaxation_of(run, placement.positions)
    execution = {"cores": relaxation.cores, "settings": _plain(run.first.incar)}
    engine = AdoptedEngine(_physics(run), execution)
    charge = charge_of(run.first)
    record = record_from_relaxation(placement.configuration, relaxation, engine, campaign, prediction, charge)
    ends = [placement.positions(frame) for frame in (run.last.final, run.last.following) if frame is not None]
    return AdoptedRun(directory, record, prediction, displacement, start, ends)


def _physics(run: VaspRun) -> dict[str, Any]:
    """The settings; where some are not known, with what sets them apart from all others."""
    physics = physics_of(run.first)
    missing = untold(physics)
    return physics | ({"not told": {"settings": missing, "of": str(run.directory)}} if missing else {})


@dataclass(frozen=True)
class _Placement:
    """A file's atoms on the sites of a host, and how they look from the canonical image of their configuration."""

    match: StructureMatch
    configuration: DefectConfiguration
    given: DefectConfiguration

    @classmethod
    def of(cls, host: Host, initial: Frame) -> _Placement:
        structure = Structure(Lattice(initial.lattice), list(initial.species), initial.frac_coords)
        match = match_structure(host, structure)
        if _is_pristine(match):
            pristine = pristine_configuration(host)
            return cls(match, pristine, pristine)
        given = match.placement
        return cls(match, DefectConfiguration.create(host, dict(given.defects)), given)

    def positions(self, frame: Frame) -> FloatArray:
        """[n_sites, 3] Å in host site order of the canonical configuration, the order of the file carried over."""
        host, sites = self.match.host, self.match.sites
        if len(frame.frac_coords) != len(sites):
            raise InputError(f"The run began with {len(sites)} atoms and ended with {len(frame.frac_coords)}.")
        pristine = self.match.ideal_positions[sites]
        moved = minimum_image(frame.frac_coords @ frame.lattice - pristine, frame.lattice)
        displacements = np.zeros((host.n_sites, 3))
        displacements[sites] = moved @ to_host_frame(frame.lattice, host)
        if self.given.defects:
            displacements = canonical_images(self.given, displacements)[1][0]
        return np.asarray(host.positions + displacements)

    def displacement(self, positions: FloatArray) -> float:
        """Largest distance of an atom from its pristine site, Å.

        A sublattice that is displaced as a whole is where another functional has it, so that its median is the pristine site.
        """
        host, occupied = self.match.host, self.configuration.occupied
        displacements = positions - host.positions
        if host.n_cells >= _FEW_CELLS:
            for rows in np.split(np.arange(host.n_sites), len(host.unit_cell)):
                present = rows[occupied[rows]]
                displacements[present] -= np.median(displacements[present], axis=0) if len(present) else 0.0
        return float(np.linalg.norm(displacements[occupied], axis=1).max())


def _is_pristine(match: StructureMatch) -> bool:
    symbols = [atom.specie.symbol for atom in match.structure]
    return len(symbols) == match.host.n_sites and symbols == [match.host.species[site] for site in match.sites]


def _check_cell(run: VaspRun, initial: Frame) -> None:
    for attempt in run.attempts:
        if attempt.final is not None and np.abs(attempt.final.lattice - initial.lattice).max() > _CELL_TOLERANCE:
            raise InputError("Its cell changed during the run (ISIF); records are of relaxations in a fixed cell.")


def _start_record(
    configuration: DefectConfiguration, start: FloatArray, displacement: float, origin: StartOrigin, campaign: str
) -> PredictionRecord:
    """The start as a prediction that a guard let through, of which nobody noted the time."""
    model = origin.model
    return PredictionRecord(
        key=prediction_key(configuration.id, model.checkpoint_hash, model.guard_hash, ""),
        **configuration_summary(configuration, campaign),
        **model.identity,
        reference_hash="",
        positions=start.tolist(),
        passed=True,
        reasons=[],
        max_displacement=displacement,
        exposure=origin.exposure(configuration),
        seconds=None,
    )


def _plain(settings: Any) -> dict[str, Any]:
    """INCAR as it was, for the record."""
    return {
        name: value for name, value in sorted(settings.items()) if isinstance(value, str | int | float | bool | list)
    }
