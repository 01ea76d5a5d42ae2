"""Which configurations are kept from training, drawn before any label exists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from definet_flows.defects import DefectConfiguration, Host, enumerate_configurations


def draw_stratified(
    hosts: Mapping[Host, int], recipes: Sequence[str], seed: int, taken: Iterable[str | None] = ()
) -> list[DefectConfiguration]:
    """Draw configurations evenly over recipes, each with a cluster of its own.

    A uniform draw would be nearly all triples. Configurations whose cluster is undefined in their supercell are left out,
    because nothing could be said about whether training has seen them; so are recipes that have only one cluster (single
    defects), which training must not lose.

    Parameters
    ----------
    hosts
        Supercells and how many configurations of each recipe to draw in them.
    recipes
        Defect types.
    seed
        Of the random generator.
    taken
        Cluster ids not to draw again.
    """
    rng = np.random.default_rng(seed)
    used = set(taken) | {None}
    drawn: list[DefectConfiguration] = []
    for host, per_recipe in hosts.items():
        for recipe in recipes:
            listed = list(enumerate_configurations(host, recipe))
            picked = 0
            for index in rng.permutation(len(listed)) if listed[0].n_defects > 1 else ():
                if picked < per_recipe and listed[index].cluster_id not in used:
                    drawn.append(listed[index])
                    used.add(listed[index].cluster_id)
                    picked += 1
    return drawn
