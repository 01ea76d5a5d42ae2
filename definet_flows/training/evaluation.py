"""Coordinate errors of a checkpoint on labels, beside those of doing nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from definet_flows.definet.checkpoint import Checkpoint, load_checkpoint
from definet_flows.definet.prerelaxer import Prerelaxer
from definet_flows.training.datasets.labels import LabelSet, centred_displacements
from definet_flows.training.metrics import CoordinateErrors, dummy_errors
from definet_flows.training.datasets.sources import LabelPool, read_source


def evaluate(checkpoint: str | Path, dataset: str | Path, device: str = "auto") -> dict[str, dict[str, float]]:
    """Evaluate a checkpoint by name or folder on a label set or a campaign directory.

    Returns
    -------
    dict
        ``model`` and ``dummy``, each with MAE and A3 to A6 in Å and the number of configurations. A prediction that is not finite
        counts as no displacement.
    """
    sets = read_source(Path(dataset))
    return evaluate_pool(load_checkpoint(checkpoint), LabelPool(tuple(sets)), device)


def evaluate_pool(checkpoint: Checkpoint, pool: LabelPool, device: str = "auto") -> dict[str, dict[str, float]]:
    """Evaluate a loaded checkpoint; see `evaluate`."""
    prerelaxer = Prerelaxer(checkpoint, device=device, guard=None)
    model, labelled = CoordinateErrors(), []
    for labels in pool.sets:
        for prediction, relaxed in zip(prerelaxer.predict(labels.configurations), _labels(labels), strict=True):
            configuration = prediction.configuration
            predicted = np.zeros_like(relaxed)
            if prediction.positions is not None:
                predicted = centred_displacements(configuration, prediction.positions)
            model.add(configuration, predicted, relaxed)
            labelled.append((configuration, relaxed))
    count = {"n_configurations": float(len(labelled))}
    return {"model": model.summary() | count, "dummy": dummy_errors(labelled).summary() | count}


def _labels(labels: LabelSet) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    return list(labels.displacements.astype(np.float64))
