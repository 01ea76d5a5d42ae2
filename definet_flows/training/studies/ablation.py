"""Ablation: the paper's three arms, the network without each auxiliary, and the defect-implicit network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from definet_flows.definet.network import DefiNetConfig
from definet_flows.errors import InputError
from definet_flows.training.config import TrainingConfig
from definet_flows.training.evaluation import DUMMY, Row
from definet_flows.training.studies.study import Study, labels_of
from definet_flows.training.studies.variants import Outcome, Variant, describe_labels, dummy_row, run_variants

_WHOLE = {
    "placeholders": True,
    "marker_gate": True,
    "coordinate_update": True,
    "global_node": True,
    "vector_activation": True,
}

ARMS: dict[str, dict[str, bool]] = {
    "Vanilla": {"marker_gate": False, "coordinate_update": False},
    "+ defect-aware message passing": {"coordinate_update": False},
    "+ defect-aware coordinate update": {},
    "without global node": {"global_node": False},
    "without vector activation": {"vector_activation": False},
    "defect-implicit": {"placeholders": False, "marker_gate": False},
}
"""Name of each arm and the switches of the whole network that it turns off; the third is DefiNet itself."""

_ABOUT_ARMS = (
    "The first three arms build up DefiNet as the paper does; the next two are the whole network without one part; "
    "defect-implicit sees neither markers nor placeholders: a vacancy is an absent atom."
)


def ablation(config: TrainingConfig, output: Path, seeds: Sequence[int] = (0,)) -> Study:
    """Train every arm with every seed on the same labels and the same budget.

    Parameters
    ----------
    config
        The training; its network gives the size, the arms the switches.
    output
        Holds a folder for each arm and seed.
    seeds
        Of the initial weights and the order of batches; the split does not depend on them.

    Raises
    ------
    InputError
        If there is no seed, or the labels cannot be used.
    """
    if not seeds:
        raise InputError("An ablation needs at least one seed; give --seeds 0, or several.")
    pool, split = labels_of(config)
    runs = [(arm, seed) for arm in ARMS for seed in dict.fromkeys(seeds)]
    variants = [
        Variant(
            f"{_folder(arm)}-seed-{seed}",
            config.model_copy(update={"network": arm_network(config.network, arm), "seed": seed, "name": _folder(arm)}),
            split,
            {"test": split.test},
        )
        for arm, seed in runs
    ]
    outcomes = run_variants(variants, pool, output)
    single: list[Row] = [
        {"network": arm, "seed": seed, **outcome.row("test")}
        for (arm, seed), outcome in zip(runs, outcomes, strict=True)
    ]
    means: list[Row] = [{"network": DUMMY, **dummy_row(outcomes, "test")}]
    means += [_mean_row(arm, [o for (name, _), o in zip(runs, outcomes, strict=True) if name == arm]) for arm in ARMS]
    several = len(set(seeds)) > 1
    notes = (
        describe_labels(pool, split),
        f"Every arm has the same split, optimiser and budget: at most {config.max_epochs} epochs.",
        f"± is the sample standard deviation over {len(set(seeds))} seeds." if several else "One seed each.",
        _ABOUT_ARMS,
    )
    return Study("Ablation", {"arms": means, "runs": single}, notes)


def arm_network(network: DefiNetConfig, arm: str) -> DefiNetConfig:
    """The network of an arm, of the same size."""
    return DefiNetConfig.model_validate(network.model_dump() | _WHOLE | ARMS[arm])


def _folder(arm: str) -> str:
    return arm.lower().removeprefix("+ ").replace(" ", "-")


def _mean_row(arm: str, outcomes: Sequence[Outcome]) -> Row:
    """Means over the seeds that ended, and the spread of each error."""
    ended = [outcome for outcome in outcomes if outcome.error is None]
    row: Row = {"network": arm, "seeds": len(ended), "seeds failed": len(outcomes) - len(ended)}
    if not ended:
        return row | {"reason": outcomes[0].error}
    cells = [outcome.tests["test"]["model"] for outcome in ended]
    row |= {name: cells[0][name] for name in ("configurations", "failed")}
    for name in (name for name in cells[0] if name.endswith("(Å)")):
        row[name], row[name.replace("(Å)", "± (Å)")] = _mean([cell[name] for cell in cells])
    seconds = _mean([outcome.seconds_per_epoch for outcome in ended])[0]
    return row | {"parameters": ended[0].n_parameters, "s per epoch": seconds}


def _mean(values: Sequence[object]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation of the numbers among some cells."""
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if not numbers:
        return None, None
    return float(np.mean(numbers)), float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
