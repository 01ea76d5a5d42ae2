"""A defect configuration: which sites of a host changed, and into what. Everything else is derived from that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from pymatgen.core import Element, Lattice, Structure

from definet_flows.defects.cluster import cluster_id, possible_cluster_ids
from definet_flows.defects.distances import smallest_distance
from definet_flows.defects.host import FloatArray, Host, content_hash
from definet_flows.defects.point_defect import VACANCY, PointDefect, Recipe
from definet_flows.errors import InputError

MARKER_PRISTINE, MARKER_SUBSTITUTION, MARKER_VACANCY = 0, 1, 2


def canonical_defects(host: Host, defects: Mapping[int, str]) -> tuple[tuple[tuple[int, str], ...], int]:
    """The smallest image of a set of changed sites under the host's permutations.

    Parameters
    ----------
    host
        Gives the permutations.
    defects
        Site index to new species.

    Returns
    -------
    tuple
        Pairs (site, species) sorted by site, and how many permutations leave the set unchanged.
    """
    smallest, making = smallest_image(host, defects)
    return smallest, len(making)


def smallest_image(host: Host, defects: Mapping[int, str]) -> tuple[tuple[tuple[int, str], ...], npt.NDArray[np.int64]]:
    """The smallest image of a set of changed sites, and the numbers of all of the host's permutations that make it."""
    alphabet = sorted(set(defects.values()))
    codes = np.array([alphabet.index(species) for species in defects.values()])
    images = host.permutations[:, list(defects)].astype(np.int64) * len(alphabet) + codes  # [n_permutations, n_defects]
    images.sort(axis=1)
    survivors = np.arange(len(images))
    for column in range(images.shape[1]):
        codes = images[survivors, column]
        survivors = survivors[codes == codes.min()]
    smallest = images[survivors[0]]
    return tuple((int(code) // len(alphabet), alphabet[int(code) % len(alphabet)]) for code in smallest), survivors


@dataclass(frozen=True)
class DefectConfiguration:
    """Changed sites of a host, canonical under its symmetry: equivalent placements are the same configuration.

    Make one with `create`; the constructor trusts its arguments to be canonical already.

    Parameters
    ----------
    host
        The pristine supercell.
    defects
        Pairs (site index, new species or ``VACANCY``) sorted by site.
    """

    host: Host = field(repr=False)
    defects: tuple[tuple[int, str], ...]

    @classmethod
    def create(cls, host: Host, defects: Mapping[int, str]) -> DefectConfiguration:
        """The canonical configuration of some changed sites.

        Parameters
        ----------
        host
            The pristine supercell.
        defects
            Site index to new species.

        Raises
        ------
        InputError
            If a site does not exist, a species is unknown or already there, or nothing changes.
        """
        checked = {int(site): _checked_species(host, int(site), species) for site, species in defects.items()}
        if not checked:
            raise InputError("A configuration needs at least one defect; the pristine supercell is the host itself.")
        return cls(host, canonical_defects(host, checked)[0])

    @property
    def content(self) -> list[list[Any]]:
        """[[site, species], ...]: the changed sites as JSON."""
        return [list(pair) for pair in self.defects]

    @cached_property
    def id(self) -> str:
        """Content hash of host and changed sites, 16 hexadecimal digits."""
        return content_hash({"host": self.host.fingerprint, "defects": self.content})

    @cached_property
    def placement_id(self) -> str:
        """As `id`, but blind to vacuum and lattice constants: the same placement in the same crystal and supercell."""
        matrix = [list(row) for row in self.host.supercell_matrix]
        return content_hash({"family": self.host.family, "supercell": matrix, "defects": self.content})

    @cached_property
    def cluster_id(self) -> str | None:
        """Content hash of the defect cluster on the infinite host, whatever the supercell (see `defects.cluster`).

        None where a shortest image is ambiguous, so that the cluster is not defined.
        """
        return cluster_id(self.host, self.defects)

    @cached_property
    def possible_cluster_ids(self) -> frozenset[str]:
        """Every cluster that it can be read as: its cluster id, or one per choice among tied images (`defects.cluster`)."""
        return possible_cluster_ids(self.host, self.defects)

    @property
    def recipe(self) -> Recipe:
        """The multiset of point defects."""
        return Recipe.of(PointDefect(self.host.species[site], species) for site, species in self.defects)

    @cached_property
    def label(self) -> str:
        """Name such as ``V_Mo+V_S``."""
        return self.recipe.label(self.host.species)

    @property
    def n_defects(self) -> int:
        """Number of changed sites."""
        return len(self.defects)

    @property
    def concentration(self) -> float:
        """Defects per site."""
        return self.n_defects / self.host.n_sites

    @property
    def defect_distance(self) -> float | None:
        """Smallest distance between two changed sites of the nominal host, to the nearest image, Å; None for one defect."""
        return smallest_distance(self.host, [site for site, _ in self.defects])

    @cached_property
    def multiplicity(self) -> int:
        """How many placements in the supercell are equivalent to this one, itself included."""
        return len(self.host.permutations) // canonical_defects(self.host, dict(self.defects))[1]

    @property
    def defect_sites(self) -> npt.NDArray[np.int64]:
        """[n_defects] indices of the changed sites."""
        return np.array([site for site, _ in self.defects], dtype=np.int64)

    @property
    def markers(self) -> npt.NDArray[np.int8]:
        """[n_sites] 0 pristine, 1 substitution, 2 vacancy."""
        markers = np.zeros(self.host.n_sites, dtype=np.int8)
        for site, species in self.defects:
            markers[site] = MARKER_VACANCY if species == VACANCY else MARKER_SUBSTITUTION
        return markers

    @property
    def atomic_numbers(self) -> npt.NDArray[np.int64]:
        """[n_sites] atomic numbers; a vacancy placeholder keeps the one of the atom that was there."""
        numbers = self.host.atomic_numbers.copy()
        for site, species in self.defects:
            if species != VACANCY:
                numbers[site] = Element(species).Z
        return numbers

    @property
    def occupied(self) -> npt.NDArray[np.bool_]:
        """[n_sites] True where there is an atom, False at a vacancy placeholder."""
        return np.asarray(self.markers != MARKER_VACANCY)

    @property
    def species(self) -> tuple[str, ...]:
        """Element symbol of each site; a vacancy placeholder keeps the host's."""
        symbols = list(self.host.species)
        for site, species in self.defects:
            if species != VACANCY:
                symbols[site] = species
        return tuple(symbols)

    def structure(self, positions: FloatArray | None = None) -> Structure:
        """The atoms in host site order, placeholders left out.

        Parameters
        ----------
        positions
            [n_sites, 3] Å, placeholders included; by default the pristine positions (unrelaxed start).
        """
        sites = np.flatnonzero(self.occupied)
        coords = (self.host.positions if positions is None else np.asarray(positions))[sites]
        species = [self.species[site] for site in sites]
        return Structure(Lattice(self.host.lattice), species, coords, coords_are_cartesian=True)

    def placeholder_structure(self) -> Structure:
        """All sites at pristine positions, vacancy placeholders included with the host's element; markers as a property."""
        properties = {"defect_marker": self.markers.tolist()}
        lattice = Lattice(self.host.lattice)
        return Structure(
            lattice, list(self.species), self.host.positions, coords_are_cartesian=True, site_properties=properties
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able content of about 100 bytes, read back by `from_dict`."""
        return {"host": self.host.fingerprint, "defects": self.content}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], host: Host) -> DefectConfiguration:
        """Rebuild a configuration on its host.

        Raises
        ------
        InputError
            If the content is malformed or belongs to another host.
        """
        try:
            fingerprint, defects = content["host"], {int(site): str(species) for site, species in content["defects"]}
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"This is not the record of a defect configuration ({error!r}).") from error
        if fingerprint != host.fingerprint:
            raise InputError(
                f"The configuration belongs to host {fingerprint}, not to {host.name} ({host.fingerprint})."
            )
        return cls.create(host, defects)

    def __str__(self) -> str:
        return f"{self.label} in {self.host.name} ({self.id})"


def _checked_species(host: Host, site: int, species: str) -> str:
    if not 0 <= site < host.n_sites:
        raise InputError(f"Site {site} does not exist; {host.name} has sites 0 to {host.n_sites - 1}.")
    PointDefect(host.species[site], species)
    return species
