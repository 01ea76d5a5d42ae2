"""Label small supercells of MoS2 and WSe2 with the force-field engine: the database's sections, at sizes a laptop can relax.

Both densities of WSe2 and the high density of MoS2, relaxed by CHGNet to 0.01 eV/Å (benchmarks/label_mos2.py makes the low one of
MoS2). Saves as it goes and goes on where it stopped. Run with

    python benchmarks/label_hosts.py OUT_DIR [--workers 2]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from label_mos2 import LOOSE as ENGINE
from label_mos2 import load_journal

from definet_flows.defects import (
    DefectConfiguration,
    Host,
    enumerate_configurations,
    high_density,
    low_density_recipes,
    sample_configurations,
)
from definet_flows.engines import Relaxation
from definet_flows.training.datasets.labels import LabelSet

SEED = 20261122


class Section(NamedTuple):
    """Labels of one host: supercell n×n, ``low`` or ``high`` density, and how many."""

    host: str
    n: int
    density: str
    n_labels: int

    @property
    def stem(self) -> str:
        """Of the file names."""
        return f"{self.host.lower()}-{self.n}x{self.n}-{self.density}"

    def draw(self) -> list[DefectConfiguration]:
        """The configurations, the same in every run."""
        host = ENGINE.relaxed_host(Host.from_preset(self.host, (self.n, self.n, 1), vacuum=15))
        if self.density == "high":
            preset = high_density(self.host)
            each = self.n_labels // len(preset.concentrations)
            return sample_configurations(host, preset.substitutions, preset.concentrations, each, SEED, preset.type_cap)
        listed = [c for recipe in low_density_recipes(self.host) for c in enumerate_configurations(host, recipe)]
        singles, others = ([c for c in listed if (c.n_defects == 1) is one] for one in (True, False))
        order = np.random.default_rng(SEED).permutation(len(others))
        return singles + [others[i] for i in order[: self.n_labels - len(singles)]]


SECTIONS = (
    Section("MoS2", 5, "high", 120),
    Section("WSe2", 5, "low", 160),
    Section("WSe2", 5, "high", 60),
)


def relax(configuration: DefectConfiguration) -> dict[str, Any]:
    """Label one configuration on one thread."""
    import torch

    torch.set_num_threads(1)
    outcome = ENGINE.relax(configuration)
    return {"placement_id": configuration.placement_id, "outcome": outcome.model_dump(mode="json")}


def label(section: Section, out: Path, pool: Any) -> None:
    """Relax what the journal does not hold yet, write the converged labels and print what they cost, failures included."""
    configurations = section.draw()
    journal = out / f"{section.stem}.jsonl"
    done = load_journal(journal)
    waiting = [c for c in configurations if c.placement_id not in done]
    with journal.open("a", encoding="utf-8") as stream:
        for result in pool.imap_unordered(relax, waiting):
            stream.write("\n" + json.dumps(result))
            stream.flush()
            done[result["placement_id"]] = result
    outcomes = [(c, Relaxation.model_validate(done[c.placement_id]["outcome"])) for c in configurations]
    converged = [(c, outcome.positions) for c, outcome in outcomes if outcome.converged]
    steps = sum(outcome.ionic_steps for _, outcome in outcomes)
    hours = sum(outcome.core_hours for _, outcome in outcomes)
    failed = [str(c) for c, outcome in outcomes if not outcome.converged]
    print(
        f"{section.stem}: {len(converged)} labels, {steps} evaluations, {hours:.2f} core-hours, not converged: {failed}"
    )
    replace(LabelSet.of(converged, ENGINE.physics), density=section.density).save(out / f"{section.stem}.safetensors")


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
