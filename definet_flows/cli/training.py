"""``train``: from labels to a checkpoint."""

from __future__ import annotations

import logging
from contextlib import suppress
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from definet_flows.cli.output import show_table
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.training.config import TrainingConfig

logger = logging.getLogger(__name__)

CURVE_FILE = "learning_curve.png"


class Precision(StrEnum):
    """Arithmetic of a training."""

    FULL = "32"
    BFLOAT16 = "bf16-mixed"
    HALF = "16-mixed"
    DOUBLE = "64"


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("train", epilog="Example: definet-flows train train.yaml -o models/mine --resume")(train)


def train(
    config: Annotated[Path, typer.Argument(metavar="TRAIN.yaml", help="The training file.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the checkpoint to make.")],
    from_store: Annotated[
        list[str] | None,
        typer.Option(
            "--from-store", metavar="DIR|URI", help="A campaign whose relaxations are labels too; may be repeated."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted training stopped.")] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    devices: Annotated[int | None, typer.Option(min=1, help="GPUs, or processes on a CPU.")] = None,
    precision: Annotated[Precision | None, typer.Option(help="Bits of the arithmetic.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.")] = None,
    max_epochs: Annotated[int | None, typer.Option(min=1, help="Epochs at most.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="List and leave out labels that cannot be read.")
    ] = False,
) -> None:
    """Train a checkpoint on labels from an engine.

    Options here win over the training file. The log, the learning curve and the state lie in DIR/training, also while it runs.
    """
    from definet_flows.definet import load_checkpoint
    from definet_flows.training.config import load_training_config
    from definet_flows.training.fitting import train_config

    changes: dict[str, Any] = {"device": device, "devices": devices, "threads": threads, "max_epochs": max_epochs}
    changes |= {"precision": precision.value if precision else None, "skip_bad": skip_bad or None}
    settings = _with(load_training_config(config), changes, from_store or [])
    draw = draw_learning_curve if _can_draw() else None
    try:
        folder = train_config(settings, output, resume, draw)
    finally:
        # Also of a training that ended before its time, whose own failure is the one to tell.
        with suppress(InputError, OSError):
            if draw:
                draw(output / "training")
    show_table(("held-out metric", "value"), list(load_checkpoint(folder).card.metrics.items()))
    typer.echo(f"Checkpoint: {folder}")


def draw_learning_curve(folder: Path) -> None:
    """Draw the learning curve beside the log of a training."""
    from definet_flows.analysis.figures.learning_curve import plot_learning_curve
    from definet_flows.training.epochs import read_epochs

    plot_learning_curve(read_epochs(folder), folder / CURVE_FILE, title=folder.parent.name)


def _with(config: TrainingConfig, changes: dict[str, Any], stores: list[str]) -> TrainingConfig:
    given = {name: value for name, value in changes.items() if value is not None}
    if stores:
        given["labels"] = (*config.labels, *stores)
    return config.model_copy(update=given)


def _can_draw() -> bool:
    if find_spec("matplotlib"):
        return True
    logger.warning("No learning curve is drawn: that needs matplotlib, pip install 'definet-flows[report]'.")
    return False
