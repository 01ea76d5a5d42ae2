"""Labels of several host supercells, as one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.distances import SAME_STRUCTURE
from definet_flows.defects.equivalence import canonical_images
from definet_flows.defects.host import content_hash
from definet_flows.training.datasets.bad_samples import BadSamples
from definet_flows.training.datasets.labels import Density, LabelError, LabelSet, Share


@dataclass(frozen=True)
class LabelPool:
    """Labels of several host supercells, in a fixed order.

    Parameters
    ----------
    sets
        One per host supercell and density.
    """

    sets: tuple[LabelSet, ...]

    def __len__(self) -> int:
        return sum(len(labels) for labels in self.sets)

    @property
    def configurations(self) -> list[DefectConfiguration]:
        """All configurations, set after set."""
        return [configuration for labels in self.sets for configuration in labels.configurations]

    @property
    def strata(self) -> list[tuple[str, Density | None]]:
        """Crystal and density of each configuration."""
        return [(labels.host.family, labels.density) for labels in self.sets for _ in range(len(labels))]

    @property
    def given_shares(self) -> list[Share] | None:
        """Share of each configuration in the split that its data set came with; None unless every set came with one."""
        shares = [labels.given_shares for labels in self.sets]
        return None if None in shares else [share for given in shares for share in given or ()]

    @property
    def content_hash(self) -> str:
        """Of all sets."""
        return content_hash([labels.content_hash for labels in self.sets])

    @property
    def teachers(self) -> list[dict[str, Any]]:
        """Engine settings behind the labels, each once."""
        return list({content_hash(labels.teacher): labels.teacher for labels in self.sets}.values())

    def subset(self, positions: Sequence[int]) -> LabelPool:
        """Some of the labels, by position in `configurations`; sets left empty are dropped."""
        wanted = np.asarray(positions, dtype=np.int64)
        chosen, first = [], 0
        for labels in self.sets:
            mine = wanted[(first <= wanted) & (wanted < first + len(labels))] - first
            first += len(labels)
            if len(mine):
                chosen.append(labels.subset(mine.tolist()))
        return LabelPool(tuple(chosen))


def without_repeats(pool: LabelPool, bad: BadSamples) -> LabelPool:
    """The pool with each configuration once, the first label where several agree.

    Parameters
    ----------
    pool
        Labels, perhaps of overlapping sources.
    bad
        Notes configurations whose labels differ by more than `SAME_STRUCTURE`.
    """
    first: dict[str, npt.NDArray[np.float32]] = {}
    kept = []
    labelled = (
        (c, label) for labels in pool.sets for c, label in zip(labels.configurations, labels.displacements, strict=True)
    )
    for position, (configuration, label) in enumerate(labelled):
        known = first.setdefault(configuration.id, label)
        if known is label:
            kept.append(position)
        elif not same_structure(configuration, known, label):
            bad.add(LabelError(f"{configuration} is labelled twice, with different relaxed structures; keep one."))
    return pool if len(kept) == len(pool) else pool.subset(kept)


def same_structure(configuration: DefectConfiguration, first: npt.ArrayLike, second: npt.ArrayLike) -> bool:
    """Whether two labels [n_sites, 3] Å of a configuration are one relaxed structure, perhaps seen from two sides."""
    sides = canonical_images(configuration, np.asarray(first, dtype=float))[1]
    distances = np.linalg.norm(sides - np.asarray(second), axis=-1)  # [n_images, n_sites]
    return bool(distances.max(axis=1).min() < SAME_STRUCTURE)
