"""Relaxations in files that ASE reads: pairs of unrelaxed and relaxed frames, or whole trajectories."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Lattice, Structure

from definet_flows.defects import Host
from definet_flows.defects.matching import match_structure
from definet_flows.errors import InputError
from definet_flows.training.datasets.bad_samples import BadSamples
from definet_flows.training.datasets.labels import LabelError, LabelSet
from definet_flows.training.datasets.samples import SampleCollector

if TYPE_CHECKING:
    from ase import Atoms

_UNRELAXED, _RELAXED = "_unrelaxed", "_relaxed"
"""Endings of two files that belong together, before the suffix."""

_ID_KEYS = ("configuration_id", "atoms_id", "id")
"""Where a frame may say which sample it belongs to."""


def read_relaxations(file: Path, host: Host | None, teacher: str | None, bad: BadSamples) -> list[LabelSet]:
    """Labels of one host from a file of relaxations.

    ``NAME_unrelaxed.xyz`` and ``NAME_relaxed.xyz`` are paired frame by frame, whichever is named. In any other file, consecutive
    frames of one sample are one relaxation, of which the first and the last are taken.

    Parameters
    ----------
    file
        Anything ASE reads: extended XYZ, an ASE trajectory, vasprun.xml, OUTCAR, ...
    host
        The pristine supercell; by default that of ``FILE.host.json`` beside the file.
    teacher
        Name of what relaxed the structures.
    bad
        Notes samples that cannot be used.

    Raises
    ------
    LabelError
        If the file or its partner cannot be read, its host is not known, or no sample can be used.
    """
    known = host or _host_beside(file)
    collector = SampleCollector(known, bad)
    paired = _partner(file)
    if paired:
        _add_paired(collector, *paired)
    else:
        _add_runs(collector, file)
    labels = collector.label_set({"name": teacher or "unnamed", "source": "files"})
    if labels is None:
        raise LabelError(f"{file} has no relaxation that can be used.")
    return [labels]


def _host_beside(file: Path) -> Host:
    beside = file.with_suffix(".host.json")
    if not beside.is_file():
        raise LabelError(
            f"The host of {file} is not known: import it with `definet-flows labels import {file} --host ...`, "
            f"or put the host that `definet-flows enumerate -o` writes beside it as {beside.name}."
        )
    try:
        return Host.from_dict(json.loads(beside.read_text(encoding="utf-8")))
    except ValueError as error:
        raise LabelError(f"{beside} is not a host ({error}); write it with `definet-flows enumerate -o`.") from error


def _partner(file: Path) -> tuple[Path, Path] | None:
    """The unrelaxed and the relaxed file of a pair, of which one is given; None for a file of another name."""
    for mine, theirs in ((_UNRELAXED, _RELAXED), (_RELAXED, _UNRELAXED)):
        if file.stem.endswith(mine):
            other = file.with_name(file.stem.removesuffix(mine) + theirs + file.suffix)
            if not other.is_file():
                raise LabelError(f"{file} has no partner: {other} is missing.")
            return (file, other) if mine == _UNRELAXED else (other, file)
    return None


def _add_paired(collector: SampleCollector, unrelaxed: Path, relaxed: Path) -> None:
    before, after = _frames(unrelaxed), _frames(relaxed)
    if len(before) != len(after):
        raise LabelError(
            f"{unrelaxed} has {len(before)} frames but {relaxed} has {len(after)}; each needs its partner."
        )
    for number, pair in enumerate(zip(before, after, strict=True)):
        _add(collector, f"{unrelaxed}, frame {number + 1}", pair)


def _add_runs(collector: SampleCollector, file: Path) -> None:
    frames = _frames(file)
    first = 0
    for length in _run_lengths(collector.host, frames):
        name = f"{file}, frame {first + 1}"
        if length == 1:
            collector.bad.add(
                LabelError(f"{name}: The unrelaxed and the relaxed frame have different atoms, or one is missing.")
            )
        else:
            _add(collector, f"{name} to {first + length}", (frames[first], frames[first + length - 1]))
        first += length


def _run_lengths(host: Host, frames: Sequence[Atoms]) -> Iterator[int]:
    """How many consecutive frames belong to each sample: they name the same one, or show the same changed sites."""
    length, current = 0, None
    for frame in frames:
        key = _sample_key(host, frame)
        # A frame that fits no sites is somewhere on the way.
        if length and key is not None and key != current:
            yield length
            length = 0
        current = key if key is not None else current
        length += 1
    yield length


def _sample_key(host: Host, frame: Atoms) -> object:
    named = next((str(frame.info[key]) for key in _ID_KEYS if key in frame.info), None)
    if named is not None:
        return named
    try:
        return match_structure(host, _structure(frame)).placement.defects
    except InputError:
        return None


def _add(collector: SampleCollector, name: str, pair: tuple[Atoms, Atoms]) -> None:
    collector.add(name, lambda: (_structure(pair[0]), _structure(pair[1])))


def _structure(frame: Atoms) -> Structure:
    lattice: Any = frame.cell.array
    if not np.isfinite(frame.positions).all():
        raise LabelError("The frame has coordinates that are not finite numbers.")
    if not (np.isfinite(lattice).all() and abs(np.linalg.det(lattice)) > 1):
        raise LabelError("The frame has no cell; labels are relaxations in a periodic supercell.")
    return Structure(Lattice(lattice), frame.get_chemical_symbols(), frame.positions, coords_are_cartesian=True)


def _frames(file: Path) -> list[Atoms]:
    from ase.io import read

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # parsers warn of keys they do not know
            frames = read(str(file), index=":")
    # ASE's parsers share no error: damaged files of ten formats raised 24 unrelated kinds, among them IndexError, AssertionError,
    # UnboundLocalError, zlib.error, sqlite3.DatabaseError and MemoryError.
    except Exception as error:
        raise LabelError(
            f"{file} is not a label set nor anything ASE reads ({type(error).__name__}: {error}); check the file."
        ) from error
    return frames if isinstance(frames, list) else [frames]
