"""Space-group operations of a unit cell and the site permutations they make in a supercell."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import spglib
from pymatgen.core import Structure

from definet_flows.defects.supercell import CellGrid, IntArray
from definet_flows.errors import InputError

SYMMETRY_TOLERANCE = 1e-3
"""Å, the distance within which two sites count as equivalent."""


@dataclass(frozen=True)
class UnitCellOperation:
    """A symmetry operation as integers: site k in cell n goes to site ``sites[k]`` in cell ``n @ rotation.T + cells[k]``.

    Parameters
    ----------
    rotation
        [3, 3] fractional rotation acting on column vectors.
    sites
        [n_unit_sites] image sublattice of each unit-cell site.
    cells
        [n_unit_sites, 3] unit cell the image of the site in cell zero lies in.
    """

    rotation: IntArray
    sites: IntArray
    cells: IntArray


def unit_cell_operations(unit_cell: Structure) -> tuple[tuple[UnitCellOperation, ...], int]:
    """Operations of the unit cell's space group and the group's number (spglib).

    Raises
    ------
    InputError
        If no symmetry can be determined, which means that atoms overlap.
    """
    numbers = [site.specie.Z for site in unit_cell]
    cell = (unit_cell.lattice.matrix.tolist(), unit_cell.frac_coords.tolist(), numbers)
    with warnings.catch_warnings():
        # spglib announces that errors will be raised instead of returning None; both are handled here.
        warnings.filterwarnings("ignore", message="Set OLD_ERROR_HANDLING", category=DeprecationWarning)
        try:
            dataset = spglib.get_symmetry_dataset(cell, symprec=SYMMETRY_TOLERANCE)
        except spglib.SpglibError:
            dataset = None
    if dataset is None:
        raise InputError(
            f"No symmetry found for {unit_cell.composition.reduced_formula}; check its structure for overlapping atoms."
        )
    operations = tuple(
        _integer_operation(np.asarray(rotation, dtype=np.int64), translation, unit_cell)
        for rotation, translation in zip(dataset.rotations, dataset.translations, strict=True)
    )
    return operations, int(dataset.number)


def _integer_operation(
    rotation: IntArray, translation: npt.NDArray[np.float64], unit_cell: Structure
) -> UnitCellOperation:
    frac_coords = unit_cell.frac_coords
    moved = frac_coords @ rotation.T + translation
    difference = moved[:, None] - frac_coords[None]  # [n_unit_sites, n_unit_sites, 3]
    cells = np.rint(difference)
    distances = np.linalg.norm((difference - cells) @ unit_cell.lattice.matrix, axis=-1)
    sites = distances.argmin(axis=1)
    rows = np.arange(len(sites))
    return UnitCellOperation(rotation, sites, cells[rows, sites].astype(np.int64))


def site_permutations(
    operations: tuple[UnitCellOperation, ...], grid: CellGrid
) -> tuple[npt.NDArray[np.int32], IntArray]:
    """Every distinct permutation of the supercell's sites by a symmetry of the host.

    Parameters
    ----------
    operations
        Unit-cell operations; those that do not keep the superlattice are left out.
    grid
        The supercell. Site (k, cell) has index ``k * n_cells + cell``.

    Returns
    -------
    permutations : ndarray
        int32 [n_permutations, n_sites]; entry [g, i] is the image of site i. The identity comes first.
    rotations : ndarray
        [n_permutations] number of a unit-cell operation that makes each permutation.
    """
    n_cells = grid.n_cells
    shifted = grid.index(grid.cells[:, None] + grid.cells[None])  # [n_translations, n_cells]
    blocks, numbers = [], []
    for number, operation in enumerate(operations):
        if grid.preserved_by(operation.rotation):
            target = grid.index(
                (grid.cells @ operation.rotation.T)[None] + operation.cells[:, None]
            )  # [n_unit_sites, n_cells]
            images = operation.sites[:, None] * n_cells + shifted[:, target]  # [n_translations, n_unit_sites, n_cells]
            blocks.append(images.reshape(n_cells, -1).astype(np.int32))
            numbers += [number] * n_cells
    # A mirror through a planar layer moves no site; one copy of each permutation is enough.
    every = np.concatenate(blocks)
    # In the order of np.unique(axis=0), which makes a TypeError of a Control-C that falls into its comparison of rows.
    order = np.lexsort(every.T[::-1])
    new = np.r_[True, np.any(np.diff(every[order], axis=0), axis=1)]
    first = order[new]
    return every[first], np.array(numbers)[first]


def symmetrised(
    displacements: npt.NDArray[np.float64], unit_cell: Structure, operations: tuple[UnitCellOperation, ...]
) -> npt.NDArray[np.float64]:
    """Average displacements of the unit cell's sites over its symmetry and remove their mean.

    Parameters
    ----------
    displacements
        [n_unit_sites, 3] Å.
    unit_cell
        Gives the lattice.
    operations
        Its space group.

    Returns
    -------
    ndarray
        [n_unit_sites, 3] Å, unchanged by every operation.
    """
    frac = displacements @ np.linalg.inv(unit_cell.lattice.matrix)
    total = np.zeros_like(frac)
    for operation in operations:
        total[operation.sites] += frac @ operation.rotation.T
    average = total / len(operations)
    return np.asarray((average - average.mean(axis=0)) @ unit_cell.lattice.matrix)
