"""Distances between sites of a periodic supercell, to the nearest image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from definet_flows.defects.host import FloatArray, Host
from definet_flows.defects.supercell import NEIGHBOUR_CELLS, reduction
from definet_flows.errors import InputError

SAME_STRUCTURE = 0.05
"""Å; two relaxed structures of one configuration are the same if no atom differs by more."""


def minimum_image(vectors: FloatArray, lattice: FloatArray) -> FloatArray:
    """Shortest periodic equivalents of displacement vectors.

    Parameters
    ----------
    vectors
        [..., 3] Å.
    lattice
        [3, 3] Å, rows are lattice vectors of a cell of any shape.

    Returns
    -------
    ndarray
        [..., 3] Å.
    """
    compact = _compact(np.ascontiguousarray(lattice, dtype=float).tobytes())
    folded = vectors - np.rint(vectors @ np.linalg.inv(compact)) @ compact
    # Rounding fractions finds the shortest vector of a right-angled cell only; in any other a neighbouring image can be nearer.
    images = folded[..., None, :] + NEIGHBOUR_CELLS @ compact
    nearest = np.einsum("...i,...i->...", images, images).argmin(axis=-1)
    return np.take_along_axis(images, nearest[..., None, None], axis=-2)[..., 0, :]


@lru_cache(maxsize=16)
def _compact(lattice: bytes) -> FloatArray:
    """Shortest vectors of a lattice given as the bytes of its matrix: one cell is asked for many times."""
    matrix = np.frombuffer(lattice).reshape(3, 3)
    return np.asarray(reduction(matrix) @ matrix)


def site_distances(host: Host, sites: npt.NDArray[np.int64]) -> FloatArray:
    """[len(sites), n_sites] Å from some sites to every site of the nominal host, to the nearest image."""
    vectors = host.nominal_positions[None] - host.nominal_positions[sites][:, None]
    return np.asarray(np.linalg.norm(minimum_image(vectors, host.lattice), axis=-1))


def smallest_distance(host: Host, sites: Sequence[int]) -> float | None:
    """Smallest distance in Å between two of some sites of the nominal host, to the nearest image; None for fewer than two."""
    if len(sites) < 2:
        return None
    first, second = np.triu_indices(len(sites), k=1)
    positions = host.nominal_positions[list(sites)]
    vectors = minimum_image(positions[second] - positions[first], host.lattice)  # [n_pairs, 3]
    return float(np.linalg.norm(vectors, axis=1).min())


@dataclass(frozen=True)
class DistanceWindow:
    """Limits on every defect–defect distance.

    Parameters
    ----------
    within
        bool [n_sites, n_sites], True where a pair of sites keeps the limits; None without limits.
    """

    within: npt.NDArray[np.bool_] | None

    @classmethod
    def of(cls, host: Host, min_distance: float | None, max_distance: float | None) -> DistanceWindow:
        """Limits in Å on a host, either of which may be None.

        Raises
        ------
        InputError
            If a limit is negative or not a number, or the minimum exceeds the maximum.
        """
        if min_distance is None and max_distance is None:
            return cls(None)
        low, high = min_distance or 0.0, np.inf if max_distance is None else max_distance
        if not 0 <= low <= high:
            raise InputError(
                f"Distance limits {low} to {high} Å leave nothing; the minimum must be positive and below the maximum."
            )
        # Site by site: the images of all pairs at once would take gigabytes in a large supercell.
        distances = np.concatenate([site_distances(host, np.array([site])) for site in range(host.n_sites)])
        return cls((distances >= low - 1e-6) & (distances <= high + 1e-6))

    def allowed(self, candidates: npt.NDArray[np.int64], taken: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Those candidate sites that are free and keep the limits to every taken site."""
        free = candidates[~np.isin(candidates, taken)]
        if self.within is None or not taken:
            return free
        return np.asarray(free[self.within[np.ix_(free, np.array(taken))].all(axis=1)])
