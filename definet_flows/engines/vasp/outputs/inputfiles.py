"""VASP's input files where the outputs do not repeat them; what cannot be read is as if it were not there."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np

from definet_flows.engines.vasp.outputs.figures import Frame, kpoint_mesh
from definet_flows.engines.vasp.outputs.files import DAMAGED, RunFile

_TITLE = re.compile(rb"TITEL\s*=\s*(.+)")
_UNREADABLE = (*DAMAGED, ValueError, IndexError, KeyError)


def read_poscar_file(file: RunFile | None) -> Frame | None:
    """Atoms of a POSCAR or CONTCAR; None where it is missing, empty, cut off, or names no elements."""
    from pymatgen.io.vasp import Poscar

    if file is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of element names it makes up, refused below
            poscar = Poscar.from_str(file.text(), read_velocities=False)
    except _UNREADABLE:
        return None
    structure = poscar.structure
    if not poscar.true_names or not len(structure):
        return None
    species = tuple(site.specie.symbol for site in structure)
    return Frame(np.array(structure.lattice.matrix), np.array(structure.frac_coords), species)


def read_incar_file(file: RunFile | None) -> dict[str, Any]:
    """Settings of an INCAR; none where it is missing."""
    from pymatgen.io.vasp import Incar

    if file is None:
        return {}
    try:
        return dict(Incar.from_str(file.text()))
    except _UNREADABLE:
        return {}


def read_kpoints_file(file: RunFile | None) -> dict[str, Any] | None:
    """The mesh or the list of a KPOINTS."""
    from pymatgen.io.vasp import Kpoints

    if file is None:
        return None
    try:
        kpoints = Kpoints.from_str(file.text())
    except _UNREADABLE:
        return None
    style = kpoints.style.name.lower()
    if style in {"gamma", "monkhorst"}:
        divisions = tuple(int(number) for number in kpoints.kpts[0])
        shift = tuple(float(offset) for offset in kpoints.kpts_shift)
        return kpoint_mesh(divisions, shift, monkhorst_pack=style == "monkhorst")
    return {"points": np.round(np.array(kpoints.kpts, dtype=float), 6).tolist()} if style == "reciprocal" else None


def read_potcar_titles(file: RunFile | None) -> dict[str, str]:
    """Element symbol to title of its potential, of a POTCAR."""
    if file is None:
        return {}
    try:
        with file.open() as content:
            found = [match[1].decode(errors="replace").split() for line in content if (match := _TITLE.search(line))]
    except DAMAGED:
        return {}
    return {words[1].partition("_")[0]: " ".join(words) for words in found if len(words) > 1}
