"""What a defect cluster is apart from its supercell: species and displacement vectors on the infinite host.

Two configurations with the same cluster id differ only in the distance to their periodic images, which is what a split into
training and test sets has to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from definet_flows.defects.supercell import IntArray

if TYPE_CHECKING:
    from definet_flows.defects.host import Host

_TIE_TOLERANCE = 1e-3
"""Å, two images closer than this in length are equally near."""

_IMAGES: IntArray = np.array(list(product((-1, 0, 1), repeat=3)), dtype=np.int64)


def cluster_id(host: Host, defects: Sequence[tuple[int, str]]) -> str | None:
    """Content hash of a cluster on the infinite host, or None where the supercell does not define it.

    Parameters
    ----------
    host
        Gives the lattice, the sublattices and the unit cell's operations.
    defects
        Pairs (site index, new species).

    Notes
    -----
    The cluster is undefined where two images of a pair are equally near, or where the shortest displacements around three
    defects do not add up (the cluster wraps around the cell).
    """
    from definet_flows.defects.host import content_hash

    sites = np.array([site for site, _ in defects], dtype=np.int64)
    sublattices, cells = sites // host.n_cells, host.grid.cells[sites % host.n_cells]
    unwrapped = _unwrap(host, sublattices, cells)
    if unwrapped is None:
        return None
    alphabet = sorted({species for _, species in defects})
    codes = np.array([alphabet.index(species) for _, species in defects])
    canonical = _canonical(host, sublattices, unwrapped, codes)
    return content_hash({"family": host.family, "species": alphabet, "cluster": canonical.tolist()})


def _unwrap(host: Host, sublattices: IntArray, cells: IntArray) -> IntArray | None:
    """Unit cells [n_defects, 3] of the defects as one cluster in the infinite host, the first in its own cell."""
    nearest = _nearest_cells(host, sublattices, cells)
    if nearest is None:
        return None
    closed = nearest[0][None, :] - nearest[0][:, None]  # the displacements from the first defect imply all others
    return cells[0] + nearest[0] if np.array_equal(nearest, closed) else None


def _nearest_cells(host: Host, sublattices: IntArray, cells: IntArray) -> IntArray | None:
    """Cell offset [n_defects, n_defects, 3] of the nearest image of each defect seen from each other; None on a tie."""
    matrix = host.unit_cell.lattice.matrix
    sites = host.unit_cell.frac_coords[sublattices]
    offsets = (cells[None, :] - cells[:, None])[:, :, None] + _near_images(host, cells)  # [n, n, n_images, 3]
    vectors = (offsets + (sites[None, :] - sites[:, None])[:, :, None]) @ matrix
    lengths = np.linalg.norm(vectors, axis=-1)
    order = lengths.argsort(axis=-1)
    shortest, second = (np.take_along_axis(lengths, order[..., k : k + 1], axis=-1)[..., 0] for k in (0, 1))
    off_diagonal = ~np.eye(len(cells), dtype=bool)
    if (second - shortest < _TIE_TOLERANCE)[off_diagonal].any():
        return None
    return np.take_along_axis(offsets, order[..., :1, None], axis=2)[:, :, 0]


def _near_images(host: Host, cells: IntArray) -> IntArray:
    """Superlattice shifts [n, n, 27, 3] around the one that brings each pair closest to zero in fractions of the supercell."""
    supercell = host.compact_supercell
    fractions = (cells[None, :] - cells[:, None]) @ np.linalg.inv(supercell)
    centre = -np.rint(fractions).astype(np.int64)
    return (centre[:, :, None] + _IMAGES) @ supercell


def _canonical(host: Host, sublattices: IntArray, cells: IntArray, codes: npt.NDArray[np.int64]) -> IntArray:
    """Smallest [n_defects, 5] table (sublattice, species code, cell offset) over all operations and choices of origin."""
    candidates = []
    for operation in host.unit_cell_operations:
        images, image_cells = operation.apply(sublattices, cells)
        for origin in image_cells:
            table = np.column_stack([images, codes, image_cells - origin])
            candidates.append(table[np.lexsort(table.T[::-1])])
    flattened = np.array([table.ravel() for table in candidates])
    smallest: IntArray = candidates[int(np.lexsort(flattened.T[::-1])[0])]
    return smallest
