"""Which optimiser needs the fewest force evaluations from the unrelaxed start.

Prints one row per optimiser over a seeded sample of MoS2 4x4 and 5x5 configurations, the force-field engine's threshold, and the
sum of evaluations; runs that did not converge count with all the evaluations they used and are named. Run with

    python benchmarks/optimizers.py [--count 16] [--seed 20]
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from definet_flows.defects import DefectConfiguration, Host, enumerate_configurations, low_density_recipes
from definet_flows.engines import ForceFieldEngine, Relaxation

CANDIDATES: list[tuple[str, dict[str, float]]] = [
    ("BFGS", {}),
    *(("BFGS", {"alpha": alpha}) for alpha in (40.0, 30.0, 25.0, 20.0, 15.0, 10.0)),
    ("LBFGS", {"alpha": 25.0}),
    ("BFGSLineSearch", {"alpha": 25.0}),
    ("FIRE", {}),
]


def sample(count: int, seed: int) -> list[DefectConfiguration]:
    """Draw configurations stratified over the 17 defect types, alternating between the two sizes."""
    rng = np.random.default_rng(seed)
    hosts = [ForceFieldEngine().relaxed_host(Host.from_preset("MoS2", (n, n, 1), vacuum=15)) for n in (4, 5)]
    recipes = low_density_recipes("MoS2")
    drawn = []
    for index in range(count):
        listed = list(enumerate_configurations(hosts[index % 2], recipes[index % len(recipes)]))
        drawn.append(listed[rng.integers(len(listed))])
    return drawn


def steps_below(outcome: Relaxation, threshold: float) -> int:
    """Force evaluations until the largest force was first below a threshold (all of them if never)."""
    below = [step for step, force in enumerate(outcome.max_force_history, start=1) if force < threshold]
    return below[0] if below else outcome.ionic_steps


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--seed", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    configurations = sample(arguments.count, arguments.seed)
    print(f"{len(configurations)} configurations; force evaluations to 0.05 and 0.01 eV/Å from the unrelaxed start")
    print(f"{'optimiser':34s} {'sum 0.05':>9s} {'sum 0.01':>9s} {'median':>7s}  not converged")
    for name, keywords in CANDIDATES:
        engine = ForceFieldEngine(optimizer=name, optimizer_arguments=keywords)
        outcomes = [engine.relax(configuration) for configuration in configurations]
        failed = [str(c) for c, outcome in zip(configurations, outcomes, strict=True) if not outcome.converged]
        steps = [outcome.ionic_steps for outcome in outcomes]
        early = sum(steps_below(outcome, 0.05) for outcome in outcomes)
        print(f"{name + str(keywords or ''):34s} {early:9d} {sum(steps):9d} {np.median(steps):7.1f}  {failed or 'none'}", flush=True)


if __name__ == "__main__":
    main()
