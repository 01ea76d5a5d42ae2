"""Draw three MoS2 pairs in 3x3, of clusters that the shipped checkpoint was not trained on, before any is relaxed with GPAW.

Writes workflows/mos2/gpaw-3x3.jsonl for workflows/mos2-gpaw.yaml. Run with

    python benchmarks/draw_mos2_gpaw.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from definet_flows.defects import (
    DefectConfiguration,
    Host,
    enumerate_configurations,
    low_density_recipes,
    write_configurations,
)
from definet_flows.definet import load_checkpoint

SEED = 20251123
COUNT = 3
CHECKPOINT = "definet-mos2-chgnet"
TARGET = Path(__file__).parent.parent / "workflows" / "mos2" / "gpaw-3x3.jsonl"


def main() -> None:
    """Write the file."""
    card = load_checkpoint(CHECKPOINT).card
    host = Host.from_preset("MoS2", (3, 3, 1), vacuum=15)
    rng = np.random.default_rng(SEED)
    drawn: list[DefectConfiguration] = []
    for recipe in rng.permutation([str(recipe) for recipe in low_density_recipes("MoS2")]):
        new = [one for one in enumerate_configurations(host, str(recipe)) if card.exposure(one) == "new"]
        if len(drawn) < COUNT and new and new[0].n_defects == 2:
            drawn.append(new[int(rng.integers(len(new)))])
    write_configurations(drawn, TARGET)
    print(", ".join(f"{one.label} {one.id}" for one in drawn))


if __name__ == "__main__":
    main()
