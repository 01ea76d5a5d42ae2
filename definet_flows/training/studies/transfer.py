"""Transfer: how a network trained on one kind of configuration does on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.distances import site_distances
from definet_flows.errors import InputError
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.datasets.split import Split
from definet_flows.training.evaluation import DUMMY, Row
from definet_flows.training.studies.study import Study, labels_of
from definet_flows.training.studies.variants import Budget, Variant, budgeted, describe_labels, dummy_row, run_variants

KINDS = ("density", "distance")
"""High against low defect density, and short against long distance between defects."""

Groups = Mapping[str, frozenset[int]]
"""Name of each of two groups and the positions of its labels."""


def transfer(
    config: TrainingConfig,
    output: Path,
    kinds: Sequence[str] = KINDS,
    threshold: float | None = None,
    budget: Budget = "steps",
) -> Study:
    """Train on each of two groups of labels and test on both, for each kind of grouping.

    Parameters
    ----------
    config
        The training; its split is made once over all labels, so that nothing tested on was trained on in either group.
    output
        Holds a folder for each training.
    kinds
        Of `KINDS`.
    threshold
        Å, largest of the short distances; by default the median.
    budget
        What the trainings have in common: optimiser steps, or passes over their labels.

    Raises
    ------
    InputError
        If the labels do not fall into two groups of a kind, or a group has an empty share.
    """
    pool, split = labels_of(config)
    grouped: dict[str, tuple[Groups, str]] = {}
    for kind in kinds:
        grouped[kind] = by_density(pool) if kind == "density" else by_distance(pool, threshold)
    variants, budget_note = budgeted(
        [v for kind, (groups, _) in grouped.items() for v in _variants(kind, groups, config, pool, split)], pool, budget
    )
    outcomes = {outcome.name: outcome for outcome in run_variants(variants, pool, output)}
    tables: dict[str, list[Row]] = {}
    for kind, (groups, _) in grouped.items():
        mine = [outcomes[f"{kind}-{group}"] for group in groups]
        rows: list[Row] = []
        for test in groups:
            rows.append({"tested on": test, "trained on": f"nothing ({DUMMY})", **dummy_row(mine, test)})
            for group, outcome in zip(groups, mine, strict=True):
                domain = "in" if group == test else "out"
                rows.append({"tested on": test, "trained on": group, "domain": domain, **outcome.row(test)})
        tables[f"by {kind}"] = rows
    notes = [describe_labels(pool, split), budget_note, *(note for _, note in grouped.values())]
    return Study("Transfer", tables, tuple(notes))


def by_density(pool: LabelPool) -> tuple[Groups, str]:
    """Labels of low and high defect density, of the crystals that have both.

    Raises
    ------
    InputError
        If no crystal has both.
    """
    strata = pool.strata
    families = {density: {family for family, d in strata if d == density} for density in ("low", "high")}
    both = families["low"] & families["high"]
    if not both:
        present = ", ".join(sorted({str(density or "unstated") for _, density in strata}))
        raise InputError(
            f"Transfer between densities needs a host with labels of low and of high density; these have: {present}. "
            "Add the other section, or choose --by distance."
        )
    groups = {
        density: frozenset(i for i, (family, d) in enumerate(strata) if d == density and family in both)
        for density in ("low", "high")
    }
    names = sorted({labels.host.name for labels in pool.sets if labels.host.family in both})
    return groups, f"Densities: only hosts that have labels of both, {', '.join(names)}."


def by_distance(pool: LabelPool, threshold: float | None) -> tuple[Groups, str]:
    """Labels whose two nearest defects are close, and those where they are far; single defects and high densities left out.

    Raises
    ------
    InputError
        If all distances are on one side of the threshold.
    """
    crowded = [density == "high" for _, density in pool.strata]
    distances = {
        position: nearest_pair(configuration)
        for position, configuration in enumerate(pool.configurations)
        # At high densities two defects are always close.
        if configuration.n_defects > 1 and not crowded[position]
    }
    if not distances:
        raise InputError(
            "Transfer between distances needs labels of two or more defects at low density; there are none."
        )
    limit = float(np.median(list(distances.values()))) if threshold is None else threshold
    groups = {
        "short": frozenset(i for i, distance in distances.items() if distance <= limit + 1e-6),
        "long": frozenset(i for i, distance in distances.items() if distance > limit + 1e-6),
    }
    if not all(groups.values()):
        low, high = min(distances.values()), max(distances.values())
        raise InputError(
            f"All defect–defect distances ({low:.2f} to {high:.2f} Å) are on one side of {limit:.2f} Å; "
            "give a threshold between them."
        )
    return groups, (
        f"Distances: short up to {limit:.2f} Å between the two nearest defects, long beyond; labels of two or more defects, "
        "not of high density."
    )


def nearest_pair(configuration: DefectConfiguration) -> float:
    """Å between the two nearest defects, to the nearest image."""
    sites = configuration.defect_sites
    distances = site_distances(configuration.host, sites)[:, sites]
    return float(distances[np.triu_indices(len(sites), 1)].min())


def _variants(kind: str, groups: Groups, config: TrainingConfig, pool: LabelPool, split: Split) -> list[Variant]:
    tests = {name: tuple(i for i in split.test if i in members) for name, members in groups.items()}
    variants = []
    for name, members in groups.items():
        training, validation = (tuple(i for i in share if i in members) for share in (split.training, split.validation))
        if not (training and validation and tests[name]):
            raise InputError(
                f"The group '{name}' by {kind} has {len(training)} labels to train on, {len(validation)} to validate and "
                f"{len(tests[name])} to test; give more labels, or larger shares in the training file."
            )
        shares = Split.of(pool, {"training": training, "validation": validation, "test": tests[name]})
        variants.append(Variant(f"{kind}-{name}", config, shares, tests))
    return variants
