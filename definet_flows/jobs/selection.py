"""Seeded draws of configurations that do not depend on the order they come in."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from definet_flows.defects import DefectConfiguration
from definet_flows.errors import InputError


class Selection(BaseModel):
    """A seeded subset of the configurations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(ge=1, description="Number of configurations to keep")
    seed: int = Field(default=0, description="Seed of the draw; a larger count of the same seed keeps the same ones")
    stratify: Literal["label"] | None = Field(
        default="label", description="Spread the draw evenly over the labels, or draw from all alike (null)"
    )
    defined_clusters: bool = Field(
        default=False,
        description="Only configurations whose defect cluster is defined at this size: no two shortest images are equally near",
    )
    min_new_clusters: int = Field(
        default=0, ge=0, description="At least so many whose defect cluster the checkpoint was not trained on"
    )


def draw_rank(seed: int, identity: str) -> str:
    """A pseudo-random text for an identity: sorting by it is a shuffle that a seed repeats on any machine."""
    return hashlib.sha256(f"{seed}:{identity}".encode()).hexdigest()


def select(
    configurations: Sequence[DefectConfiguration],
    selection: Selection,
    is_new: Callable[[DefectConfiguration], bool],
) -> list[DefectConfiguration]:
    """Draw a subset.

    Parameters
    ----------
    configurations
        All candidates.
    selection
        What to draw.
    is_new
        Whether a checkpoint has not seen a configuration's cluster.

    Returns
    -------
    list of DefectConfiguration
        In the order they came in.

    Raises
    ------
    InputError
        If there are too few candidates, or too few new clusters among them.
    """
    fresh = [candidate for candidate in configurations if selection.min_new_clusters and is_new(candidate)]
    _check_supply(selection, len(configurations), len(fresh))
    draw = _Draw(selection)
    draw.take(fresh, selection.min_new_clusters)
    draw.take(configurations, selection.count)
    return [candidate for candidate in configurations if candidate.id in draw.taken]


def draw_fraction(identities: Iterable[str], fraction: float, seed: int) -> list[str]:
    """A seeded share of some ids, rounded up.

    Parameters
    ----------
    identities
        Configuration ids.
    fraction
        0 to 1.
    seed
        Of the draw.

    Returns
    -------
    list of str
        In the order they came in.
    """
    listed = list(identities)
    # Rounding up must not turn 0.1 x 30 = 3.0000000000000004 into 4.
    count = math.ceil(round(fraction * len(listed), 9))
    drawn = set(sorted(listed, key=lambda identity: draw_rank(seed, identity))[:count])
    return [identity for identity in listed if identity in drawn]


class _Draw:
    """Takes candidates one by one, always from the stratum that has given the fewest."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.taken: set[str] = set()
        self._given: dict[str, int] = {}

    def take(self, candidates: Sequence[DefectConfiguration], total: int) -> None:
        """Take candidates until `total` are taken."""
        queues = self._queues(candidates)
        while len(self.taken) < total and queues:
            stratum = min(queues, key=lambda name: (self._given.get(name, 0), draw_rank(self._selection.seed, name)))
            self.taken.add(queues[stratum].pop())
            self._given[stratum] = self._given.get(stratum, 0) + 1
            if not queues[stratum]:
                del queues[stratum]

    def _queues(self, candidates: Sequence[DefectConfiguration]) -> dict[str, list[str]]:
        queues: dict[str, list[str]] = {}
        for candidate in candidates:
            if candidate.id not in self.taken:
                stratum = candidate.label if self._selection.stratify == "label" else ""
                queues.setdefault(stratum, []).append(candidate.id)
        for queue in queues.values():
            queue.sort(key=lambda identity: draw_rank(self._selection.seed, identity), reverse=True)
        return queues


def _check_supply(selection: Selection, n_candidates: int, n_new: int) -> None:
    if selection.min_new_clusters > selection.count:
        raise InputError(
            f"select.min_new_clusters ({selection.min_new_clusters}) is more than select.count ({selection.count}); "
            "lower it or draw more configurations."
        )
    if selection.count > n_candidates:
        raise InputError(
            f"select.count asks for {selection.count} configurations but the campaign has {n_candidates}; "
            "lower it or name more recipes."
        )
    if selection.min_new_clusters > n_new:
        raise InputError(
            f"select.min_new_clusters asks for {selection.min_new_clusters} configurations with clusters new to the "
            f"checkpoint but the campaign has {n_new}; lower it or name more recipes."
        )
