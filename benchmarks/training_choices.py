"""What tighter labels and the force term in the loss are worth, on a small part of the MoS2 labels.

Trains three times on the same configurations (166 labels of 4x4 and 5x5, 40 passes) and relaxes the validation and test shares
from each prediction. The held-out lists are not touched. Needs the output folder of benchmarks/label_mos2.py. Run with

    python benchmarks/training_choices.py LABEL_DIR OUT_DIR
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from definet_flows.definet import Prerelaxer
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.training import train
from definet_flows.training.config import load_training_config
from definet_flows.training.datasets.sources import load_labels
from definet_flows.training.datasets.split import split_labels

RECIPE = Path(__file__).parent.parent / "workflows" / "mos2" / "train.yaml"
CHOICES = {
    "labels to 0.002 eV/Å, with the force term": ("tight", 0.05),
    "labels to 0.002 eV/Å, without": ("tight", 0.0),
    "labels to 0.01 eV/Å, with the force term": ("loose", 0.05),
}
COARSE = 0.05


def training_file(labels: Path, out: Path, tightness: str, force_weight: float) -> Path:
    """Write the training file of one choice."""
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    recipe |= {
        "labels": [str(labels.resolve() / f"mos2-{n}x{n}-{tightness}.safetensors") for n in (4, 5)],
        "held_out": [str(RECIPE.parent / name) for name in recipe["held_out"]],
        "split": {"seed": 0, "validation": 0.1, "test": 0.1},
        "max_labels": 166,
        "max_epochs": 40,
        "ema_decay": 0.99,
        "force_weight": force_weight,
    }
    out.mkdir(parents=True, exist_ok=True)
    file = out / "train.yaml"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return file


def steps(outcome: Relaxation) -> tuple[int, int]:
    """Force evaluations to the coarse threshold and to the engine's."""
    coarse = next(
        (step for step, force in enumerate(outcome.max_force_history, 1) if force < COARSE), outcome.ionic_steps
    )
    return coarse, outcome.ionic_steps


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    engine, baseline = ForceFieldEngine(), {}
    for index, (name, (tightness, force_weight)) in enumerate(CHOICES.items()):
        folder = arguments.out / f"choice-{index}"
        file = training_file(arguments.labels, folder, tightness, force_weight)
        checkpoint = train(file, folder / "model", resume=(folder / "model" / "training" / "last.ckpt").is_file())
        pool = load_labels(load_training_config(file))
        split = split_labels(pool, load_training_config(file).split)
        sums, failed = [0, 0, 0, 0], 0
        for labels in pool.subset([*split.validation, *split.test]).sets:
            for prediction in Prerelaxer(checkpoint, guard=None).predict(labels.configurations):
                configuration = prediction.configuration
                if configuration.placement_id not in baseline:
                    baseline[configuration.placement_id] = engine.relax(configuration)
                outcomes = (baseline[configuration.placement_id], engine.relax(configuration, prediction.positions))
                failed += sum(not outcome.converged for outcome in outcomes)
                sums = [a + b for a, b in zip(sums, (*steps(outcomes[0]), *steps(outcomes[1])), strict=True)]
        print(
            f"{name}: to 0.05 {sums[0]} → {sums[2]}, to 0.01 {sums[1]} → {sums[3]} evaluations, {failed} failed",
            flush=True,
        )


if __name__ == "__main__":
    main()
