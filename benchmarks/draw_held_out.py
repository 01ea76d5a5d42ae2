"""Draw the held-out MoS2 configurations, before any label exists.

Writes workflows/mos2/new-NxN.jsonl (clusters that training must never see, at any size) and workflows/mos2/seen-NxN.jsonl
(clusters that training may see). Both are committed; running this again gives the same files. Run with

    python benchmarks/draw_held_out.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from definet_flows.defects import Host, enumerate_configurations, low_density_recipes, write_configurations
from definet_flows.training.datasets.held_out import draw_stratified

SEED = 20251121
NEW_PER_TYPE = {8: 2, 6: 1, 5: 1}
SEEN_PER_TYPE = 1
TRAINING_SIZES = (4, 5, 7)
TARGET = Path(__file__).parent.parent / "workflows" / "mos2"


def main() -> None:
    """Write the files."""
    recipes = low_density_recipes("MoS2")
    hosts = {n: Host.from_preset("MoS2", (n, n, 1), vacuum=15) for n in NEW_PER_TYPE}
    new = draw_stratified({hosts[n]: count for n, count in NEW_PER_TYPE.items()}, recipes, SEED)
    excluded = {configuration.cluster_id for configuration in new}
    training = {
        configuration.cluster_id
        for n in TRAINING_SIZES
        for recipe in recipes
        for configuration in enumerate_configurations(Host.from_preset("MoS2", (n, n, 1), vacuum=15), recipe)
    } - {None, *excluded}
    rng = np.random.default_rng(SEED + 1)
    for n, host in hosts.items():
        mine = [configuration for configuration in new if configuration.host == host]
        seen = []
        for recipe in recipes:
            known = [c for c in enumerate_configurations(host, recipe) if c.cluster_id in training]
            seen += [known[i] for i in rng.permutation(len(known))[:SEEN_PER_TYPE]]
        for name, drawn in (("new", mine), ("seen", seen)):
            file = write_configurations(drawn, TARGET / f"{name}-{n}x{n}.jsonl")
            print(f"{file.name}: {len(drawn)} configurations of {len({c.label for c in drawn})} types")


if __name__ == "__main__":
    main()
