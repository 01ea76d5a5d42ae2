"""Training, validation and test shares that no equivalent configuration crosses."""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.host import content_hash
from definet_flows.errors import InputError
from definet_flows.training.datasets.labels import SHARES, Share
from definet_flows.training.datasets.pool import LabelPool

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1


class SplitSettings(BaseModel):
    """How labels are divided; equivalent configurations and equal clusters always stay together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, description="Of the random order of clusters")
    validation: float = Field(default=0.1, gt=0, lt=1, description="Share of the labels")
    test: float = Field(default=0.1, ge=0, lt=1, description="Share of the labels")
    given: bool = Field(default=False, description="Take the split that the data set came with instead")
    file: str | None = Field(default=None, description="Take the split saved in this file instead")

    @model_validator(mode="after")
    def _leaves_training(self) -> SplitSettings:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together must leave something to train on")
        if self.given and self.file:
            raise ValueError("given and file are two different splits; name one of them")
        return self


@dataclass(frozen=True)
class Split:
    """Positions in a list of configurations.

    Parameters
    ----------
    training, validation, test
        Positions of each share.
    ids
        The configurations' ids in each share, in the order of `SHARES`.
    """

    training: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    ids: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, pool: LabelPool, shares: Mapping[Share, Sequence[int]]) -> Split:
        """A split of labels from the positions in each share; a share that is not named is empty."""
        configurations = pool.configurations
        training, validation, test = positions = [tuple(sorted(shares.get(share, ()))) for share in SHARES]
        ids = tuple(tuple(sorted(configurations[i].id for i in members)) for members in positions)
        return cls(training, validation, test, ids)

    @property
    def hash(self) -> str:
        """Of the ids in each share."""
        return content_hash(self._ids_of_shares)

    @property
    def _ids_of_shares(self) -> dict[str, tuple[str, ...]]:
        return {share: ids for share, ids in zip(SHARES, self.ids, strict=True)}  # noqa: C416

    def save(self, path: str | Path) -> Path:
        """Write the ids of each share and their hash as JSON."""
        content = {"schema_version": SCHEMA_VERSION, "hash": self.hash, **self._ids_of_shares}
        Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return Path(path)

    @classmethod
    def load(cls, path: str | Path, pool: LabelPool) -> Split:
        """Read a split written by `save` for some labels.

        Parameters
        ----------
        path
            The file.
        pool
            The labels that were divided, or some of them.

        Raises
        ------
        InputError
            If the file is missing, damaged, edited or of another schema, or does not say where a label belongs.
        """
        ids = _read_ids(Path(path))
        share_of = {identity: share for share, members in ids.items() for identity in members}
        shares: dict[Share, list[int]] = {share: [] for share in SHARES}
        for position, configuration in enumerate(pool.configurations):
            if configuration.id not in share_of:
                raise InputError(
                    f"{path} says nothing of {configuration}; use the labels it was made for, or split these anew."
                )
            shares[share_of[configuration.id]].append(position)
        return cls.of(pool, shares)


def split_labels(pool: LabelPool, settings: SplitSettings) -> Split:
    """Divide labels as the settings say.

    Dealt anew, all configurations that are equivalent or can be read as one cluster, at whatever size, fall into one share, and
    every crystal and density is divided in the same proportions. Single defects have only one cluster per kind, and are always
    trained on.

    Raises
    ------
    InputError
        If a share that was asked for comes out empty, or the labels have no split of their own and it was asked for.
    """
    if settings.file:
        return Split.load(settings.file, pool)
    shares = _given(pool) if settings.given else _dealt(pool, settings)
    required = ("training", "validation", *(("test",) if settings.test and not settings.given else ()))
    for share in required:
        if not shares[share]:
            raise InputError(f"The {share} share of {len(pool)} labels is empty; give more labels or change the split.")
    return Split.of(pool, shares)


def related(configurations: Sequence[DefectConfiguration]) -> list[list[int]]:
    """Positions of configurations that must not be parted: equal under symmetry, or readable as the same cluster.

    Returns
    -------
    list
        Groups in an order that does not depend on that of the configurations.
    """
    root = list(range(len(configurations)))

    def top(position: int) -> int:
        while root[position] != position:
            root[position] = root[root[position]]
            position = root[position]
        return position

    first_with: dict[str, int] = {}
    for position, configuration in enumerate(configurations):
        for key in keys_of(configuration):
            root[top(position)] = top(first_with.setdefault(key, position))
    groups: dict[int, list[int]] = defaultdict(list)
    for position in range(len(configurations)):
        groups[top(position)].append(position)
    return sorted(groups.values(), key=lambda members: min(configurations[i].placement_id for i in members))


def keys_of(configuration: DefectConfiguration) -> frozenset[str]:
    """What a configuration shares with those that it must not be parted from."""
    return configuration.possible_cluster_ids | {configuration.placement_id}


def _dealt(pool: LabelPool, settings: SplitSettings) -> dict[Share, list[int]]:
    configurations, strata = pool.configurations, pool.strata
    wanted: dict[Share, float] = {"validation": settings.validation, "test": settings.test}
    shares: dict[Share, list[int]] = {share: [] for share in SHARES}
    dealt: Counter[tuple[object, ...]] = Counter()
    groups = related(configurations)
    for index in np.random.default_rng(settings.seed).permutation(len(groups)):
        members = groups[index]
        stratum = min((strata[i] for i in members), key=str)
        dealt[stratum] += len(members)
        single = configurations[members[0]].n_defects == 1
        # Filled in step with what has been dealt, so that every share is a fair draw; a host of very few is trained on.
        short = [
            share
            for share, part in wanted.items()
            if dealt[stratum, share] + len(members) - 0.5 <= part * dealt[stratum]
        ]
        share: Share = short[0] if short and not single else "training"
        dealt[stratum, share] += len(members)
        shares[share] += members
    return shares


def _given(pool: LabelPool) -> dict[Share, list[int]]:
    given = pool.given_shares
    if given is None:
        raise InputError("Not all labels came with a split of their own; leave out `given` to have them divided.")
    shares: dict[Share, list[int]] = {share: [] for share in SHARES}
    for position, share in enumerate(given):
        shares[share].append(position)
    parted = sum(len({given[i] for i in members}) > 1 for members in related(pool.configurations))
    if parted:
        logger.warning(
            "The given split parts %d groups of equivalent configurations or equal clusters; its test errors flatter.",
            parted,
        )
    return shares


def _read_ids(file: Path) -> dict[Share, list[str]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version, stored = content["schema_version"], content["hash"]
        ids: dict[Share, list[str]] = {share: list(content[share]) for share in SHARES}
    except OSError as error:
        raise InputError(f"The split {file} cannot be read ({error.strerror}); check the path.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not a split ({type(error).__name__}); give a split.json of a training.") from error
    if version != SCHEMA_VERSION:
        raise InputError(f"{file} has split schema {version}, this version reads {SCHEMA_VERSION}; split anew.")
    if stored != content_hash(ids):
        raise InputError(f"{file} was changed after it was written (its hash does not fit); split anew.")
    return ids
