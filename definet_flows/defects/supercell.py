"""Integer arithmetic of supercells: which unit cells a supercell holds, and where a translation leads.

A supercell is an integer matrix M whose rows are its lattice vectors in units of the unit cell's. Everything here is exact,
so that a site's index never depends on rounding at a cell edge.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from definet_flows.errors import InputError

IntArray = npt.NDArray[np.int64]
SupercellMatrix = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]

NEIGHBOUR_CELLS: IntArray = np.array(list(product((-1, 0, 1), repeat=3)), dtype=np.int64)
"""[27, 3] a cell and those around it; with the shortest lattice vectors, the nearest image of a point is in one of them."""


def supercell_matrix(size: Any) -> SupercellMatrix:
    """Read three integers or a 3×3 integer matrix as a supercell matrix.

    Raises
    ------
    InputError
        If entries are not integers, the shape is wrong, or the matrix is singular.
    """
    try:
        entries = np.asarray(size, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Supercell {size!r} is not numeric; give three integers such as 8 8 1, or a 3×3 integer matrix."
        ) from error
    if entries.shape not in {(3,), (3, 3)}:
        raise InputError(
            f"Supercell {size!r} has shape {entries.shape}; give three integers such as 8 8 1, or a 3×3 matrix."
        )
    if not np.isfinite(entries).all() or (entries != np.rint(entries)).any():
        raise InputError(
            f"Supercell {size!r} is not integer; lattice vectors must be whole multiples of the unit cell's."
        )
    matrix = np.rint(np.diag(entries) if entries.ndim == 1 else entries).astype(int)
    if entries.ndim == 1 and (matrix.diagonal() < 1).any():
        raise InputError(f"Supercell {size!r} must be positive in every direction; give for example 8 8 1.")
    if round(float(np.linalg.det(matrix))) == 0:
        raise InputError(f"Supercell matrix {matrix.tolist()} is singular; its three rows must be independent.")
    a, b, c = (tuple(int(entry) for entry in row) for row in matrix)
    return (a, b, c)  # type: ignore[return-value]


def reduction(lattice: npt.NDArray[np.float64]) -> IntArray:
    """[3, 3] integers that turn lattice vectors (rows, Å) into the shortest ones of the same lattice (Minkowski reduction).

    Only among those is the nearest image of a point sure to be next to the one that rounding finds.
    """
    from ase.geometry import minkowski_reduce

    operation: IntArray = np.rint(minkowski_reduce(lattice)[1]).astype(np.int64)
    return operation


class CellGrid:
    """The unit cells inside one supercell, numbered, with translation modulo the supercell.

    Parameters
    ----------
    matrix
        Supercell matrix, rows in units of the unit cell's vectors.
    """

    def __init__(self, matrix: SupercellMatrix) -> None:
        self.matrix: IntArray = np.array(matrix, dtype=np.int64)
        self.n_cells = abs(round(float(np.linalg.det(self.matrix))))
        self._adjugate: IntArray = np.rint(np.linalg.inv(self.matrix) * self.n_cells).astype(np.int64)
        self.cells = self._list_cells()  # [n_cells, 3]

    def _fold(self, offsets: IntArray) -> tuple[IntArray, IntArray]:
        """Split offsets into a cell inside the supercell and its numerators (supercell fractions times n_cells)."""
        numerators = offsets @ self._adjugate
        folded = offsets - np.floor_divide(numerators, self.n_cells) @ self.matrix
        return folded, np.mod(numerators, self.n_cells)

    def _keys(self, offsets: IntArray) -> IntArray:
        numerators = self._fold(offsets)[1]
        return numerators @ np.array([self.n_cells**2, self.n_cells, 1], dtype=np.int64)

    def _list_cells(self) -> IntArray:
        corners = np.array(list(product((0, 1), repeat=3)), dtype=np.int64) @ self.matrix
        ranges = [range(int(low), int(high) + 1) for low, high in zip(corners.min(0), corners.max(0), strict=True)]
        candidates: IntArray = np.array(list(product(*ranges)), dtype=np.int64)
        folded = self._fold(candidates)[0]
        inside = candidates[(folded == candidates).all(axis=1)]
        order = np.argsort(self._keys(inside), kind="stable")
        self._sorted_keys = self._keys(inside)[order]
        return np.asarray(inside[order])

    def index(self, offsets: IntArray) -> IntArray:
        """Number of the cell that each integer offset [..., 3] falls into, modulo the supercell."""
        return np.searchsorted(self._sorted_keys, self._keys(offsets)).astype(np.int64)

    def preserved_by(self, rotation: IntArray) -> bool:
        """Whether a rotation (fractional, acting on columns) maps the superlattice onto itself."""
        return not np.any((self.matrix @ rotation.T) @ self._adjugate % self.n_cells)
