"""The empty space of a slab cell: how much there is, and more of it on request."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure

from definet_flows.errors import InputError

RECOMMENDED_VACUUM = 15.0
"""Å, what the DefiNet paper states for 2D hosts."""

_LAYERED_GAP = 6.0
"""Å, a gap wider than this along an axis means that the structure is a slab (van der Waals gaps are about 3 Å)."""


def gap_along(unit_cell: Structure, axis: int) -> float:
    """Widest empty slice of the cell perpendicular to a lattice plane, in Å."""
    frac = np.sort(unit_cell.frac_coords[:, axis] % 1.0)
    gaps = np.diff(np.append(frac, frac[0] + 1.0))
    height = unit_cell.volume / np.linalg.norm(np.cross(*np.delete(unit_cell.lattice.matrix, axis, axis=0)))
    return float(gaps.max() * height)


def infer_dimensionality(unit_cell: Structure) -> int:
    """2 for a slab with its vacuum along c, 3 for a bulk crystal.

    Raises
    ------
    InputError
        If the vacuum lies along a or b.
    """
    gaps = [gap_along(unit_cell, axis) for axis in range(3)]
    # A large conventional cell of few atoms can have one wide gap in every direction and still be bulk.
    if max(gaps) < _LAYERED_GAP:
        return 3
    if gaps[2] < max(gaps):
        raise InputError(f"The vacuum lies along {'abc'[int(np.argmax(gaps))]}; turn the cell so that it lies along c.")
    return 2


def with_vacuum(unit_cell: Structure, vacuum: float) -> Structure:
    """The same layer with at least `vacuum` Å of empty space along c; Cartesian distances are kept.

    Raises
    ------
    InputError
        If `vacuum` is not a positive number.
    """
    if not (np.isfinite(vacuum) and vacuum > 0):
        raise InputError(f"Vacuum {vacuum} is not a positive length; give it in Å, for example 15.")
    missing = vacuum - gap_along(unit_cell, 2)
    if missing <= 0:
        return unit_cell
    whole = unwrapped_along_c(unit_cell)
    matrix = whole.lattice.matrix.copy()
    normal = np.cross(matrix[0], matrix[1])
    height = abs(matrix[2] @ normal) / np.linalg.norm(normal)
    matrix[2] *= (height + missing) / height
    return Structure(Lattice(matrix), whole.species, whole.cart_coords, coords_are_cartesian=True)


def unwrapped_along_c(unit_cell: Structure) -> Structure:
    """Shift whole atoms by c so that the layer is in one piece and the gap at the cell's edge."""
    frac_coords = unit_cell.frac_coords.copy()
    z = frac_coords[:, 2] % 1.0
    order = np.argsort(z)
    gaps = np.diff(np.append(z[order], z[order[0]] + 1.0))
    above_gap = z > z[order[int(gaps.argmax())]]
    frac_coords[:, 2] = np.where(above_gap, z - 1.0, z)
    return Structure(unit_cell.lattice, unit_cell.species, frac_coords)
