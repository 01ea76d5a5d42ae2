"""Structures of results for other programs: atoms only, with what is known of their energies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from definet_flows.records.documents import PredictionRecord, RelaxationRecord, RunFigures, SavingsRecord, Start, State
from definet_flows.records.keys import prediction_key
from definet_flows.records.store import RecordStore

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.entries.computed_entries import ComputedStructureEntry

Record = RelaxationRecord | PredictionRecord | SavingsRecord
Stage = Literal["initial", "predicted", "relaxed"]
Sites = list[list[float]]

_BATCH = 200


@dataclass(frozen=True)
class Image:
    """One structure of a record.

    Parameters
    ----------
    stage
        The start on pristine coordinates, the network's prediction, or the end of a relaxation.
    keys
        Documents that may hold its coordinates; none where they are the host's own.
    start
        Where the relaxation that it belongs to started; None for a prediction on its own.
    state
        How that relaxation ended.
    figures
        What is known of this structure, by name with unit; energies in eV.
    """

    stage: Stage
    keys: tuple[str, ...] = ()
    start: Start | None = None
    state: State | None = None
    figures: tuple[tuple[str, float], ...] = ()


def atoms(store: RecordStore, records: Iterable[Record]) -> Iterator[Atoms]:
    """Every structure of the records for ASE, vacancy placeholders removed, the start before the end.

    Energies are those of ASE's calculators; forces are not kept by results stores. ``info`` says which structure it is.

    Parameters
    ----------
    store
        Where the records are from.
    records
        Relaxations, predictions or savings.
    """
    for record, image, positions in _located(store, records):
        yield _atoms(store, record, image, positions)


def entries(store: RecordStore, records: Iterable[Record]) -> Iterator[ComputedStructureEntry]:
    """Converged ends of the records as pymatgen's entries, energies as the engine gave them.

    Parameters
    ----------
    store, records
        As for `atoms`.
    """
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    for record, image, positions in _located(store, records):
        energy = dict(image.figures).get("energy")
        if image.state != "converged" or image.stage != "relaxed" or energy is None:
            continue
        structure = store.configuration(record).structure(np.array(positions))
        structure.set_charge(record.charge)
        told = _told(record, image)
        yield ComputedStructureEntry(
            structure,
            energy,
            parameters={name: told.pop(name) for name in ("engine", "physics_hash") if name in told},
            data=told,
            entry_id=image.keys[0],
        )


def _located(store: RecordStore, records: Iterable[Record]) -> Iterator[tuple[Record, Image, Sites | None]]:
    """Images with their coordinates, None for the host's; those that were never written are left out."""
    waiting = iter(records)
    while batch := list(islice(waiting, _BATCH)):
        images = [(record, image) for record in batch for image in _images(record)]
        found = store.positions({key for _, image in images for key in image.keys})
        for record, image in images:
            there = [key for key in image.keys if key in found]
            if there or not image.keys:
                yield record, image, found[there[0]] if there else None


def _images(record: Record) -> list[Image]:
    if isinstance(record, PredictionRecord):
        return [Image("initial"), Image("predicted", (record.key,))]
    if isinstance(record, RelaxationRecord):
        return [_start_of(record), _end_of(record, record.start)]
    predicted = Image("predicted", _prediction_keys(record, record.physics_hash))
    ends = [_end_of(record.unrelaxed, "unrelaxed")]
    return (
        [Image("initial"), *ends]
        if record.fallback
        else [
            Image("initial"),
            predicted,
            *ends,
            _end_of(record.prerelaxed, "prerelaxed"),
        ]
    )


def _start_of(run: RelaxationRecord) -> Image:
    if run.start == "unrelaxed":
        return Image("initial", start=run.start, state=run.state)
    return Image("predicted", _prediction_keys(run, run.engine.physics_hash), run.start, run.state)


def _end_of(run: RelaxationRecord | RunFigures, start: Start) -> Image:
    known = {"energy": run.energy, "max_force": run.max_force, "total_moment": run.total_moment}
    figures = tuple((name, figure) for name, figure in known.items() if figure is not None)
    return Image("relaxed", (run.key,), start, run.state, figures)


def _prediction_keys(record: RelaxationRecord | SavingsRecord, physics_hash: str) -> tuple[str, ...]:
    """Keys that the prediction may have: made on the engine's own pristine cell, or on the nominal one."""
    hashes = record.checkpoint_hash or "", record.guard_hash or ""
    return tuple(prediction_key(record.configuration_id, *hashes, reference) for reference in (physics_hash, ""))


def _atoms(store: RecordStore, record: Record, image: Image, positions: Sites | None) -> Atoms:
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    configuration = store.configuration(record)
    there = np.flatnonzero(configuration.occupied)
    coordinates = configuration.host.positions if positions is None else np.array(positions)
    symbols = [configuration.species[site] for site in there]
    told = _told(record, image)
    energy = told.pop("energy", None)
    made = Atoms(symbols, coordinates[there], cell=configuration.host.lattice, pbc=True, info=told)
    if energy is not None:
        made.calc = SinglePointCalculator(made, energy=energy)
    return made


def _told(record: Record, image: Image) -> dict[str, Any]:
    """What is said of a structure besides its atoms."""
    named = {
        "configuration_id": record.configuration_id,
        "label": record.label,
        "host": record.host.name,
        "charge": record.charge,
        "stage": image.stage,
        "start": image.start,
        "state": image.state,
        "engine": _engine(record),
        "physics_hash": _physics_hash(record),
        "checkpoint": record.checkpoint,
    }
    return {name: value for name, value in {**named, **dict(image.figures)}.items() if value is not None}


def _engine(record: Record) -> str | None:
    if isinstance(record, RelaxationRecord):
        return record.engine.name
    return record.engine_name if isinstance(record, SavingsRecord) else None


def _physics_hash(record: Record) -> str | None:
    if isinstance(record, RelaxationRecord):
        return record.engine.physics_hash
    return record.physics_hash if isinstance(record, SavingsRecord) else None
