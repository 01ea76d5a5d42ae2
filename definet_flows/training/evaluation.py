"""Coordinate errors of a checkpoint on labels, beside those of doing nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from definet_flows.defects import DefectConfiguration
from definet_flows.definet.checkpoint import Checkpoint, load_checkpoint
from definet_flows.definet.guard import Guard, GuardSettings
from definet_flows.definet.prerelaxer import Prediction, Prerelaxer
from definet_flows.errors import InputError
from definet_flows.training.datasets.labels import LabelSet, centred_displacements
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.datasets.sources import read_sources
from definet_flows.training.metrics import CoordinateErrors, FloatArray, LengthHistogram, nearest_defect

Row = dict[str, str | int | float | None]
"""One line of a table: column name, with its unit, to cell."""

MODEL, DUMMY = "model", "Dummy"
DISTANCE, MODEL_MAE, DUMMY_MAE = "distance from the nearest defect (Å)", "model MAE (Å)", "Dummy MAE (Å)"
"""Columns of the rings."""

LARGEST_NAMED_CLUSTER = 3
"""Configurations of more defects are told apart by their concentration, because nearly each has a label of its own."""


class Group(NamedTuple):
    """What errors are kept apart by.

    Parameters
    ----------
    host
        Name of the host.
    density
        ``low``, ``high``, or None where the label set does not say.
    exposure
        What the checkpoint's training has seen of the defect cluster.
    defects
        Defect type, see `defect_type`.
    """

    host: str
    density: str | None
    exposure: str
    defects: str


@dataclass
class GroupErrors:
    """Errors of one group of configurations.

    Parameters
    ----------
    model, dummy
        Of the checkpoint, and of the Dummy model, which returns its input.
    failed
        Configurations without a usable prediction; they count as no displacement.
    """

    model: CoordinateErrors = field(default_factory=CoordinateErrors)
    dummy: CoordinateErrors = field(default_factory=CoordinateErrors)
    failed: int = 0

    def __add__(self, other: GroupErrors) -> GroupErrors:
        return GroupErrors(self.model + other.model, self.dummy + other.dummy, self.failed + other.failed)


@dataclass
class Evaluation:
    """Errors of one checkpoint, summed while predictions come in.

    Parameters
    ----------
    groups
        Errors of each group.
    lengths
        Predicted against relaxed displacement lengths of real atoms.
    failures
        Why predictions were not usable, and how often.
    """

    groups: dict[Group, GroupErrors] = field(default_factory=dict)
    lengths: LengthHistogram = field(default_factory=LengthHistogram)
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, prediction: Prediction, relaxed: FloatArray, density: str | None, reasons: Sequence[str]) -> None:
        """Count one prediction.

        Parameters
        ----------
        prediction
            Of a configuration.
        relaxed
            [n_sites, 3] Å, the label.
        density
            Of its label set.
        reasons
            Why it cannot be used; empty if it can.
        """
        configuration = prediction.configuration
        predicted = np.zeros_like(relaxed)
        if prediction.positions is not None and not reasons:
            predicted = centred_displacements(configuration, prediction.positions)
        key = Group(configuration.host.name, density, prediction.exposure, defect_type(configuration))
        group = self.groups.setdefault(key, GroupErrors())
        distances = nearest_defect(configuration)
        group.model.add(configuration, predicted, relaxed, distances)
        group.dummy.add(configuration, np.zeros_like(relaxed), relaxed, distances)
        group.failed += bool(reasons)
        self.failures.update(reasons)
        occupied = configuration.occupied
        self.lengths.add(predicted[occupied], relaxed[occupied])

    def total(self) -> GroupErrors:
        """All groups together."""
        return _total(self.groups.values())

    def summary(self) -> dict[str, dict[str, float]]:
        """``model`` and ``dummy``, each with MAE, A3 to A6 and mean error length in Å, and the number of configurations."""
        total = self.total()
        count = {"n_configurations": float(total.model.n_configurations)}
        return {"model": total.model.summary() | count, "dummy": total.dummy.summary() | count}

    def rows(self, *by: str) -> list[Row]:
        """Errors of model and Dummy for each value of some fields of `Group`, two rows each; without fields, over everything."""
        rows = []
        for key, group in self._grouped(by).items():
            named: Row = dict(zip(by, key, strict=True))
            rows += _rows(named, group)
        return rows

    def ring_rows(self, *by: str) -> list[Row]:
        """Errors of model and Dummy in rings around the nearest defect, for each value of some fields of `Group`."""
        rows: list[Row] = []
        for key, group in self._grouped(by).items():
            dummy = group.dummy.by_ring()
            for name, (error, atoms) in group.model.by_ring().items():
                cells: Row = {
                    DISTANCE: name,
                    "atoms": atoms,
                    MODEL_MAE: finite(error),
                    DUMMY_MAE: finite(dummy[name][0]),
                }
                rows += [{**dict(zip(by, key, strict=True)), **cells}] if atoms else []
        return rows

    def _grouped(self, by: Sequence[str]) -> dict[tuple[str | None, ...], GroupErrors]:
        parts: dict[tuple[str | None, ...], list[GroupErrors]] = {}
        for group in sorted(self.groups, key=str):
            parts.setdefault(tuple(getattr(group, name) for name in by), []).append(self.groups[group])
        return {key: _total(errors) for key, errors in parts.items()}


def evaluate(
    checkpoint: str | Path,
    datasets: str | Path | Sequence[str | Path],
    device: str = "auto",
    *,
    skip_bad: bool = False,
) -> Evaluation:
    """Evaluate a checkpoint on labels.

    Parameters
    ----------
    checkpoint
        Name or folder.
    datasets
        One or several label sets, data-set folders or campaign directories.
    device
        ``auto``, ``cpu``, ``cuda``, ...
    skip_bad
        Leave out samples that cannot be read, with a warning for each, in place of stopping.

    Raises
    ------
    InputError
        If there is no label to evaluate on, labels of a crystal differ in teacher, or a source or the checkpoint cannot be used.
    """
    sources = [datasets] if isinstance(datasets, str | Path) else datasets
    loaded = load_checkpoint(checkpoint)
    sets = read_sources(sources, skip_bad)
    if not any(len(labels) for labels in sets):
        raise InputError(f"There is no label in {', '.join(map(str, sources))}; there is nothing to evaluate on.")
    return evaluate_sets(loaded, sets, device)


def evaluate_sets(checkpoint: Checkpoint, sets: Iterable[LabelSet], device: str = "auto") -> Evaluation:
    """Evaluate a loaded checkpoint on label sets in memory.

    A configuration with an element that training never met, or whose prediction is not finite, has failed: it counts as no
    displacement.
    """
    prerelaxer = Prerelaxer(checkpoint, device=device, guard=None)
    guard = Guard(GuardSettings(), checkpoint.card)
    evaluation = Evaluation()
    for labels in sets:
        relaxed = iter(labels.displacements)
        for prediction in prerelaxer.predict(labels.configurations):
            reasons = guard.unknown_elements(prediction.configuration) or list(prediction.verdict.reasons)
            evaluation.add(prediction, next(relaxed).astype(np.float64), labels.density, reasons)
    return evaluation


def evaluate_pool(checkpoint: Checkpoint, pool: LabelPool, device: str = "auto") -> dict[str, dict[str, float]]:
    """Errors over all labels of a pool; see `Evaluation.summary`."""
    return evaluate_sets(checkpoint, pool.sets, device).summary()


def defect_type(configuration: DefectConfiguration) -> str:
    """The label of a small cluster; the concentration where there are more than three defects."""
    if configuration.n_defects <= LARGEST_NAMED_CLUSTER:
        return configuration.label
    return f"{configuration.concentration:.1%} of the sites"


def error_cells(errors: CoordinateErrors) -> Row:
    """MAE and A3 to A6 of a table row, in Å; None where no atom was counted."""
    figures = errors.summary()
    return {
        f"{name.removesuffix('_angstrom')} (Å)": finite(value)
        for name, value in figures.items()
        if name != "error_length_angstrom"
    }


def finite(value: float) -> float | None:
    """The value, or None where it is not a number: a table has a dash there, and JSON has no NaN."""
    return value if math.isfinite(value) else None


def _rows(named: Row, group: GroupErrors) -> list[Row]:
    counts: Row = {"configurations": group.model.n_configurations}
    model: Row = named | {"predictor": MODEL} | counts | {"failed": group.failed}
    dummy: Row = named | {"predictor": DUMMY} | counts | {"failed": 0}
    return [model | error_cells(group.model), dummy | error_cells(group.dummy)]


def _total(groups: Iterable[GroupErrors]) -> GroupErrors:
    total = GroupErrors()
    for group in groups:
        total = total + group
    return total
