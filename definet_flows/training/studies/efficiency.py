"""Data efficiency: the test error against the number of labels trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from definet_flows.errors import InputError
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.datasets.split import Split
from definet_flows.training.evaluation import DUMMY, Row
from definet_flows.training.studies.study import Study, labels_of
from definet_flows.training.studies.variants import Budget, Variant, budgeted, describe_labels, dummy_row, run_variants

FRACTIONS = tuple(tenth / 10 for tenth in range(1, 11))


def data_efficiency(
    config: TrainingConfig, output: Path, fractions: Sequence[float] = FRACTIONS, budget: Budget = "steps"
) -> Study:
    """Train on growing shares of the training labels and test each on the same labels.

    Parameters
    ----------
    config
        The training; validation and test share stay whole for every fraction.
    output
        Holds a folder for each fraction.
    fractions
        Of the training labels; each smaller set is part of every larger one.
    budget
        What the fractions have in common: optimiser steps, or passes over their labels.

    Raises
    ------
    InputError
        If a fraction is not between 0 and 1 or leaves no label.
    """
    pool, split = labels_of(config)
    order = nested_order(pool, split.training, config.seed)
    variants = []
    for fraction in sorted(set(fractions)):
        chosen = order[: _count(fraction, len(order))]
        shares = Split.of(pool, {"training": chosen, "validation": split.validation, "test": split.test})
        variants.append(Variant(f"fraction-{fraction:g}", config, shares, {"test": split.test}))
    variants, budget_note = budgeted(variants, pool, budget)
    outcomes = run_variants(variants, pool, output)
    rows: list[Row] = [{"fraction": 0.0, "predictor": DUMMY, "training labels": 0, **dummy_row(outcomes, "test")}]
    for fraction, outcome in zip(sorted(set(fractions)), outcomes, strict=True):
        rows.append({"fraction": fraction, "predictor": config.name, **outcome.row("test")})
    notes = (
        describe_labels(pool, split),
        budget_note,
        "Each smaller training set is part of every larger one; validation and test labels are the same for all.",
    )
    return Study("Data efficiency", {"by number of labels": rows}, notes)


def nested_order(pool: LabelPool, training: Sequence[int], seed: int) -> list[int]:
    """Training positions in an order of which every beginning is spread evenly over crystals and densities.

    Parameters
    ----------
    pool
        The labels.
    training
        Positions to order.
    seed
        Of the order within each crystal and density.
    """
    strata, members = pool.strata, defaultdict(list)
    for position in training:
        members[strata[position]].append(position)
    rng = np.random.default_rng(seed)
    ranked = []
    for stratum in sorted(members, key=str):
        mine = members[stratum]
        ranked += [((rank + 0.5) / len(mine), mine[index]) for rank, index in enumerate(rng.permutation(len(mine)))]
    return [position for _, position in sorted(ranked)]


def _count(fraction: float, n_training: int) -> int:
    if not 0 < fraction <= 1:
        raise InputError(f"{fraction:g} is not a fraction of the training labels; give numbers above 0 and up to 1.")
    count = round(fraction * n_training)
    if not count:
        raise InputError(
            f"A fraction of {fraction:g} of {n_training} training labels leaves none; give larger fractions or more labels."
        )
    return count
