"""All symmetry-distinct placements of a recipe, streamed, each exactly once.

Defects are placed kind by kind. Once some are placed, only the permutations that keep them (the stabilizer) still act, and one
site of each of its orbits is tried for the next. Distinct kinds therefore never produce a duplicate; k defects of the same kind
are grown one at a time and the k-subsets compared under the stabilizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from definet_flows.defects.configuration import DefectConfiguration, canonical_defects
from definet_flows.defects.distances import DistanceWindow
from definet_flows.defects.host import Host
from definet_flows.defects.point_defect import PointDefect, Recipe

Permutations = npt.NDArray[np.int32]
Sites = npt.NDArray[np.int64]


def enumerate_configurations(
    host: Host, recipe: str | Recipe, min_distance: float | None = None, max_distance: float | None = None
) -> Iterator[DefectConfiguration]:
    """Every symmetry-distinct placement of a recipe in the host's supercell.

    Parameters
    ----------
    host
        The pristine supercell.
    recipe
        Defects to place, such as ``V_Mo+V_S+Se_S``.
    min_distance, max_distance
        Å, limits on every defect–defect distance, to the nearest periodic image.

    Yields
    ------
    DefectConfiguration
        Canonical, each once; their multiplicities add up to the number of placements.

    Raises
    ------
    InputError
        If the host cannot hold the recipe or the limits are contradictory.

    Examples
    --------
    >>> host = Host.from_preset("MoS2", supercell=(4, 4, 1), vacuum=15)
    >>> pairs = list(enumerate_configurations(host, "V_Mo+V_S"))
    >>> len(pairs), sum(pair.multiplicity for pair in pairs)  # of 16 Mo and 32 S sites
    (5, 512)
    >>> print(pairs[0])
    V_Mo+V_S in MoS2 (365adcac059ddf5c)
    """
    parsed = Recipe.parse(recipe)
    parsed.check_against(host.name, host.species)
    window = DistanceWindow.of(host, min_distance, max_distance)
    return _stream(host, parsed, window)


def _stream(host: Host, recipe: Recipe, window: DistanceWindow) -> Iterator[DefectConfiguration]:
    species = [defect.new_species for defect, count in recipe.counts for _ in range(count)]
    for placed in _place(_Placement((), host.permutations), recipe.counts, host, window):
        defects, stabilizer_size = canonical_defects(host, dict(zip(placed.sites, species, strict=True)))
        configuration = DefectConfiguration(host, defects)
        # The cached property's value, which is known here and dear to find again.
        configuration.__dict__["multiplicity"] = len(host.permutations) // stabilizer_size
        yield configuration


@dataclass(frozen=True)
class _Placement:
    """Sites taken so far, in recipe order, and the permutations that keep what is on them."""

    sites: tuple[int, ...]
    stabilizer: Permutations


def _place(
    placement: _Placement, counts: Sequence[tuple[PointDefect, int]], host: Host, window: DistanceWindow
) -> Iterator[_Placement]:
    if not counts:
        yield placement
        return
    (defect, count), rest = counts[0], counts[1:]
    sublattice = np.flatnonzero(np.array(host.species) == defect.host_species)
    for subset in _subsets(placement, sublattice, count, window):
        yield from _place(subset, rest, host, window)


def _subsets(placement: _Placement, sublattice: Sites, count: int, window: DistanceWindow) -> Iterator[_Placement]:
    """Distinct ways to add `count` equal defects, under the placement's stabilizer."""
    group = placement.stabilizer
    subsets: list[tuple[int, ...]] = [()]
    for size in range(count):
        grown: dict[tuple[int, ...], None] = {}
        for subset in subsets:
            free = window.allowed(sublattice, (*placement.sites, *subset))
            for site in _orbit_representatives(free, _setwise_stabilizer(group, subset)):
                extended = (*subset, site)
                grown[_smallest_image(group, extended) if size else extended] = None
        subsets = list(grown)
    for subset in subsets:
        yield _Placement((*placement.sites, *subset), _setwise_stabilizer(group, subset))


def _setwise_stabilizer(group: Permutations, subset: tuple[int, ...]) -> Permutations:
    if not subset:
        return group
    images = np.sort(group[:, subset], axis=1)
    return np.asarray(group[(images == np.sort(np.array(subset))).all(axis=1)])


def _smallest_image(group: Permutations, subset: tuple[int, ...]) -> tuple[int, ...]:
    images = np.sort(group[:, subset], axis=1)
    return tuple(int(site) for site in images[np.lexsort(images.T[::-1])[0]])


def _orbit_representatives(sites: Sites, group: Permutations) -> list[int]:
    """The smallest site of each orbit among `sites`, a union of orbits."""
    if not len(sites):
        return []
    smallest = group[:, sites].min(axis=0)
    return [int(site) for site in sites[smallest == sites]]
