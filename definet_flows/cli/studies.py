"""``study``: data efficiency, ablation, transfer and rivals, each one command that goes on where it stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.evaluation import Datasets, SkipBad, show_rows
from definet_flows.cli.output import AsJson, show_json, writable_folder
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.training.config import TrainingConfig
    from definet_flows.training.studies.study import Study

study = typer.Typer(no_args_is_help=True, help="Measure what data, parts of the network and rivals are worth.")


class Budget(StrEnum):
    """What trainings on different numbers of labels have in common."""

    STEPS = "steps"
    PASSES = "passes"


class Grouping(StrEnum):
    """How labels are divided for transfer."""

    DENSITY = "density"
    DISTANCE = "distance"


TrainingFile = Annotated[Path, typer.Argument(metavar="TRAIN.yaml", help="The training file.")]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the trainings and the tables.")]
MaxEpochs = Annotated[int | None, typer.Option(min=1, help="Epochs at most, in place of the training file's.")]
BudgetOption = Annotated[
    Budget, typer.Option(help="Same optimiser steps for every number of labels, or same passes over the labels.")
]
Networks = Annotated[
    list[str] | None,
    typer.Option("--rival", metavar="NAME=MODEL", help="Another checkpoint: defect-implicit=DIR; may be given again."),
]
Potentials = Annotated[
    list[str] | None,
    typer.Option("--potential", help="ML potential or import path; may be given again. [CHGNet 7net-0 M3GNet]"),
]
Thresholds = Annotated[
    list[float] | None,
    typer.Option("--fmax", help="eV/Å where relaxations end; may be given again. [0.01 0.05]"),
]
Count = Annotated[int | None, typer.Option(min=1, help="Structures to draw; by default all.")]
IncludeSeen = Annotated[
    bool, typer.Option("--include-seen", help="Also compare on defect clusters that a checkpoint was trained on.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for name, command, example in (
        ("data-efficiency", data_efficiency, "train.yaml -o efficiency --fraction 0.1 --fraction 0.3 --fraction 1"),
        ("ablation", ablation, "train.yaml -o ablation --seed 0 --seed 1 --max-epochs 40"),
        ("transfer", transfer, "train.yaml -o transfer --by distance"),
        ("rivals", rivals, "definet-mos2-chgnet labels.safetensors -o rivals --potential CHGNet --count 20"),
    ):
        study.command(name, epilog=f"Example: definet-flows study {name} {example}")(command)
    app.add_typer(study, name="study", epilog="Example: definet-flows study ablation train.yaml -o ablation")


def data_efficiency(
    config: TrainingFile,
    output: Output,
    fractions: Annotated[
        list[float] | None,
        typer.Option("--fraction", help="Of the training labels; may be given again. [0.1 0.2 ... 1]"),
    ] = None,
    budget: BudgetOption = Budget.STEPS,
    max_epochs: MaxEpochs = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Test error against the number of labels trained on."""
    from definet_flows.training.studies import efficiency

    settings = _config(config, max_epochs, skip_bad)
    shares = fractions or efficiency.FRACTIONS
    _run(
        "data-efficiency",
        output,
        as_json,
        lambda folder: efficiency.data_efficiency(settings, folder, shares, budget.value),
    )


def ablation(
    config: TrainingFile,
    output: Output,
    seeds: Annotated[list[int] | None, typer.Option("--seed", min=0, help="May be given again. [0]")] = None,
    max_epochs: MaxEpochs = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """The paper's three arms, the network without each auxiliary, and the defect-implicit network."""
    from definet_flows.training.studies import ablation as ablation_study

    settings = _config(config, max_epochs, skip_bad)
    _run("ablation", output, as_json, lambda folder: ablation_study.ablation(settings, folder, seeds or [0]))


def transfer(
    config: TrainingFile,
    output: Output,
    by: Annotated[list[Grouping] | None, typer.Option(help="May be given again. [density distance]")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Å, largest of the short defect–defect distances; by default the median.")
    ] = None,
    budget: BudgetOption = Budget.STEPS,
    max_epochs: MaxEpochs = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Train on low density or short distances and test on high or long ones, and the reverse."""
    from definet_flows.training.studies import transfer as transfer_study

    settings = _config(config, max_epochs, skip_bad)
    kinds = [grouping.value for grouping in by] if by else transfer_study.KINDS
    _run(
        "transfer",
        output,
        as_json,
        lambda folder: transfer_study.transfer(settings, folder, kinds, threshold, budget.value),
    )


def rivals(
    checkpoint: Annotated[str, typer.Argument(metavar="MODEL", help="A checkpoint's name or folder.")],
    datasets: Datasets,
    output: Output,
    networks: Networks = None,
    potentials: Potentials = None,
    thresholds: Thresholds = None,
    count: Count = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    include_seen: IncludeSeen = False,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Errors and times of the checkpoint, other networks and ML potentials on the same structures in the same run."""
    from definet_flows.training.studies import rivals as rival_study

    _run(
        "rivals",
        output,
        as_json,
        lambda folder: rival_study.rivals(
            checkpoint,
            datasets,
            folder,
            networks=dict(_named(rival) for rival in networks or []),
            potentials=potentials or rival_study.POTENTIALS,
            thresholds=thresholds or rival_study.THRESHOLDS,
            count=count,
            seed=seed,
            include_seen=include_seen,
            skip_bad=skip_bad,
        ),
    )


def _named(rival: str) -> tuple[str, str]:
    name, equals, model = rival.partition("=")
    if not (name and equals and model):
        raise InputError(f"--rival {rival} is not NAME=MODEL; write for example --rival defect-implicit=DIR.")
    return name, model


def _config(path: Path, max_epochs: int | None, skip_bad: bool) -> TrainingConfig:
    from definet_flows.training.config import load_training_config

    config = load_training_config(path)
    overrides = {"max_epochs": max_epochs or config.max_epochs, "skip_bad": skip_bad or config.skip_bad}
    return config.model_copy(update=overrides)


def _run(name: str, output: Path, as_json: bool, measure: Callable[[Path], Study]) -> None:
    """Measure, write tables and figures, and print the tables."""
    folder = writable_folder(output)
    logging.getLogger("definet_flows.training.studies").setLevel(logging.INFO)  # an hour without a word is too long
    result = measure(folder)
    written = _write(name, folder, result)
    if as_json:
        show_json({"title": result.title, "notes": result.notes, "tables": result.tables})
        return
    for heading, rows in result.tables.items():
        show_rows(rows, f"{result.title}, {heading}")
    for sentence in (*result.notes, f"Written: {written}"):
        typer.echo(sentence)


def _write(name: str, folder: Path, result: Study) -> Path:
    from definet_flows.analysis.figures.studies import PLOTS
    from definet_flows.analysis.tabular import write_tables

    drawn: Sequence[str] = list(result.tables) if name == "transfer" else list(result.tables)[:1]
    stems = {heading: f"{name}-{heading.replace(' ', '-')}" if len(drawn) > 1 else name for heading in drawn}
    figures = [PLOTS[name](result.tables[heading], folder / f"{stem}.png") for heading, stem in stems.items()]
    return write_tables(folder, name, result.title, result.tables, result.notes, figures)[0]
