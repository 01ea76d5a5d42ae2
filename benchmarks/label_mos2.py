"""Make the training labels of the MoS2 checkpoint with the force-field engine.

Relaxes the 17 low-density defect types on several supercells, without the clusters of workflows/mos2/new-*.jsonl, first to
0.01 eV/Å and from there to 0.002 eV/Å, so that both label sets and both costs are known. Runs one process per core, saves as it
goes, and goes on where it stopped. Run with

    python benchmarks/label_mos2.py OUT_DIR [--workers 2] [--device cpu] [--limit-seconds 3600]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from labelling import converged, load_journal

from definet_flows.defects import (
    DefectConfiguration,
    Host,
    enumerate_configurations,
    low_density_recipes,
    read_configurations,
)
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.engines.hessian import pristine_hessian
from definet_flows.training.datasets.labels import LabelSet

HELD_OUT = Path(__file__).parent.parent / "workflows" / "mos2"
SIZES = {4: 120, 5: 260, 7: 120}
"""Supercell n×n to the largest number of labels there."""

SEED = 20251122
LOOSE = ForceFieldEngine(force_threshold=0.01)
TIGHT = ForceFieldEngine(force_threshold=0.002)


def to_label() -> list[DefectConfiguration]:
    """Configurations in a fixed random order, small and large cells mixed."""
    rng = np.random.default_rng(SEED)
    host = TIGHT.relaxed_host(Host.from_preset("MoS2", (1, 1, 1), vacuum=15))
    held_out = {c.cluster_id for file in sorted(HELD_OUT.glob("new-*.jsonl")) for c in read_configurations(file, host)}
    chosen = []
    for n, most in SIZES.items():
        supercell = host.with_supercell((n, n, 1))
        listed = [c for recipe in low_density_recipes("MoS2") for c in enumerate_configurations(supercell, recipe)]
        free = [c for c in listed if c.cluster_id not in held_out]
        singles = [c for c in free if c.n_defects == 1]
        others = [c for c in free if c.n_defects > 1]
        chosen += singles + [others[i] for i in rng.permutation(len(others))[: most - len(singles)]]
    return [chosen[i] for i in rng.permutation(len(chosen))]


def relax(task: tuple[DefectConfiguration, str]) -> dict[str, Any]:
    """Label one configuration."""
    import torch

    torch.set_num_threads(1)
    configuration, device = task
    loose = LOOSE.model_copy(update={"device": device}).relax(configuration)
    start = None if loose.positions is None else np.array(loose.positions)
    tight = loose if start is None else TIGHT.model_copy(update={"device": device}).relax(configuration, start)
    outcomes = {"loose": loose.model_dump(mode="json"), "tight": tight.model_dump(mode="json")}
    return {"placement_id": configuration.placement_id, **outcomes}


def main() -> None:
    """Label until done or out of time, then write one label set per size and threshold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit-seconds", type=float, default=3600)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    journal = arguments.out / "relaxations.jsonl"
    done = load_journal(journal)
    configurations = to_label()
    waiting = [c for c in configurations if c.placement_id not in done]
    print(f"{len(configurations)} to label, {len(done)} done", flush=True)
    began, before = time.perf_counter(), len(done)
    with (
        multiprocessing.get_context("spawn").Pool(arguments.workers) as pool,
        journal.open("a", encoding="utf-8") as stream,
    ):
        for result in pool.imap_unordered(relax, [(c, arguments.device) for c in waiting]):
            stream.write("\n" + json.dumps(result))
            done[result["placement_id"]] = result
            if time.perf_counter() - began > arguments.limit_seconds:
                pool.terminate()
                break
    elapsed = time.perf_counter() - began
    print(f"{len(done) - before} labels in {elapsed:.0f} s on {arguments.device}", flush=True)
    write_label_sets(configurations, done, arguments.out)


def write_label_sets(configurations: list[DefectConfiguration], done: dict[str, dict[str, Any]], out: Path) -> None:
    """Write the converged labels and print what they cost, failures included."""
    for n in SIZES:
        mine = [c for c in configurations if c.host.supercell_matrix[0][0] == n and c.placement_id in done]
        for name, engine in (("loose", LOOSE), ("tight", TIGHT)):
            outcomes = [(c, Relaxation.model_validate(done[c.placement_id][name])) for c in mine]
            resting = converged(outcomes, f"{n}x{n} {name}")
            if resting:
                labels = LabelSet.of(resting, engine.physics)
                force_constants = pristine_hessian(TIGHT, labels.host).astype(np.float32)
                replace(labels, force_constants=force_constants).save(out / f"mos2-{n}x{n}-{name}.safetensors")


if __name__ == "__main__":
    main()
