"""Which host site each atom of a user's file sits on.

Only files from outside are matched; everything made here knows its site order and never needs to be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pymatgen.core import Lattice, Structure

from definet_flows.defects.configuration import DefectConfiguration
from definet_flows.defects.distances import minimum_image
from definet_flows.defects.host import FloatArray, Host
from definet_flows.defects.nearest import MARGIN, REACH, centred, nearest_neighbour_distance, nearest_sites
from definet_flows.defects.point_defect import VACANCY
from definet_flows.errors import InputError

_LENGTH_TOLERANCE = 0.05
"""Relative difference of lattice lengths up to which a file still belongs to the host (strain, another functional)."""

_ANGLE_TOLERANCE = 2.0
"""Degrees."""

_ASTRAY = 1.0
"""Å; an atom farther from its site, once the rigid shift is removed, speaks against an origin."""


class MatchError(InputError):
    """A structure that cannot be assigned to the sites of a host."""


@dataclass(frozen=True)
class StructureMatch:
    """A user's structure assigned to a host.

    Parameters
    ----------
    host
        The pristine supercell.
    structure
        The structure as given.
    sites
        [n_atoms] host site of each atom.
    ideal_positions
        [n_sites, 3] Å, the host's pristine sites in the structure's own cell and origin.
    """

    host: Host
    structure: Structure
    sites: npt.NDArray[np.int64]
    ideal_positions: FloatArray

    @property
    def placement(self) -> DefectConfiguration:
        """The configuration exactly as placed in the file, which need not be the canonical image."""
        found = {int(site): atom.specie.symbol for site, atom in zip(self.sites, self.structure, strict=True)}
        species = [found.get(site, VACANCY) for site in range(self.host.n_sites)]
        changed = [(site, new) for site, new in enumerate(species) if new != self.host.species[site]]
        if not changed:
            raise MatchError(
                f"The structure is the pristine {self.host.name} supercell; there is no defect to pre-relax."
            )
        return DefectConfiguration(self.host, tuple(changed))

    def with_displacements(self, displacements: FloatArray) -> Structure:
        """The structure, atoms in the file's order and cell, moved from the ideal sites.

        Parameters
        ----------
        displacements
            [n_sites, 3] Å in host site order.
        """
        target = (self.ideal_positions + displacements)[self.sites]
        lattice = self.structure.lattice.matrix
        moved = self.structure.cart_coords + minimum_image(target - self.structure.cart_coords, lattice)
        return Structure(Lattice(lattice), self.structure.species, moved, coords_are_cartesian=True)


def configuration_from_structure(host: Host, structure: Structure) -> DefectConfiguration:
    """The canonical configuration that a structure shows.

    Raises
    ------
    MatchError
        If the cell, the atoms or their number do not fit the host, or an assignment is ambiguous.

    Examples
    --------
    >>> host = Host.from_preset("MoS2", supercell=(3, 3, 1), vacuum=15)
    >>> structure = host.structure.remove_sites([9])
    >>> print(configuration_from_structure(host, structure).label)
    V_S
    """
    return DefectConfiguration.create(host, dict(match_structure(host, structure).placement.defects))


def match_structure(host: Host, structure: Structure) -> StructureMatch:
    """Assign each atom of a structure to a host site, whatever the file's order, images and origin.

    Parameters
    ----------
    host
        The pristine supercell.
    structure
        Atoms of a defect supercell, relaxed or not, in the host's setting (lattice vectors in the same order).

    Raises
    ------
    MatchError
        If the cell, the atoms or their number do not fit the host, or an assignment is ambiguous.
    """
    if not structure.is_ordered:
        raise MatchError("The structure has partially occupied sites; give one with a single element on each site.")
    _check_cell(host, structure)
    if len(structure) > host.n_sites:
        raise MatchError(
            f"The structure has {len(structure)} atoms but {host.name} has {host.n_sites} sites; "
            "interstitials cannot be represented."
        )
    if not len(structure):
        raise MatchError("The structure holds no atoms; give a CIF or POSCAR with a structure in it.")
    pristine = _pristine_in_cell(host, structure)
    origin = _best_origin(host, structure, pristine)
    ideal = centred(host, structure.lattice.matrix, structure.cart_coords, pristine + origin)
    return StructureMatch(host, structure, _unambiguous(host, structure, ideal), ideal)


def _check_cell(host: Host, structure: Structure) -> None:
    mine, theirs = Lattice(host.lattice), structure.lattice
    n_axes = host.dimensionality
    lengths = np.abs(np.array(theirs.abc) / np.array(mine.abc) - 1)[:n_axes]
    angles = np.abs(np.array(theirs.angles) - np.array(mine.angles))
    if lengths.max() > _LENGTH_TOLERANCE or angles.max() > _ANGLE_TOLERANCE:
        raise MatchError(
            f"The cell ({_cell_text(theirs)}) is not the {host.name} supercell ({_cell_text(mine)}); "
            "check --host and --supercell."
        )


def _cell_text(lattice: Lattice) -> str:
    lengths, angles = (
        ", ".join(f"{x:.{digits}f}" for x in row) for row, digits in ((lattice.abc, 3), (lattice.angles, 1))
    )
    return f"{lengths} Å; {angles}°"


def _pristine_in_cell(host: Host, structure: Structure) -> FloatArray:
    """[n_sites, 3] Å, the host's sites stretched onto the structure's lattice; a slab keeps its thickness."""
    frac_coords = host.positions @ np.linalg.inv(host.lattice)
    if host.dimensionality == 2:
        frac_coords[:, 2] *= np.linalg.norm(host.lattice[2]) / structure.lattice.c
    return np.asarray(frac_coords @ structure.lattice.matrix)


def _best_origin(host: Host, structure: Structure, pristine: FloatArray) -> FloatArray:
    """Rigid shift [3] Å that leaves the fewest atoms off their species and the smallest distances; none where that is as good."""
    lattice, positions = structure.lattice.matrix, structure.cart_coords
    on_each_sublattice = positions[0] - pristine[:: host.n_cells]
    candidates = np.vstack([np.zeros(3), on_each_sublattice])
    species = np.array(host.species)
    symbols = np.array([site.specie.symbol for site in structure])

    def cost(origin: FloatArray) -> tuple[int, float]:
        nearest = nearest_sites(host, lattice, positions, pristine + origin)
        lengths = np.linalg.norm(nearest.vectors - np.median(nearest.vectors, axis=0), axis=1)
        misfits = (species[nearest.sites] != symbols).sum() + len(symbols) - len(np.unique(nearest.sites))
        return int(misfits + (lengths > _ASTRAY).sum()), round(float(lengths.mean()), 2)

    misfits, distance = cost(candidates[0])
    if distance == 0 and misfits < len(symbols) / 2:  # an unrelaxed structure in the host's own frame needs no search
        return np.zeros(3)
    return np.asarray(min(candidates, key=cost))


def _unambiguous(host: Host, structure: Structure, ideal: FloatArray) -> npt.NDArray[np.int64]:
    nearest = nearest_sites(host, structure.lattice.matrix, structure.cart_coords, ideal)
    spacing = nearest_neighbour_distance(host)
    for atom, (distance, second) in enumerate(zip(nearest.distances, nearest.second, strict=True)):
        name = f"Atom {atom + 1} ({structure[atom].specie.symbol})"
        if distance > REACH * spacing:
            raise MatchError(
                f"{name} is {distance:.2f} Å from every site of {host.name}; interstitials and split defects are refused."
            )
        if second - distance < MARGIN * spacing:
            raise MatchError(
                f"{name} lies between two sites of {host.name} ({distance:.2f} and {second:.2f} Å); which is ambiguous."
            )
    sites = nearest.sites
    doubled = [int(site) for site in np.unique(sites) if (sites == site).sum() > 1]
    if doubled:
        atoms = ", ".join(str(atom + 1) for atom in np.flatnonzero(sites == doubled[0]))
        raise MatchError(f"Atoms {atoms} share site {doubled[0]} of {host.name}; split defects are refused.")
    return sites
