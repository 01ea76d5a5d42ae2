"""Measured guesses, kept one a line so that an interrupted comparison loses at most the one in flight."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.host import FloatArray, content_hash
from definet_flows.training.datasets.labels import centred_displacements
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.metrics import CoordinateErrors
from definet_flows.training.studies.methods import Method

logger = logging.getLogger(__name__)

LOG_FILE = "trials.jsonl"


class Trial(BaseModel):
    """One method on one structure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(description="Identity of the method")
    structure: str = Field(description="Hash of the configuration and its label")
    seconds: float = Field(description="Wall time on one thread")
    error: str | None = Field(description="Why there is no result or it is not finished")
    evaluations: int | None = Field(description="Force evaluations")
    sums: list[list[float]] = Field(description="`CoordinateErrors.sums`")


def measure(methods: Sequence[Method], pool: LabelPool, folder: Path) -> dict[str, list[Trial]]:
    """Give every structure to every method in turn; what the folder holds already is not measured again.

    Parameters
    ----------
    methods
        In the order of the first round; every structure starts with the next of them, so that none has a favoured place.
    pool
        Structures and their labels.
    folder
        Holds the log.

    Returns
    -------
    dict
        Identity of each method to its trials, one for each structure.
    """
    log = folder / LOG_FILE
    known = {(trial.method, trial.structure): trial for trial in _read(log)}
    found: dict[str, list[Trial]] = {method.identity: [] for method in methods}
    prepared: set[tuple[str, str]] = set()
    with one_thread(), log.open("a", encoding="utf-8") as lines:
        for method, configuration, relaxed in _in_turn(methods, pool):
            structure = content_hash([configuration.id, np.round(relaxed, 4).tolist()])
            trial = known.get((method.identity, structure))
            if trial is None:
                host = (method.identity, configuration.host.fingerprint)
                if host not in prepared:
                    method.prepare(configuration)
                    prepared.add(host)
                trial = _try(method, configuration, relaxed, structure)
                lines.write(trial.model_dump_json() + "\n")
                lines.flush()
            found[method.identity].append(trial)
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, so that times are core-times."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _in_turn(methods: Sequence[Method], pool: LabelPool) -> Iterator[tuple[Method, DefectConfiguration, FloatArray]]:
    """Every method on every structure, structure after structure."""
    number = 0
    for labels in pool.sets:
        for configuration, label in zip(labels.configurations, labels.displacements, strict=True):
            turn = number % len(methods)
            number += 1
            for method in (*methods[turn:], *methods[:turn]):
                yield method, configuration, label.astype(np.float64)


def _try(method: Method, configuration: DefectConfiguration, relaxed: FloatArray, structure: str) -> Trial:
    began = time.perf_counter()
    guess = method.guess(configuration)
    seconds = time.perf_counter() - began
    guessed = np.zeros_like(relaxed)
    if guess.positions is not None:
        guessed = centred_displacements(configuration, guess.positions)
    errors = CoordinateErrors()
    errors.add(configuration, guessed, relaxed)
    return Trial(
        method=method.identity,
        structure=structure,
        seconds=seconds,
        error=guess.error,
        evaluations=guess.evaluations,
        sums=errors.sums,
    )


def _read(log: Path) -> Iterator[Trial]:
    """Trials of earlier runs; a line cut short by a kill is left out, and measured again."""
    if not log.is_file():
        return
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            yield Trial.model_validate_json(line)
        except ValidationError:
            logger.warning("one line of %s is cut short and measured again", log)
