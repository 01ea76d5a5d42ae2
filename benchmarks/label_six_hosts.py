"""Label small supercells of the six hosts with the force-field engine, at low and at high defect density, to 0.002 eV/Å.

The held-out configurations of workflows/six-hosts/held-out/ were drawn before (benchmarks/draw_six_hosts.py); labels of their
clusters are left out by training. Saves as it goes and goes on where it stopped. Run with

    python benchmarks/label_six_hosts.py OUT_DIR [--workers 2] [--host MoS2 ...] [--limit-seconds 3600]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from draw_six_hosts import VACUUM, WORKFLOWS
from label_mos2 import TIGHT as ENGINE
from label_mos2 import load_journal

from definet_flows.defects import (
    HOST_PRESETS,
    DefectConfiguration,
    Host,
    enumerate_configurations,
    high_density,
    low_density_recipes,
    sample_configurations,
)
from definet_flows.engines import Relaxation
from definet_flows.engines.hessian import pristine_hessian
from definet_flows.jobs.selection import Selection, select
from definet_flows.training.datasets.labels import LabelSet

SEED = 20261124


class Section(NamedTuple):
    """Labels of one host in one supercell, n×n."""

    host: str
    n: int
    density: Literal["low", "high"]
    n_labels: int

    @property
    def stem(self) -> str:
        """Of the file names."""
        return f"{self.host.lower()}-{self.n}x{self.n}-{self.density}"

    def draw(self) -> list[DefectConfiguration]:
        """The configurations, the same in every run: low density stratified by type, high density by concentration."""
        host = ENGINE.relaxed_host(Host.from_preset(self.host, (self.n, self.n, 1), vacuum=VACUUM))
        if self.density == "high":
            preset = high_density(self.host)
            each = self.n_labels // len(preset.concentrations)
            return sample_configurations(host, preset.substitutions, preset.concentrations, each, SEED, preset.type_cap)
        listed = [c for recipe in low_density_recipes(self.host) for c in enumerate_configurations(host, recipe)]
        listed = [c for c in listed if c.placement_id not in labelled_before(self.host)]
        wanted = Selection(count=min(self.n_labels, len(listed)), seed=SEED)
        return select(listed, wanted, lambda _: True)


@cache
def labelled_before(host: str) -> frozenset[str]:
    """Placements of a host that benchmarks/label_mos2.py has labelled."""
    files = sorted((WORKFLOWS / "mos2" / "labels").glob("*.safetensors")) if host == "MoS2" else []
    return frozenset(one.placement_id for file in files for one in LabelSet.load(file).configurations)


SECTIONS = (
    *(Section(host, 5, "low", 160) for host in ("WSe2",)),
    *(Section(host, 6, "low", 160) for host in ("hBN",)),
    *(Section(host, 5, "low", 1000) for host in ("MoS2",)),
    *(Section(host, 4, "low", 160) for host in ("GaSe", "InSe", "BP")),
    *(Section(host, 5, "high", 150) for host in ("MoS2", "WSe2")),
    *(Section(host, 4, "high", 150) for host in ("GaSe", "InSe", "BP")),
    *(Section(host, 6, "high", 150) for host in ("hBN",)),
    *(Section(host, 4, "low", 80) for host in ("WSe2", "hBN")),
    *(Section(host, 7, "low", 60) for host in ("WSe2",)),
    *(Section(host, 8, "low", 60) for host in ("hBN",)),
    *(Section(host, 5, "low", 60) for host in ("GaSe", "InSe", "BP")),
)
"""For MoS2 the low density in other supercells, and part of this one, was made by benchmarks/label_mos2.py."""


def relax(configuration: DefectConfiguration) -> dict[str, Any]:
    """Label one configuration on one thread."""
    import torch

    torch.set_num_threads(1)
    outcome = ENGINE.relax(configuration)
    return {"placement_id": configuration.placement_id, "outcome": outcome.model_dump(mode="json")}


def label(section: Section, out: Path, pool: Any, until: float) -> bool:
    """Relax what the journal does not hold yet; False where time ran out."""
    configurations = section.draw()
    journal = out / f"{section.stem}.jsonl"
    done = load_journal(journal)
    waiting = [c for c in configurations if c.placement_id not in done]
    with journal.open("a", encoding="utf-8") as stream:
        for result in pool.imap_unordered(relax, waiting):
            stream.write("\n" + json.dumps(result))
            stream.flush()
            done[result["placement_id"]] = result
            if time.monotonic() > until:
                return False
    write(section, configurations, done, out)
    return True


def write(
    section: Section, configurations: list[DefectConfiguration], done: dict[str, dict[str, Any]], out: Path
) -> None:
    """Write the converged labels and print what they cost, failures included."""
    outcomes = [(c, Relaxation.model_validate(done[c.placement_id]["outcome"])) for c in configurations]
    converged = [(c, outcome.positions) for c, outcome in outcomes if outcome.converged]
    steps = sum(outcome.ionic_steps or 0 for _, outcome in outcomes)
    hours = sum(outcome.core_hours or 0 for _, outcome in outcomes)
    failed = [str(c) for c, outcome in outcomes if not outcome.converged]
    cost = f"{len(converged)} labels, {steps} evaluations, {hours:.2f} core-hours"
    print(f"{section.stem}: {cost}, not converged: {failed}", flush=True)
    labels = LabelSet.of(converged, ENGINE.physics)
    force_constants = pristine_hessian(ENGINE, labels.host).astype(np.float32)
    file = out / f"{section.stem}.safetensors"
    replace(labels, density=section.density, force_constants=force_constants).save(file)


def main() -> None:
    """Label section after section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--host", action="append", choices=list(HOST_PRESETS), help="only these; all by default")
    parser.add_argument("--limit-seconds", type=float, default=3600)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + arguments.limit_seconds
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for section in SECTIONS:
            wanted = not arguments.host or section.host in arguments.host
            if wanted and not label(section, arguments.out, pool, until):
                pool.terminate()
                break


if __name__ == "__main__":
    main()
