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

CANDIDATES = [
    # 70 eV/Å² is ASE's own start.
    *(ForceFieldEngine(optimizer="BFGS", initial_hessian=alpha) for alpha in (70, 40, 30, 25, 20, 15, 10)),
    ForceFieldEngine(optimizer="LBFGS", initial_hessian=15),
    ForceFieldEngine(optimizer="BFGSLineSearch", initial_hessian=15),
    ForceFieldEngine(optimizer="FIRE"),
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
    print(f"{'optimiser':15s} {'eV/Å²':>6s} {'sum 0.05':>9s} {'sum 0.01':>9s} {'median':>7s}  not converged")
    for engine in CANDIDATES:
        outcomes = [engine.relax(configuration) for configuration in configurations]
        failed = [str(c) for c, outcome in zip(configurations, outcomes, strict=True) if not outcome.converged]
        steps = [outcome.ionic_steps for outcome in outcomes]
        early = sum(steps_below(outcome, 0.05) for outcome in outcomes)
        name = f"{engine.optimizer:15s} {engine.initial_hessian:6.0f}"
        print(f"{name} {early:9d} {sum(steps):9d} {np.median(steps):7.1f}  {failed or 'none'}", flush=True)


if __name__ == "__main__":
    main()
