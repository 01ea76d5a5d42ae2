"""What tighter labels, the force term in the loss and the optimiser are worth: steps left on the validation and test shares.

Trains the shipped checkpoint's recipe four times, half an hour to an hour each, and relaxes the 58 configurations of the
validation and test shares from each prediction. The held-out lists are not touched. Goes on where it was interrupted. Run with

    python benchmarks/training_choices.py OUT_DIR
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from definet_flows.defects import DefectConfiguration
from definet_flows.definet import Prerelaxer
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.training import train
from definet_flows.training.config import load_training_config
from definet_flows.training.datasets.sources import load_labels
from definet_flows.training.datasets.split import split_labels

WORKFLOWS = Path(__file__).resolve().parent.parent / "workflows"
RECIPE = WORKFLOWS / "mos2" / "train.yaml"
TIGHT, LOOSE = (
    WORKFLOWS / "mos2/labels/mos2-{n}x{n}-tight.safetensors",
    WORKFLOWS / "labels/mos2-{n}x{n}-low.safetensors",
)
CHOICES: dict[str, tuple[str, Path, dict[str, Any]]] = {
    "labels to 0.002 eV/Å, with the force term": ("tight-force", TIGHT, {}),
    "labels to 0.002 eV/Å, without": ("tight", TIGHT, {"force_weight": 0.0}),
    "labels to 0.01 eV/Å, without": ("loose", LOOSE, {"force_weight": 0.0}),
    "labels to 0.002 eV/Å, with the force term, by Muon": ("muon", TIGHT, {"optimizer": "muon"}),
}
"""Name of a folder, labels, and what differs from the recipe otherwise."""

COARSE = 0.05


def training_file(folder: Path, labels: Path, changes: dict[str, Any]) -> Path:
    """Write the training file of one choice."""
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    recipe |= {
        "labels": [str(labels).format(n=n) for n in (4, 5, 7)],
        "held_out": [str(RECIPE.parent / name) for name in recipe["held_out"]],
    } | changes
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "train.yaml"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return file


def checkpoint_of(folder: Path, file: Path) -> Path:
    """Train, or go on, unless it is done."""
    model = folder / "model"
    if (model / "config.json").is_file():
        return model
    return train(file, model, resume=(model / "training" / "last.ckpt").is_file())


def unseen(file: Path) -> list[tuple[DefectConfiguration, ...]]:
    """Configurations of the validation and test shares, host by host."""
    pool = load_labels(load_training_config(file))
    split = split_labels(pool, load_training_config(file).split)
    return [tuple(labels.configurations) for labels in pool.subset([*split.validation, *split.test]).sets]


def steps(outcomes: list[Relaxation]) -> str:
    """Force evaluations to the coarse threshold and to the engine's, summed, and how many did not converge."""
    histories = [outcome.max_force_history for outcome in outcomes]
    coarse = [
        next((step for step, force in enumerate(forces, 1) if force < COARSE), len(forces)) for forces in histories
    ]
    failed = sum(not outcome.converged for outcome in outcomes)
    return f"{sum(coarse)} to 0.05, {sum(map(len, histories))} to 0.01, {failed} failed"


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    files = {name: training_file(out / slug, labels, changes) for name, (slug, labels, changes) in CHOICES.items()}
    groups, engine = unseen(next(iter(files.values()))), ForceFieldEngine()
    print("unrelaxed:", steps([engine.relax(each) for group in groups for each in group]), flush=True)
    for name, file in files.items():
        prerelaxer = Prerelaxer(checkpoint_of(file.parent, file), guard=None)
        predictions = [prediction for group in groups for prediction in prerelaxer.predict(group)]
        print(f"{name}:", steps([engine.relax(each.configuration, each.positions) for each in predictions]), flush=True)


if __name__ == "__main__":
    main()
