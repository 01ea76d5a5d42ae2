"""Label small supercells of MoS2 and WSe2 with the force-field engine: the database's sections, at sizes a laptop can relax.

Both densities of WSe2 and the high density of MoS2, relaxed by CHGNet to 0.01 eV/Å (benchmarks/label_mos2.py makes the low one of
MoS2). Saves as it goes and goes on where it stopped. Run with

    python benchmarks/label_hosts.py OUT_DIR [--workers 2]
"""

from __future__ import annotations

import argparse
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from label_mos2 import LOOSE as ENGINE
from labelling import Section, converged, relaxed

from definet_flows.defects import DefectConfiguration, Host, enumerate_configurations, low_density_recipes
from definet_flows.training.datasets.labels import LabelSet

SEED = 20261122


def draw(section: Section) -> list[DefectConfiguration]:
    """The configurations, the same in every run."""
    host = ENGINE.relaxed_host(Host.from_preset(section.host, (section.n, section.n, 1), vacuum=15))
    if section.density == "high":
        return section.sample(host, SEED)
    listed = [c for recipe in low_density_recipes(section.host) for c in enumerate_configurations(host, recipe)]
    singles, others = ([c for c in listed if (c.n_defects == 1) is one] for one in (True, False))
    order = np.random.default_rng(SEED).permutation(len(others))
    return singles + [others[i] for i in order[: section.n_labels - len(singles)]]


SECTIONS = (
    Section("MoS2", 5, "high", 120),
    Section("WSe2", 5, "low", 160),
    Section("WSe2", 5, "high", 60),
)


def label(section: Section, out: Path, pool: Any) -> None:
    """Relax what the journal does not hold yet and write the converged labels."""
    outcomes = relaxed(draw(section), out / f"{section.stem}.jsonl", ENGINE, pool) or []
    labels = LabelSet.of(converged(outcomes, section.stem), ENGINE.physics)
    replace(labels, density=section.density).save(out / f"{section.stem}.safetensors")


def main() -> None:
    """Label section after section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for section in SECTIONS:
            label(section, arguments.out, pool)


if __name__ == "__main__":
    main()
