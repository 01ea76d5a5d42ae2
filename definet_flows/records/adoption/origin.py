"""Where the starts came from that are not the pristine sites."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.host import content_hash
from definet_flows.records.documents import Exposure, ModelSummary
from definet_flows.records.keys import NO_GUARD

UNKNOWN = "unknown"


@dataclass(frozen=True)
class StartOrigin:
    """What made the prerelaxed starts.

    Parameters
    ----------
    model
        Name and hash; the guard is off, because nothing tells that one was asked.
    exposure
        What its training saw of a configuration's cluster.
    """

    model: ModelSummary
    exposure: Callable[[DefectConfiguration], Exposure]


def named_origin(name: str = UNKNOWN) -> StartOrigin:
    """An origin of which only a name is known, such as another program or another group's weights.

    Parameters
    ----------
    name
        Its hash is that of the name, so that starts of equal names are reported together.
    """
    model = ModelSummary(checkpoint=name, checkpoint_hash=content_hash(["origin", name]), guard_hash=NO_GUARD)
    return StartOrigin(model, lambda _: "unknown")


def checkpoint_origin(name: str) -> StartOrigin:
    """A checkpoint of this package.

    Parameters
    ----------
    name
        Name of a checkpoint, or path of its folder.

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged.
    """
    from definet_flows.definet import load_checkpoint

    checkpoint = load_checkpoint(name)
    model = ModelSummary(
        checkpoint=checkpoint.card.name,
        checkpoint_hash=checkpoint.content_hash,
        guard_hash=NO_GUARD,
        displacement_quantiles=checkpoint.card.displacement_shares,
    )
    return StartOrigin(model, checkpoint.card.exposure)
