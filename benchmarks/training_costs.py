"""What trainings have cost: epochs and core-hours of checkpoints, by the clock of their TensorBoard records.

The core-hours are the median epoch's, times the epochs: a training that was paused, or shared its cores for a while, is not
charged with it. benchmarks/records/trainings.csv keeps what came out for the checkpoints of this repository, with their names in
place of the folders'. Run with

    python benchmarks/training_costs.py CHECKPOINT_DIR … [--threads 1]
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from statistics import median

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def epoch_ends(part: Path) -> list[float]:
    """Times, in seconds, at which one part of a training began and each of its epochs was validated."""
    events = EventAccumulator(str(part))
    events.Reload()
    first = min(events.Scalars(tag)[0].wall_time for tag in events.Tags()["scalars"])
    return [first, *(one.wall_time for one in events.Scalars("validation_loss"))]


def row(checkpoint: Path, threads: int) -> str:
    """One line of comma-separated values: name, epochs, core-hours."""
    parts = [epoch_ends(part) for part in sorted((checkpoint / "training" / "tensorboard").glob("events.*"))]
    epochs = [later - earlier for part in parts for earlier, later in pairwise(part)]
    return f"training {checkpoint.name},{len(epochs)},{len(epochs) * median(epochs) * threads / 3600:.3f}"


def main() -> None:
    """Print a row for each checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="+", help="folders that train wrote, each with its training/")
    parser.add_argument("--threads", type=int, default=1, help="cores of each training")
    arguments = parser.parse_args()
    print("what,epochs,core_hours")
    for checkpoint in arguments.checkpoints:
        print(row(checkpoint, arguments.threads))


if __name__ == "__main__":
    main()
