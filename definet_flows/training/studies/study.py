"""What a study hands back: plain tables, and sentences that say how they were made."""

from __future__ import annotations

from dataclasses import dataclass

from definet_flows.errors import InputError
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.datasets.sources import load_labels
from definet_flows.training.datasets.split import Split, split_labels
from definet_flows.training.evaluation import Row


@dataclass(frozen=True)
class Study:
    """Result of a study.

    Parameters
    ----------
    title
        Heading of its page.
    tables
        Heading and rows of each table, the main one first.
    notes
        Sentences: labels, budget, what figures mean.
    """

    title: str
    tables: dict[str, list[Row]]
    notes: tuple[str, ...]


def labels_of(config: TrainingConfig) -> tuple[LabelPool, Split]:
    """The labels of a training file and their split, with a test share.

    Raises
    ------
    InputError
        If there is nothing to test on, or training would start from a checkpoint, which has seen other labels.
    """
    if config.start_from:
        raise InputError("A study trains every network from scratch; remove start_from from the training file.")
    pool = load_labels(config)
    split = split_labels(pool, config.split)
    if not split.test:
        raise InputError("The study needs a test share; set split.test in the training file above 0.")
    return pool, split
