"""How far training files' networks are off on labels that they were not trained on, a quarter of them left out in turn.

To choose a training file for a handful of labels without touching what is held out. Single defects are always trained on. The
error is the mean length over real atoms, given as a share of doing nothing: the mean over configurations, their median, and the
share of the totals. Goes on where it stopped. Run with

    python benchmarks/cross_validation.py LABELS OUT_DIR TRAIN.yaml [TRAIN.yaml ...]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from definet_flows.defects import write_configurations
from definet_flows.definet import Prerelaxer
from definet_flows.training.config import TrainingConfig, load_training_config
from definet_flows.training.datasets.labels import LabelSet
from definet_flows.training.fitting import train_config

N_FOLDS = 4
SEED = 7


def folds(labels: LabelSet) -> list[list[int]]:
    """Which labels are left out in turn."""
    several = [i for i, one in enumerate(labels.configurations) if one.n_defects > 1]
    order = np.random.default_rng(SEED).permutation(several)
    return [[int(i) for i in order[k::N_FOLDS]] for k in range(N_FOLDS)]


def errors(model: Path, labels: LabelSet, left_out: Sequence[int]) -> list[tuple[str, float, float]]:
    """Defect type, error of the model and of doing nothing, in Å, for each label that was left out."""
    prerelaxer = Prerelaxer(str(model), device="cpu", guard=None)
    found = []
    for index, prediction in zip(
        left_out, prerelaxer.predict([labels.configurations[i] for i in left_out]), strict=True
    ):
        configuration = labels.configurations[index]
        label = labels.displacements[index][configuration.occupied]
        guess = np.zeros_like(label)
        if prediction.positions is not None:
            guess = (prediction.positions - configuration.host.positions)[configuration.occupied]
        lengths = (float(np.linalg.norm(one, axis=1).mean()) for one in (guess - label, label))
        found.append((configuration.label, *lengths))
    return found


def measured(labels_file: Path, labels: LabelSet, config: TrainingConfig, out: Path) -> list[tuple[str, float, float]]:
    """Errors over all folds of one training file."""
    found: list[tuple[str, float, float]] = []
    for number, left_out in enumerate(folds(labels)):
        folder = out / f"fold-{number}"
        result = folder / "errors.json"
        if not result.exists():
            folder.mkdir(parents=True, exist_ok=True)
            held_out = folder / "left-out.jsonl"
            write_configurations([labels.configurations[i] for i in left_out], held_out)
            paths = {"labels": (str(labels_file.resolve()),), "held_out": (*config.held_out, str(held_out.resolve()))}
            model = folder / "model"
            resume = (model / "training").exists()
            result.write_text(
                json.dumps(errors(train_config(config.model_copy(update=paths), model, resume), labels, left_out))
            )
        found += json.loads(result.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("train", type=Path, nargs="+")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    labels = LabelSet.load(arguments.labels)
    print(f"{'':32s} {'labels':>6s} {'mean':>6s} {'median':>6s} {'totals':>6s}")
    for file in arguments.train:
        found = measured(arguments.labels, labels, load_training_config(file), arguments.out / file.stem)
        mine, nothing = np.array([row[1:] for row in found], dtype=float).T
        shares = mine / nothing
        print(
            f"{file.stem:32s} {len(found):6d} {shares.mean():6.2f} {np.median(shares):6.2f} {mine.sum() / nothing.sum():6.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
