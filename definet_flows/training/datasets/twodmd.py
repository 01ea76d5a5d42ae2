"""The published 2DMD data set as it lies on disk.

Source: Huang et al., npj 2D Mater. Appl. 7, 6 (2023), doi 10.1038/s41699-023-00369-1. Each host has a folder with its structures
in ``CIF_POSCAR`` (low density) or ``CIF`` (high density); unit cells lie beside the host folders.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure

from definet_flows.defects import Host
from definet_flows.defects.presets import HOST_ALIASES, host_preset
from definet_flows.defects.reading import checked_unit_cell, read_cif, read_structure
from definet_flows.defects.supercell import supercell_matrix
from definet_flows.defects.vacuum import unwrapped_along_c
from definet_flows.errors import InputError
from definet_flows.training.datasets.bad_samples import BadSamples
from definet_flows.training.datasets.labels import Density, LabelError, LabelSet, Share
from definet_flows.training.datasets.samples import SampleCollector

logger = logging.getLogger(__name__)

TEACHER: dict[str, Any] = {"name": "vasp", "source": "2DMD", "functional": "PBE", "energy_cutoff_ev": 500}
"""What made the labels, the same for all hosts."""

_DENSITIES: dict[str, Density] = {"CIF_POSCAR": "low", "CIF": "high"}
"""Folder of the structures in each section."""

_SHARES: dict[str, Share] = {"train.csv": "training", "val.csv": "validation", "test.csv": "test"}

_ID_COLUMN = "atoms_id"

_DEPTH = 2
"""Folders between a root and its host folders at most."""

Track = Callable[[Sequence[Any], str], Iterable[Any]]
"""Hands on what is to be read of a host folder, one by one, such as a progress bar with this name."""

_LATTICE_TOLERANCE = 0.02
"""Share of a lattice vector by which a structure's cell may miss a whole multiple of the unit cell."""


@dataclass(frozen=True)
class HostFolder:
    """The structures of one host in one section.

    Parameters
    ----------
    path
        The host's folder.
    structures
        Folder of its CIFs.
    density
        Section of the data set.
    """

    path: Path
    structures: Path
    density: Density


def find_host_folders(root: Path) -> list[HostFolder]:
    """Host folders of the data set in a folder, which is all of it, a section, or one of them; empty where there are none."""
    found, level = [], [root]
    for _ in range(_DEPTH + 1):
        below = []
        for folder in level:
            sections = [HostFolder(folder, folder / name, _DENSITIES[name]) for name in _DENSITIES]
            mine = [section for section in sections if section.structures.is_dir()]
            found += mine
            below += [] if mine else sorted(child for child in folder.iterdir() if child.is_dir())
        level = below
    return found


def read_twodmd(folders: Iterable[HostFolder], bad: BadSamples, track: Track | None = None) -> list[LabelSet]:
    """Labels of host folders, one set for each.

    Relaxed positions are unwrapped to the image nearest to their site, rigid translations removed, and placements carried over
    to the canonical configuration. Where the folder divides its samples in csv files, the shares are kept beside the labels.

    Parameters
    ----------
    folders
        What `find_host_folders` found.
    bad
        Notes samples that cannot be used.
    track
        Follows the progress.

    Raises
    ------
    LabelError
        If a folder has no unit cell or no usable sample, or a sample cannot be used and bad ones are not to be left out.
    """
    return [_read_folder(folder, bad, track or (lambda samples, _: samples)) for folder in folders]


def _read_folder(folder: HostFolder, bad: BadSamples, track: Track) -> LabelSet:
    samples = _listed(folder, bad)
    collector = SampleCollector(_host(folder, [identity for identity, _ in samples]), bad)
    for identity, share in track(samples, folder.path.name):
        collector.add(str(folder.structures / identity), partial(_read_pair, folder, identity), share)
    labels = collector.label_set(TEACHER, folder.density)
    if labels is None:
        raise LabelError(f"{folder.path} has no sample that can be used; {len(samples)} were looked at.")
    logger.info("%s: %d samples, %d configurations", folder.path, len(samples), len(labels))
    return labels


def _listed(folder: HostFolder, bad: BadSamples) -> list[tuple[str, Share | None]]:
    """Sample ids with their share, from the csv files where there are any, else from the names of the structures."""
    files = [folder.path / name for name in _SHARES if (folder.path / name).is_file()]
    if not files:
        names = {file.name.removesuffix(".cif").rpartition("_")[0] for file in folder.structures.glob("*_*relaxed.cif")}
        if not names:
            raise LabelError(f"{folder.structures} holds no ID_unrelaxed.cif; check that the data set was unpacked.")
        return [(name, None) for name in sorted(names)]
    first: dict[str, Path] = {}
    for file in files:
        for identity in _ids(file):
            if first.setdefault(identity, file) != file:
                bad.add(
                    LabelError(f"{file} lists {identity}, which {first[identity].name} lists too; keep one of them.")
                )
    return [(identity, _SHARES[file.name]) for identity, file in first.items()]


def _ids(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as rows:
            table = csv.DictReader(rows)
            if _ID_COLUMN not in (table.fieldnames or ()):
                raise LabelError(
                    f"{file} has no column {_ID_COLUMN}; its columns are {', '.join(table.fieldnames or ['none'])}."
                )
            ids = [row[_ID_COLUMN].strip() for row in table if row[_ID_COLUMN]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelError(f"{file} is not a csv file ({error}); unpack the data set anew.") from error
    if not ids:
        raise LabelError(f"{file} lists no samples; remove the file to read without its split.")
    return ids


def _file(folder: HostFolder, identity: str, kind: str) -> Path:
    return folder.structures / f"{identity}_{kind}.cif"


def _read_pair(folder: HostFolder, identity: str) -> tuple[Structure, Structure]:
    unrelaxed, relaxed = (_file(folder, identity, kind) for kind in ("unrelaxed", "relaxed"))
    missing = [file.name for file in (unrelaxed, relaxed) if not file.is_file()]
    if missing:
        raise LabelError(f"The sample has no {' and no '.join(missing)}.")
    return read_cif(unrelaxed), read_cif(relaxed)


def _host(folder: HostFolder, identities: Iterable[str]) -> Host:
    """The pristine supercell: the unit cell beside the folder, as often as it fits into the first structure that can be read."""
    name, file = _unit_cell(folder)
    unit_cell = unwrapped_along_c(checked_unit_cell(read_structure(file)))
    for identity in identities:
        try:
            lattice = read_cif(_file(folder, identity, "unrelaxed")).lattice
        except InputError:
            continue  # is reported when its turn comes
        return _supercell(name, unit_cell, lattice, folder)
    raise LabelError(f"None of the structures in {folder.structures} can be read; unpack the data set anew.")


def _unit_cell(folder: HostFolder) -> tuple[str, Path]:
    """The host's name, and the file of its unit cell in the parent folder."""
    stem = folder.path.name.partition("_")[0]
    try:
        name = host_preset(stem)[0]
    except InputError:
        name = stem
    names = (name, *(alias for alias, host in HOST_ALIASES.items() if host == name))
    files = [folder.path.parent / f"{one}.cif" for one in names]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        wanted = " or ".join(file.name for file in files)
        raise LabelError(
            f"The host of {folder.path} is not known: put its unit cell, {wanted}, into {folder.path.parent}."
        )
    return name, found


def _supercell(name: str, unit_cell: Structure, lattice: Lattice, folder: HostFolder) -> Host:
    """A layer in the cell of a structure; another c keeps Cartesian positions, as in the data set's high-density section."""
    if abs(lattice.c - unit_cell.lattice.c) > 1e-4:
        vectors = unit_cell.lattice.matrix.copy()
        vectors[2] *= lattice.c / unit_cell.lattice.c
        unit_cell = Structure(Lattice(vectors), unit_cell.species, unit_cell.cart_coords, coords_are_cartesian=True)
    multiples = np.array(lattice.abc) / unit_cell.lattice.abc
    if abs(multiples - np.rint(multiples)).max() > _LATTICE_TOLERANCE * max(multiples):
        text = ", ".join(f"{length:.3f}" for length in lattice.abc)
        raise LabelError(f"The cells in {folder.structures} ({text} Å) are no multiple of the unit cell of {name}.")
    return Host(name, unit_cell, supercell_matrix(np.rint(multiples)), dimensionality=2)
