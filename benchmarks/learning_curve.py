"""Residual steps on the held-out MoS2 configurations against the number of labels.

Trains workflows/mos2/train.yaml with fewer of its labels (each smaller set is part of the larger ones) and measures every
checkpoint as benchmarks/held_out.py does. Goes on where it stopped. Run with

    python benchmarks/learning_curve.py OUT_DIR [--labels 60 180] [--workers 2]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import held_out
import yaml

from definet_flows.training import train

RECIPE = held_out.WORKFLOWS / "mos2" / "train.yaml"


def trained(folder: Path, n_labels: int) -> Path:
    """The checkpoint of so many labels, made if absent."""
    checkpoint = folder / "model"
    if (checkpoint / "config.json").is_file():
        return checkpoint
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    paths = {key: [str(RECIPE.parent / name) for name in recipe[key]] for key in ("labels", "held_out")}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "train.yaml"
    file.write_text(yaml.safe_dump({**recipe, **paths, "max_labels": n_labels}), encoding="utf-8")
    return train(file, checkpoint, resume=(checkpoint / "training" / "last.ckpt").is_file())


def main() -> None:
    """Train and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", type=int, nargs="+", default=[60, 180])
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    for n_labels in arguments.labels:
        checkpoint = trained(arguments.out / f"{n_labels}-labels", n_labels)
        savings = held_out.measure(arguments.out / "held-out", arguments.workers, str(checkpoint))
        held_out.show(savings, f"{n_labels} labels")
    held_out.show(held_out.measure(arguments.out / "held-out", arguments.workers, None), "shipped checkpoint")


if __name__ == "__main__":
    main()
