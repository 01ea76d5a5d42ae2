"""The neighbour table of a host: built once, shared by every configuration on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from vesin import NeighborList

from definet_flows.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from definet_flows.defects import Host

SHELL_TOLERANCE = 1e-3
"""Neighbours of one site whose distances differ by less than this (Å) form one shell."""

_ROUNDING = 1e-6  # Å; a shell exactly at the radius is kept whatever the last digits of its members say


@dataclass(frozen=True)
class HostGraph:
    """DefiNet's fixed graph of one host, as dense tables padded to the largest neighbour count.

    A padding entry names the site itself with a zero edge vector, so that geometry computed from it is
    finite and its unit vector vanishes; ``mask`` is False there.

    Attributes
    ----------
    neighbours
        int64 [n_sites, n_neighbours], the site j of each edge j -> i. The same j occurs several times where
        several of its periodic images are within the radius.
    offsets
        [n_sites, n_neighbours, 3] Å, the lattice vector that moves j's coordinates to the image meant.
    vectors
        [n_sites, n_neighbours, 3] Å, ``positions[j] + offset - positions[i]``, subtracted in float64 so that
        float32 networks do not lose digits to large coordinates.
    mask
        bool [n_sites, n_neighbours], True for a real edge.
    positions
        float64 [n_sites, 3] Å, the host positions the table was built from.
    """

    neighbours: torch.Tensor
    offsets: torch.Tensor
    vectors: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor

    @classmethod
    def build(cls, host: Host, radius: float = 6.0, max_neighbours: int = 50) -> HostGraph:
        """Find the neighbours of every host site over all periodic images.

        Parameters
        ----------
        host
            Gives ``positions`` [n_sites, 3] and ``lattice`` [3, 3] (rows), both in Å.
        radius
            Largest edge length, Å.
        max_neighbours
            Cap per site. A shell that would exceed it is left out whole, and all shells beyond it, because
            part of a shell would break the symmetry of the site.

        Raises
        ------
        InputError
            A site has no neighbour within the radius, or its first shell alone exceeds the cap.
        """
        positions = np.asarray(host.positions, dtype=np.float64)
        lattice = np.asarray(host.lattice, dtype=np.float64)
        edges = _edges(positions, lattice, radius)
        edges = edges.select(_whole_shells(edges, radius, max_neighbours))
        counts = np.bincount(edges.i, minlength=len(positions))
        if not counts.all():
            raise InputError(
                f"Site {int(np.argmin(counts))} of the host has no complete neighbour shell within {radius} Å and "
                f"{max_neighbours} neighbours; use a larger radius or a larger cap."
            )
        return _padded(positions, lattice, edges, counts)

    @property
    def n_sites(self) -> int:
        """Number of host sites."""
        return self.neighbours.shape[0]

    @property
    def n_neighbours(self) -> int:
        """Neighbour entries per site, padding included."""
        return self.neighbours.shape[1]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> HostGraph:
        """Return the graph on a device, its edge vectors and offsets in a dtype (positions stay float64)."""
        return replace(
            self,
            neighbours=self.neighbours.to(device=device),
            offsets=self.offsets.to(device=device, dtype=dtype),
            vectors=self.vectors.to(device=device, dtype=dtype),
            mask=self.mask.to(device=device),
            positions=self.positions.to(device=device),
        )


@dataclass(frozen=True)
class _Edges:
    """A flat edge list: i and j [n_edges], integer image shifts [n_edges, 3], distances [n_edges] in Å."""

    i: NDArray[Any]
    j: NDArray[Any]
    shifts: NDArray[Any]
    distances: NDArray[Any]

    def select(self, index: NDArray[Any]) -> _Edges:
        return _Edges(self.i[index], self.j[index], self.shifts[index], self.distances[index])


def _edges(positions: NDArray[Any], lattice: NDArray[Any], radius: float) -> _Edges:
    """Return all pairs a little beyond the radius, ordered by site, distance, neighbour and image."""
    search = NeighborList(cutoff=radius + 10 * SHELL_TOLERANCE, full_list=True)
    i, j, shifts, distances = search.compute(positions, lattice, periodic=True, quantities="ijSd")
    found = _Edges(i.astype(np.int64), j.astype(np.int64), shifts.astype(np.int64), distances)
    # Rounded distances, so that the order within a shell does not depend on the last digits.
    rounded = np.round(distances / SHELL_TOLERANCE)
    return found.select(np.lexsort((*found.shifts.T[::-1], found.j, rounded, found.i)))


def _whole_shells(edges: _Edges, radius: float, max_neighbours: int) -> NDArray[np.bool_]:
    """Return which edges belong to shells that start within the radius and end within the cap."""
    order = np.lexsort((edges.distances, edges.i))
    i, distances = edges.i[order], edges.distances[order]
    new_site = np.diff(i, prepend=-1) != 0
    new_shell = new_site | (np.diff(distances, prepend=0.0) > SHELL_TOLERANCE)
    shell = np.cumsum(new_shell) - 1
    starts = np.flatnonzero(new_shell)
    ends = np.append(starts[1:], len(i))
    first_of_site = np.flatnonzero(new_site)[np.cumsum(new_site)[starts] - 1]
    kept = (distances[starts] <= radius + _ROUNDING) & (ends - first_of_site <= max_neighbours)
    selected = np.zeros(len(i), dtype=bool)
    selected[order] = kept[shell]
    return selected


def _padded(positions: NDArray[Any], lattice: NDArray[Any], edges: _Edges, counts: NDArray[Any]) -> HostGraph:
    """Lay the edge list out as one row per site."""
    n_sites, width = len(positions), int(counts.max())
    slot = np.arange(len(edges.i)) - np.repeat(np.cumsum(counts) - counts, counts)
    neighbours = np.repeat(np.arange(n_sites)[:, None], width, axis=1)
    neighbours[edges.i, slot] = edges.j
    mask = np.zeros((n_sites, width), dtype=bool)
    mask[edges.i, slot] = True
    offsets = np.zeros((n_sites, width, 3))
    offsets[edges.i, slot] = edges.shifts @ lattice
    vectors = positions[neighbours] + offsets - positions[:, None, :]
    return HostGraph(
        neighbours=torch.from_numpy(neighbours),
        offsets=torch.from_numpy(offsets),
        vectors=torch.from_numpy(vectors),
        mask=torch.from_numpy(mask),
        positions=torch.from_numpy(positions.copy()),
    )
