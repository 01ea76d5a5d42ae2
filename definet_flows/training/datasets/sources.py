"""Labels from wherever a training file says: label-set files and campaign directories."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from definet_flows.defects import DefectConfiguration, Host, read_configurations
from definet_flows.defects.host import content_hash
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.labels import LabelError, LabelSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelPool:
    """Labels of several host supercells, in a fixed order.

    Parameters
    ----------
    sets
        One per host supercell.
    """

    sets: tuple[LabelSet, ...]

    @property
    def configurations(self) -> list[DefectConfiguration]:
        """All configurations, set after set."""
        return [configuration for labels in self.sets for configuration in labels.configurations]

    @property
    def content_hash(self) -> str:
        """Of all sets."""
        return content_hash([labels.content_hash for labels in self.sets])

    @property
    def teacher(self) -> dict[str, Any]:
        """Engine settings behind the labels."""
        return self.sets[0].teacher

    def subset(self, positions: Sequence[int]) -> LabelPool:
        """Some of the labels, by position in `configurations`; sets left empty are dropped."""
        chosen, first = [], 0
        for labels in self.sets:
            mine = [p - first for p in positions if first <= p < first + len(labels)]
            first += len(labels)
            if mine:
                chosen.append(labels.subset(mine))
        return LabelPool(tuple(chosen))


def load_labels(config: TrainingConfig) -> LabelPool:
    """Read every source of a training file and leave out what is held out.

    Raises
    ------
    LabelError
        If nothing is left, or the labels come from different teachers.
    """
    sets = [labels for source in config.labels for labels in read_source(Path(source))]
    teachers = {content_hash(labels.teacher) for labels in sets}
    if len(teachers) > 1:
        raise LabelError(
            f"The labels come from {len(teachers)} different engine settings; train on one teacher at a time."
        )
    if config.force_weight and any(labels.force_constants is None for labels in sets):
        raise LabelError("force_weight needs labels with force constants, which these have not; set it to 0.")
    pool = LabelPool(tuple(sets))
    held_out = _held_out(config.held_out, sets[0].host)
    kept = [i for i, c in enumerate(pool.configurations) if held_out.isdisjoint({c.cluster_id, c.placement_id})]
    dropped = len(pool.configurations) - len(kept)
    if dropped:
        logger.info("%d labels left out because their clusters are held out", dropped)
    if config.max_labels is not None:
        order = np.random.default_rng(config.seed).permutation(len(kept))
        # A smaller share is part of every larger one, so that a learning curve grows one set.
        kept = sorted(kept[i] for i in order[: config.max_labels])
    if not kept:
        raise LabelError("Every label belongs to a held-out cluster; there is nothing to train on.")
    return pool.subset(kept)


def read_source(source: Path) -> list[LabelSet]:
    """Read a label-set file, or the converged relaxations of a campaign directory."""
    if source.is_dir():
        return _from_campaign(source)
    return [LabelSet.load(source)]


def _from_campaign(directory: Path) -> list[LabelSet]:
    """Converged relaxations of a campaign directory, each configuration once; the unrelaxed start wins where both ended."""
    from definet_flows.records import open_store

    found: dict[tuple[str, str], dict[str, tuple[DefectConfiguration, Any]]] = {}
    physics: dict[str, dict[str, Any]] = {}
    with open_store(directory, read_only=True) as store:
        records = store.relaxations({"state": "converged", "kind": "defect"}, positions=True)
        for record in sorted(records, key=lambda record: record.start):
            physics[record.engine.physics_hash] = record.engine.physics
            of_host = found.setdefault((record.host.fingerprint, record.engine.physics_hash), {})
            of_host[record.configuration_id] = (store.configuration(record), record.positions)
    if not found:
        raise LabelError(f"{directory} holds no converged relaxation to learn from; run the campaign first.")
    return [LabelSet.of(of_host.values(), physics[teacher]) for (_, teacher), of_host in sorted(found.items())]


def _held_out(files: Sequence[str], host: Host) -> set[str]:
    """Cluster ids, and placement ids for configurations whose cluster is undefined."""
    configurations = [configuration for file in files for configuration in read_configurations(file, host)]
    return {configuration.cluster_id or configuration.placement_id for configuration in configurations}
