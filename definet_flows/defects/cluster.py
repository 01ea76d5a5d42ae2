"""What a defect cluster is apart from its supercell: species and displacement vectors on the infinite host.

Two configurations with the same cluster id differ only in the distance to their periodic images, which is what a split into
training and test sets has to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

import numpy as np
import numpy.typing as npt

from definet_flows.defects.host import Host, content_hash
from definet_flows.defects.supercell import NEIGHBOUR_CELLS, IntArray

_TIE_TOLERANCE = 1e-3
"""Å, two images closer than this in length are equally near."""

_MOST_READINGS = 256
"""Ways to read a cluster that are listed; four defects in a layer have no more."""

_MOST_COMPARISONS = 4096
"""Readings times pairs of defects that are made canonical; a dense random placement has more and is left unread."""


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
    sublattices, nearest = _places(host, defects)
    if any(len(offsets) > 1 for row in nearest for offsets in row):
        return None
    offsets = np.array([[only[0] for only in row] for row in nearest])  # [n_defects, n_defects, 3]
    closed = offsets[0][None, :] - offsets[0][:, None]  # the displacements from the first defect imply all others
    return _cluster_hash(host, defects, sublattices, offsets[0]) if np.array_equal(offsets, closed) else None


def possible_cluster_ids(host: Host, defects: Sequence[tuple[int, str]]) -> frozenset[str]:
    """Every cluster that defects in a supercell can be read as: all seen from one of them at their nearest images.

    Parameters
    ----------
    host, defects
        As for `cluster_id`.

    Returns
    -------
    frozenset
        Only the cluster id where that is defined; one id per reading where images tie or wrap around the cell; empty where
        there are too many of them to list, as in dense random placements.
    """
    sublattices, nearest = _places(host, defects)
    if sum(prod(len(offsets) for offsets in row) for row in nearest) > _MOST_READINGS:
        return frozenset()
    # Most origins read the same cluster, and comparing offsets is cheaper than making them canonical.
    readings = {(offsets - offsets[0]).tobytes(): offsets for row in nearest for offsets in _choices(row)}
    if len(readings) > 1 and len(readings) * len(defects) ** 2 > _MOST_COMPARISONS:
        return frozenset()
    return frozenset(_cluster_hash(host, defects, sublattices, offsets) for offsets in readings.values())


def _choices(row: list[IntArray]) -> Iterator[IntArray]:
    """Cell offsets [n_defects, 3] for every choice among the nearest images of each defect."""
    return (np.array(choice) for choice in product(*row))


def _places(host: Host, defects: Sequence[tuple[int, str]]) -> tuple[IntArray, list[list[IntArray]]]:
    """Sublattice [n_defects] of each defect, and `_nearest_cells`."""
    sites = np.array([site for site, _ in defects], dtype=np.int64)
    sublattices = sites // host.n_cells
    return sublattices, _nearest_cells(host, sublattices, host.grid.cells[sites % host.n_cells])


def _cluster_hash(host: Host, defects: Sequence[tuple[int, str]], sublattices: IntArray, cells: IntArray) -> str:
    alphabet = sorted({species for _, species in defects})
    codes = np.array([alphabet.index(species) for _, species in defects])
    canonical = _canonical(host, sublattices, cells, codes)
    return content_hash({"family": host.family, "species": alphabet, "cluster": canonical.tolist()})


def _nearest_cells(host: Host, sublattices: IntArray, cells: IntArray) -> list[list[IntArray]]:
    """Cell offsets [n_images, 3] of the nearest images of each defect (second index) seen from each other (first)."""
    matrix = host.unit_cell.lattice.matrix
    sites = host.unit_cell.frac_coords[sublattices]
    offsets = (cells[None, :] - cells[:, None])[:, :, None] + _near_images(host, cells)  # [n, n, 27, 3]
    vectors = (offsets + (sites[None, :] - sites[:, None])[:, :, None]) @ matrix
    lengths = np.linalg.norm(vectors, axis=-1)
    lengths[np.eye(len(cells), dtype=bool)] = np.where((offsets[0, 0] == 0).all(axis=-1), 0, np.inf)
    near = lengths < lengths.min(axis=-1, keepdims=True) + _TIE_TOLERANCE
    return [[offsets[i, j, near[i, j]] for j in range(len(cells))] for i in range(len(cells))]


def _near_images(host: Host, cells: IntArray) -> IntArray:
    """Superlattice shifts [n, n, 27, 3] around the one that brings each pair closest to zero in fractions of the supercell."""
    supercell = host.compact_supercell
    fractions = (cells[None, :] - cells[:, None]) @ np.linalg.inv(supercell)
    centre = -np.rint(fractions).astype(np.int64)
    return (centre[:, :, None] + NEIGHBOUR_CELLS) @ supercell


def _canonical(host: Host, sublattices: IntArray, cells: IntArray, codes: npt.NDArray[np.int64]) -> IntArray:
    """Smallest [n_defects, 5] table (sublattice, species code, cell offset) over all operations and choices of origin."""
    operations = host.unit_cell_operations
    rotations, sites, shifts = (
        np.array([getattr(operation, name) for operation in operations]) for name in ("rotation", "sites", "cells")
    )
    images = cells @ rotations.transpose(0, 2, 1) + shifts[:, sublattices]  # [n_operations, n_defects, 3]
    offsets = images[:, None] - images[:, :, None]  # [n_operations, n_origins, n_defects, 3]
    kinds = sites[:, None, sublattices], np.broadcast_to(codes, (1, 1, len(codes)))
    columns = [np.broadcast_to(kind, offsets.shape[:3])[..., None] for kind in kinds]
    candidates = np.concatenate([*columns, offsets], axis=-1).reshape(-1, len(codes), 5)
    # One number per row, in the order of the rows, sorts much faster than the rows themselves.
    low, high = candidates.min(axis=(0, 1)), candidates.max(axis=(0, 1))
    places = np.append(np.cumprod((high - low + 1)[:0:-1])[::-1], 1)
    rows = (candidates - low) @ places
    order = rows.argsort(axis=1)
    smallest = int(np.lexsort(np.take_along_axis(rows, order, axis=1).T[::-1])[0])
    canonical: IntArray = candidates[smallest, order[smallest]]
    return canonical
