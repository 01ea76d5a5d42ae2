"""How many symmetry-distinct placements a recipe has, without listing them.

Burnside's lemma: the number of orbits is the mean number of placements that a symmetry permutation leaves unchanged. A placement
is unchanged when each kind of defect fills whole cycles of the permutation, so that the cycle lengths on each sublattice are
enough to count them (Pólya's cycle index).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from math import factorial, prod

import numpy as np
import numpy.typing as npt

from definet_flows.defects.host import Host
from definet_flows.defects.point_defect import Recipe

Exponents = tuple[int, ...]


def count_configurations(host: Host, recipe: str | Recipe) -> int:
    """Number of symmetry-distinct placements of a recipe in the host's supercell.

    Parameters
    ----------
    host
        The pristine supercell.
    recipe
        Defects to place, such as ``V_Mo+V_S+Se_S``.

    Raises
    ------
    InputError
        If the host cannot hold the recipe.

    Examples
    --------
    >>> host = Host.from_preset("MoS2", supercell=(4, 4, 1), vacuum=15)
    >>> count_configurations(host, "W_Mo+V_S+V_S")
    57
    """
    parsed = Recipe.parse(recipe)
    parsed.check_against(host.name, host.species)
    targets: dict[str, list[int]] = {}
    for defect, count in parsed.counts:
        targets.setdefault(defect.host_species, []).append(count)
    longest = max(count for counts in targets.values() for count in counts)
    census = [_cycle_census(host.permutations, np.array(host.species) == symbol, longest) for symbol in targets]
    joint = Counter(zip(*[map(tuple, table.tolist()) for table in census], strict=True))
    fixed = sum(
        times * prod(_unchanged(cycles, counts) for cycles, counts in zip(combination, targets.values(), strict=True))
        for combination, times in joint.items()
    )
    return fixed // len(host.permutations)


def _cycle_census(
    permutations: npt.NDArray[np.int32], sublattice: npt.NDArray[np.bool_], longest: int
) -> npt.NDArray[np.int64]:
    """[n_permutations, longest] number of cycles of each length 1..longest among the sublattice's sites."""
    sites = np.flatnonzero(sublattice)
    image = permutations[:, sites]
    cycles = np.zeros((len(permutations), longest), dtype=np.int64)
    for length in range(1, longest + 1):
        # Sites that return after `length` steps lie on cycles whose length divides it.
        returned = (image == sites).sum(axis=1)
        shorter = sum(divisor * cycles[:, divisor - 1] for divisor in range(1, length) if length % divisor == 0)
        cycles[:, length - 1] = (returned - shorter) // length
        image = np.take_along_axis(permutations, image, axis=1)
    return cycles


def _unchanged(cycles: Sequence[int], targets: Sequence[int]) -> int:
    """Ways to fill whole cycles with kinds of defects, `targets[k]` sites of kind k."""
    ways: dict[Exponents, int] = {(0,) * len(targets): 1}
    for length, available in enumerate(cycles, start=1):
        grown: Counter[Exponents] = Counter()
        for filled, number in ways.items():
            for taken, choices in _choices(length, available, [t - f for t, f in zip(targets, filled, strict=True)]):
                grown[tuple(f + length * k for f, k in zip(filled, taken, strict=True))] += number * choices
        ways = grown
    return ways.get(tuple(targets), 0)


def _choices(length: int, available: int, missing: Sequence[int]) -> Iterator[tuple[Exponents, int]]:
    """How many of the `available` cycles each kind takes, and in how many ways."""
    for taken in product(*[range(m // length + 1) for m in missing]):
        idle = available - sum(taken)
        if idle >= 0:
            yield taken, factorial(available) // (factorial(idle) * prod(factorial(k) for k in taken))
