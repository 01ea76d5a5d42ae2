"""Which records belong to a campaign, whoever wrote them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from definet_flows.errors import InputError
from definet_flows.records.documents import ConfigurationSummary
from definet_flows.records.fields import nearest
from definet_flows.records.store import Criteria, RecordStore

MOST_LISTED = 50_000
"""Configurations that a question lists, 2 MB of ids; of a larger campaign every record is read, as most of them belong to it."""


class Membership(NamedTuple):
    """What makes a record that of a campaign.

    Parameters
    ----------
    criteria
        MongoDB's, that the store is asked.
    has
        What the records found have to pass besides.
    """

    criteria: Criteria
    has: Callable[[ConfigurationSummary], bool]


ANY = Membership({}, lambda _: True)


def of_campaign(store: RecordStore, campaign: str) -> Membership:
    """Whether a campaign, on any of its hosts, planned a record's configuration, whichever ran it first, or wrote it.

    Parameters
    ----------
    store
        Where the campaign is on record.
    campaign
        Its name, or that of a screening over several hosts.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    campaigns = store.campaigns()
    chosen = [one for one in campaigns if campaign in {one.name, one.settings.get("screening")}]
    if not chosen:
        near = ", ".join(nearest(campaign, [one.name for one in campaigns])) or "none"
        raise InputError(f"There is no campaign '{campaign}' in {store.location}; there is {near}.")
    names = {one.name for one in chosen}
    planned = {identity for one in chosen for identity in one.configuration_ids}
    if len(planned) > MOST_LISTED:
        return Membership({}, lambda record: record.campaign in names or record.configuration_id in planned)
    listed = {"campaign": sorted(names), "configuration_id": sorted(planned)}
    return Membership({"$or": [{field: {"$in": values}} for field, values in listed.items()]}, ANY.has)
