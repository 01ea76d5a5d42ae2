"""Where the atoms of an unrelaxed structure are in the relaxed one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure

from definet_flows.defects.distances import minimum_image
from definet_flows.defects.host import FloatArray, Host
from definet_flows.defects.matching import MatchError, StructureMatch
from definet_flows.defects.nearest import NearestSites, centred, nearest_neighbour_distance, nearest_sites

_LENGTH_TOLERANCE = 0.01
"""Å; lattice lengths that differ by more are another cell."""

_ANGLE_TOLERANCE = 0.05
"""Degrees."""

_PINNED = 0.5
"""Share of the atoms that must be near one site each before a file's order is believed for the others."""


def relaxation_displacements(unrelaxed: StructureMatch, relaxed: Structure) -> FloatArray:
    """Displacement of every site from its pristine position, in the host's own frame.

    Atoms are paired through the sites they are nearest to, whatever the order and the images in the relaxed file. Only for atoms
    that have left their site's neighbourhood does the order of the file decide, and only if it is right for all others.

    Parameters
    ----------
    unrelaxed
        The unrelaxed structure on its host.
    relaxed
        The same atoms in the same cell.

    Returns
    -------
    ndarray
        [n_sites, 3] Å, zero at vacant sites; the median atom does not move.

    Raises
    ------
    MatchError
        If the relaxed structure has other atoms or another cell, or an atom's site is ambiguous.
    """
    _check_same_cell(unrelaxed.structure, relaxed)
    _check_same_atoms(unrelaxed.structure, relaxed)
    host, lattice = unrelaxed.host, unrelaxed.structure.lattice.matrix
    positions = relaxed.frac_coords @ lattice
    ideal = centred(host, lattice, positions, unrelaxed.ideal_positions)
    sites = _sites(unrelaxed, _symbols(relaxed), nearest_sites(host, lattice, positions, ideal))
    moved = np.zeros((host.n_sites, 3))
    moved[sites] = minimum_image(positions - ideal[sites], lattice)
    return np.asarray(moved @ to_host_frame(lattice, host))


def _check_same_cell(unrelaxed: Structure, relaxed: Structure) -> None:
    lengths, angles = (
        np.abs(np.subtract(getattr(relaxed.lattice, name), getattr(unrelaxed.lattice, name))).max()
        for name in ("abc", "angles")
    )
    if lengths > _LENGTH_TOLERANCE or angles > _ANGLE_TOLERANCE:
        raise MatchError(
            f"The relaxed cell differs from the unrelaxed one by {lengths:.3f} Å and {angles:.2f}°; "
            "labels are relaxations at fixed cell."
        )


def _check_same_atoms(unrelaxed: Structure, relaxed: Structure) -> None:
    before, after = (Counter(_symbols(structure).tolist()) for structure in (unrelaxed, relaxed))
    if before != after:
        missing, extra = (
            "".join(f" {n} {el}" for el, n in (one - other).items()) or " none"
            for one, other in ((before, after), (after, before))
        )
        raise MatchError(
            f"The relaxed structure has other atoms than the unrelaxed one (missing:{missing}; extra:{extra})."
        )


def _sites(unrelaxed: StructureMatch, symbols: npt.NDArray[np.str_], nearest: NearestSites) -> npt.NDArray[np.int64]:
    """Site [n_atoms] of each relaxed atom, given its element and the site it is nearest to."""
    placed = np.full(unrelaxed.host.n_sites, "  ")
    placed[unrelaxed.sites] = _symbols(unrelaxed.structure)
    clear = nearest.clear(nearest_neighbour_distance(unrelaxed.host)) & (placed[nearest.sites] == symbols)
    if clear.all() and len(np.unique(nearest.sites)) == len(symbols):
        return nearest.sites
    in_order = np.array_equal(symbols, placed[unrelaxed.sites]) and clear.mean() > _PINNED
    if in_order and (nearest.sites == unrelaxed.sites)[clear].all():
        return unrelaxed.sites
    lost = int(np.argmin(clear))
    raise MatchError(
        f"Atom {lost + 1} ({symbols[lost]}) of the relaxed structure is {nearest.distances[lost]:.2f} Å from the nearest site "
        "and cannot be told from its neighbours; keep the atoms in the order of the unrelaxed file."
    )


def _symbols(structure: Structure) -> npt.NDArray[np.str_]:
    return np.array([atom.specie.symbol for atom in structure])


def to_host_frame(lattice: FloatArray, host: Host) -> FloatArray:
    """Matrix from a file's Cartesian frame to the host's, which may be turned against it.

    Parameters
    ----------
    lattice
        [3, 3] rows in Å, of the file.
    host
        The pristine supercell.

    Returns
    -------
    ndarray
        [3, 3], to multiply rows of vectors with from the right.
    """
    return np.asarray(np.linalg.inv(_frame(lattice, host)) @ _frame(host.lattice, host))


def _frame(lattice: FloatArray, host: Host) -> FloatArray:
    """Directions of a lattice; a layer's third is its normal, because its vacuum may differ from the host's."""
    third = np.cross(lattice[0], lattice[1]) if host.dimensionality == 2 else lattice[2]
    rows = np.array([lattice[0], lattice[1], third])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
