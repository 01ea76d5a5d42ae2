"""A campaign directory holds one campaign, on one host or several, however often that is extended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from definet_flows.defects import Host
from definet_flows.errors import InputError
from definet_flows.flows.campaign import Campaign
from definet_flows.records.documents import CampaignRecord
from definet_flows.records.store import RecordStore


def check_same_campaign(store: RecordStore, campaign: Campaign, host: Host) -> CampaignRecord | None:
    """What the store knows of this campaign; None in a new directory.

    More recipes, another selection, model or baseline fraction extend a campaign, and another host one of several hosts;
    another name, host or engine physics makes another one.

    Parameters
    ----------
    store
        The directory's store.
    campaign
        What is to be run there.
    host
        Its pristine supercell.

    Raises
    ------
    InputError
        If the directory belongs to another campaign; the message lists what differs.
    """
    earlier = None
    for known in store.campaigns():
        if known.name == campaign.name or not _is_beside(known, campaign):
            differences = list(differences_from(known, campaign, host))
        else:
            differences = list(other_physics(known, campaign))
        if differences:
            raise InputError(
                f"{store.location} belongs to another campaign: {'; '.join(differences)}. Name a new directory, or change "
                "the campaign file back."
            )
        earlier = known if known.name == campaign.name else earlier
    return earlier


def _is_beside(known: CampaignRecord, campaign: Campaign) -> bool:
    """Whether both are hosts of one campaign."""
    return campaign.screening is not None and known.settings.get("screening") == campaign.screening


def differences_from(earlier: CampaignRecord, campaign: Campaign, host: Host) -> Iterator[str]:
    """What makes a campaign another one than that of a record, each in a few words.

    Parameters
    ----------
    earlier
        What a store knows.
    campaign
        What is to be run.
    host
        Its pristine supercell.
    """
    if earlier.name != campaign.name:
        yield f"its name is {earlier.name}, not {campaign.name}"
    if host.fingerprint not in earlier.hosts:
        theirs = Host.from_dict(next(iter(earlier.hosts.values())))
        yield f"its host is {_named(theirs)}, not {_named(host)}"
    yield from other_physics(earlier, campaign)


def other_physics(earlier: CampaignRecord, campaign: Campaign) -> Iterator[str]:
    """Which settings of the engine decide other results than those of a record; arguments as for `differences_from`."""
    physics = campaign.engine.physics
    for name in sorted(earlier.physics.keys() | physics):
        before, now = earlier.physics.get(name), physics.get(name)
        if before != now:
            yield f"its engine's {name} is {_shown(before)}, not {_shown(now)}"


def _named(host: Host) -> str:
    matrix = host.supercell_matrix
    size = "x".join(str(matrix[axis][axis]) for axis in range(3))
    vacuum = f", vacuum {host.vacuum:.1f} Å" if host.vacuum is not None else ""
    return f"{host.name} {size} ({host.n_sites} sites{vacuum}, {host.fingerprint})"


def _shown(setting: Any) -> str:
    return "not set" if setting is None else repr(setting)
