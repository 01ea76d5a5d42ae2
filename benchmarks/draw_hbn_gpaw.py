"""Split the single and paired defects of h-BN into training and held-out ones, before any label exists.

Writes train-3x3.jsonl (the four singles, then 16 pairs), held-out-3x3.jsonl (one pair of each of the ten types),
held-out-4x4.jsonl (pairs whose cluster no training configuration has, nor could have where its size leaves the cluster
undefined) and split.json with the split's hash into workflows/hbn-gpaw. All are committed; running this again gives the same
files. Run with

    python benchmarks/draw_hbn_gpaw.py
"""

from __future__ import annotations

import json
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np

from definet_flows.defects import DefectConfiguration, Host, enumerate_configurations, write_configurations
from definet_flows.defects.host import content_hash

SEED = 20251122
DEFECTS = ("V_B", "V_N", "C_B", "C_N")
N_LARGER = 4
TARGET = Path(__file__).parent.parent / "workflows" / "hbn-gpaw"


def main() -> None:
    """Write the files."""
    rng = np.random.default_rng(SEED)
    host, larger = (Host.from_file(TARGET / "hBN.cif", (n, n, 1)) for n in (3, 4))
    singles = [configuration for defect in DEFECTS for configuration in enumerate_configurations(host, defect)]
    pairs, held_out = [], []
    for recipe in recipes():
        listed = list(enumerate_configurations(host, recipe))
        left_out = int(rng.integers(len(listed)))
        held_out.append(listed.pop(left_out))
        pairs += listed
    shares = {
        "train-3x3": singles + [pairs[i] for i in rng.permutation(len(pairs))],
        "held-out-3x3": [held_out[i] for i in rng.permutation(len(held_out))],
        "held-out-4x4": drawn_larger(larger, singles + pairs, rng),
    }
    for name, drawn in shares.items():
        write_configurations(drawn, TARGET / f"{name}.jsonl")
        print(f"{name}: {len(drawn)} configurations, {', '.join(configuration.label for configuration in drawn)}")
    ids = {name: [configuration.id for configuration in drawn] for name, drawn in shares.items()}
    split = {"seed": SEED, "hash": content_hash(ids), **ids}
    (TARGET / "split.json").write_text(json.dumps(split, indent=1) + "\n", encoding="utf-8")
    print(f"split {split['hash']}")


def recipes() -> list[str]:
    """The ten types of pairs."""
    return ["+".join(pair) for pair in combinations_with_replacement(DEFECTS, 2)]


def drawn_larger(
    host: Host, training: list[DefectConfiguration], rng: np.random.Generator
) -> list[DefectConfiguration]:
    """Pairs of a larger supercell whose cluster training cannot have seen, of types as different as may be."""
    seen = {cluster for configuration in training for cluster in configuration.possible_cluster_ids} | {None}
    drawn: list[DefectConfiguration] = []
    for recipe in rng.permutation(recipes()):
        new = [c for c in enumerate_configurations(host, str(recipe)) if c.cluster_id not in seen]
        if new and len(drawn) < N_LARGER:
            drawn.append(new[int(rng.integers(len(new)))])
    return drawn


if __name__ == "__main__":
    main()
