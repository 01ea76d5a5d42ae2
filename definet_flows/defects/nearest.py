"""The site of a host that each atom of a structure is nearest to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from definet_flows.defects.distances import minimum_image
from definet_flows.defects.host import FloatArray, Host
from definet_flows.defects.supercell import NEIGHBOUR_CELLS, reduction

REACH = 0.45
"""Largest distance of an atom from its site, as a share of the host's nearest-neighbour distance."""

MARGIN = 0.2
"""How much farther the second-nearest site must be, as the same share."""

_CENTRED = 1e-4
"""Å; moving the sites by less finds no other nearest ones."""


@dataclass(frozen=True)
class NearestSites:
    """The site nearest to each atom.

    Attributes
    ----------
    sites
        [n_atoms] index.
    vectors
        [n_atoms, 3] Å from the atom to it.
    second
        [n_atoms] Å to the next nearest.
    """

    sites: npt.NDArray[np.int64]
    vectors: FloatArray
    second: FloatArray

    def clear(self, spacing: float) -> npt.NDArray[np.bool_]:
        """[n_atoms] True where an atom is near one site only, in a host with this nearest-neighbour distance (Å)."""
        near = self.distances <= REACH * spacing
        return np.asarray(near & (self.second - self.distances >= MARGIN * spacing))

    @property
    def distances(self) -> FloatArray:
        """[n_atoms] Å to the nearest site."""
        return np.asarray(np.linalg.norm(self.vectors, axis=1))


def nearest_sites(host: Host, lattice: FloatArray, positions: FloatArray, ideal: FloatArray) -> NearestSites:
    """Look among the lattice points around each atom, sublattice by sublattice, which is quicker than among all sites.

    Parameters
    ----------
    host
        The pristine supercell.
    lattice
        [3, 3] Å, supercell of the atoms.
    positions
        [n_atoms, 3] Å.
    ideal
        [n_sites, 3] Å, the host's sites in that supercell.
    """
    unit_lattice = np.linalg.inv(np.array(host.supercell_matrix)) @ lattice
    compact = reduction(unit_lattice)
    shortest = compact @ unit_lattice
    from_first = positions[:, None] - ideal[None, :: host.n_cells]  # [n_atoms, n_unit_sites, 3]
    points = (
        np.rint(from_first @ np.linalg.inv(shortest))[:, :, None] + NEIGHBOUR_CELLS
    )  # [n_atoms, n_unit_sites, 27, 3]
    vectors = (points @ shortest - from_first[:, :, None]).reshape(len(positions), -1, 3)
    cells = host.grid.index(points.astype(np.int64) @ compact + host.grid.cells[0])
    sites = (cells + host.n_cells * np.arange(len(host.unit_cell))[:, None]).reshape(len(positions), -1)
    distances = np.linalg.norm(vectors, axis=-1)
    atoms, nearest = np.arange(len(positions)), distances.argmin(axis=1)
    chosen = sites[atoms, nearest]
    second = np.where(sites == chosen[:, None], np.inf, distances).min(axis=1)
    return NearestSites(chosen, vectors[atoms, nearest], second)


def centred(host: Host, lattice: FloatArray, positions: FloatArray, ideal: FloatArray) -> FloatArray:
    """Ideal sites [n_sites, 3] Å moved so that the median atom is on its own; arguments as for `nearest_sites`."""
    for _ in range(2):  # the first guess may put one atom exactly on its site
        shift = np.median(nearest_sites(host, lattice, positions, ideal).vectors, axis=0)
        ideal = ideal - shift
        if np.linalg.norm(shift) < _CENTRED:
            break
    return ideal


def nearest_neighbour_distance(host: Host) -> float:
    """Shortest distance from the first site to another, Å."""
    vectors = minimum_image(host.nominal_positions - host.nominal_positions[0], host.lattice)
    distances = np.linalg.norm(vectors, axis=1)
    lattice_vectors = np.linalg.norm(host.unit_cell.lattice.matrix, axis=1)
    return float(min(distances[1:].min(initial=np.inf), lattice_vectors.min()))
