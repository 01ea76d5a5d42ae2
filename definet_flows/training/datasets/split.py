"""Training, validation and test shares that no equivalent configuration crosses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.host import content_hash
from definet_flows.errors import InputError
from definet_flows.training.config import SplitSettings


@dataclass(frozen=True)
class Split:
    """Positions in a list of configurations.

    Parameters
    ----------
    training, validation, test
        Positions of each share.
    hash
        Of the placements in each share.
    """

    training: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    hash: str


def split_by_cluster(configurations: Sequence[DefectConfiguration], settings: SplitSettings) -> Split:
    """Divide configurations so that all of one cluster, at whatever size, fall into one share, every label type spread out.

    Configurations without a cluster id are each a group of their own. Single defects have only one cluster per kind, and are
    always trained on.

    Raises
    ------
    InputError
        If a share that was asked for comes out empty.
    """
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position, configuration in enumerate(configurations):
        groups[configuration.label, configuration.cluster_id or configuration.placement_id].append(position)
    shares: dict[str, list[int]] = {"training": [], "validation": [], "test": []}
    wanted = {"validation": settings.validation, "test": settings.test}
    rng = np.random.default_rng(settings.seed)
    keys = sorted(groups)
    seen = 0
    for index in rng.permutation(len(keys)):
        members = groups[keys[index]]
        seen += len(members)
        single = configurations[members[0]].n_defects == 1
        # Filled in step with what has been dealt, so that every share is a fair draw.
        short = [] if single else [share for share, part in wanted.items() if len(shares[share]) < part * seen]
        shares[short[0] if short else "training"] += members
    for share in ("training", *(name for name, part in wanted.items() if part)):
        if not shares[share]:
            raise InputError(
                f"The {share} share of {len(configurations)} labels is empty; give more labels or change the split."
            )
    placements = {share: sorted(configurations[i].placement_id for i in members) for share, members in shares.items()}
    training, validation, test = (tuple(sorted(members)) for members in shares.values())
    return Split(training, validation, test, content_hash(placements))
