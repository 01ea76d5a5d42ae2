"""Labels from wherever a training file says: label sets, campaigns, the 2DMD data set, files of relaxations."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from definet_flows.defects import DefectConfiguration, Host, read_configurations
from definet_flows.defects.host import content_hash
from definet_flows.errors import InputError
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.bad_samples import BadSamples
from definet_flows.training.datasets.campaign import is_store, read_campaign
from definet_flows.training.datasets.labels import SUFFIX, LabelError, LabelSet
from definet_flows.training.datasets.pool import LabelPool, without_repeats
from definet_flows.training.datasets.relaxations import read_relaxations
from definet_flows.training.datasets.split import keys_of
from definet_flows.training.datasets.twodmd import Track, find_host_folders, read_twodmd

__all__ = ["LabelPool", "configurations_of_any", "load_labels", "read_source"]

logger = logging.getLogger(__name__)

_WAYS_TO_A_MINIMUM = {"optimizer", "initial_hessian", "max_steps"}
"""Settings of a teacher that decide how soon a structure is relaxed, not what it is then."""


def load_labels(config: TrainingConfig) -> LabelPool:
    """Read every source of a training file and leave out what is held out.

    A label is held out if any cluster it can be read as, or its placement, is one of a held-out configuration.

    Raises
    ------
    LabelError
        If nothing is left, those of one crystal come from different teachers, or two of them contradict each other.
    InputError
        If a source or a held-out list cannot be read.
    """
    sets = read_sources(config.labels, config.skip_bad)
    if config.force_weight > 0 and any(labels.force_constants is None for labels in sets):
        raise LabelError("force_weight needs labels with force constants, which these have not; set it to 0.")
    bad = BadSamples(config.skip_bad)
    pool = without_repeats(LabelPool(tuple(sets)), bad)
    bad.report()
    held_out = _held_out(config.held_out, [labels.host for labels in sets])
    kept = (
        [i for i, c in enumerate(pool.configurations) if held_out.isdisjoint(keys_of(c))]
        if held_out
        else range(len(pool))
    )
    if dropped := len(pool) - len(kept):
        logger.info("%d labels left out because their clusters are held out", dropped)
    if config.max_labels is not None:
        order = np.random.default_rng(config.seed).permutation(len(kept))
        # A smaller share is part of every larger one, so that a learning curve grows one set.
        kept = sorted(kept[i] for i in order[: config.max_labels])
    if not kept:
        raise LabelError("Every label belongs to a held-out cluster; there is nothing to train on.")
    return pool.subset(kept)


def read_sources(sources: Iterable[str | Path], skip_bad: bool = False) -> list[LabelSet]:
    """Read the labels of several sources that are to be taken together, each as `read_source` does.

    Raises
    ------
    LabelError
        If those of one crystal come from different teachers.
    """
    sets = [labels for source in sources for labels in read_source(source, skip_bad)]
    teachers: dict[str, set[str]] = {}
    for labels in sets:
        settings = {key: value for key, value in labels.teacher.items() if key not in _WAYS_TO_A_MINIMUM}
        teachers.setdefault(labels.host.crystal, set()).add(content_hash(settings))
    for crystal, found in teachers.items():
        if len(found) > 1:
            raise LabelError(
                f"The labels of {crystal} come from {len(found)} different engine settings; take those of one teacher at a time."
            )
    return sets


def read_source(
    source: str | Path,
    skip_bad: bool = False,
    host: Host | None = None,
    teacher: str | None = None,
    track: Track | None = None,
) -> list[LabelSet]:
    """Read labels from whatever holds them.

    Parameters
    ----------
    source
        A label-set file or a folder of them, a results store (a campaign's directory, a database's address or a store file), the
        2DMD data set or a part of it, or a file of relaxations.
    skip_bad
        List and leave out samples that cannot be used, instead of stopping at the first.
    host
        Pristine supercell of a file of relaxations, which does not name its own.
    teacher
        Name of what relaxed the structures of a file of relaxations.
    track
        Follows the progress in a large data set.

    Raises
    ------
    LabelError
        If there is no such source, a sample cannot be used, or none is left.
    InputError
        If a directory holds nothing that is known.
    """
    if is_store(source):
        return read_campaign(source)
    path, bad = Path(source), BadSamples(skip_bad)
    try:
        return _read_folder(path, bad, track) if path.is_dir() else _read_file(path, host, teacher, bad)
    finally:
        bad.report()


def _read_folder(folder: Path, bad: BadSamples, track: Track | None) -> list[LabelSet]:
    if host_folders := find_host_folders(folder):
        return read_twodmd(host_folders, bad, track)
    if files := sorted(folder.glob(f"*{SUFFIX}")):
        return [LabelSet.load(file) for file in files]
    return read_campaign(folder)


def _read_file(file: Path, host: Host | None, teacher: str | None, bad: BadSamples) -> list[LabelSet]:
    if file.suffix == SUFFIX or not file.is_file():
        return [LabelSet.load(file)]
    return read_relaxations(file, host, teacher, bad)


def _held_out(files: Sequence[str], hosts: Sequence[Host]) -> set[str]:
    """Every cluster that a held-out configuration can be read as, and its placement."""
    crystals = list({host.family: host for host in hosts}.values())
    return {
        key
        for file in files
        for configuration in configurations_of_any(file, crystals)
        for key in keys_of(configuration)
    }


def configurations_of_any(file: str, crystals: Sequence[Host]) -> list[DefectConfiguration]:
    """Configurations of a list, which was written for one of these crystals.

    Raises
    ------
    InputError
        If it was written for none of them, or cannot be read.
    """
    refusals = []
    for host in crystals:
        try:
            return read_configurations(file, host)
        except InputError as error:
            refusals.append(error)
    raise refusals[0]
