"""Whether jobs of a campaign may begin: asked by each job when a launcher has taken it, whatever was queued before a stop.

A stop is noted twice: with the submission, for whoever releases chunks in the launchpad, and here beside the results, the only
database that the function of a jobflow job has at hand.
"""

from __future__ import annotations

from definet_flows.errors import DefinetFlowsError, InputError
from definet_flows.launch.fireworks.clock import database_beside
from definet_flows.records.store import RecordStore

STOPPED = "definet_stopped"
"""Collection beside the results, of the keys of the campaigns of which no job is to begin."""


class StoppedJobError(DefinetFlowsError):
    """A job did not begin, because its campaign is stopped; it is queued again when that goes on."""


class StoppedCampaignError(InputError):
    """A campaign is stopped, and cannot be submitted or recovered until it goes on."""


def shut(store: RecordStore, campaign: str) -> None:
    """Let no job of a campaign begin.

    Parameters
    ----------
    store
        The results.
    campaign
        Key of the campaign.
    """
    database_beside(store)[STOPPED].update_one({"_id": campaign}, {"$set": {"_id": campaign}}, upsert=True)


def open_again(store: RecordStore, campaign: str) -> None:
    """Let the jobs of a campaign begin; arguments as for `shut`."""
    database_beside(store)[STOPPED].delete_one({"_id": campaign})


def pass_gate(store: RecordStore, campaign: str) -> None:
    """Go on as a job of a campaign; arguments as for `shut`.

    Raises
    ------
    StoppedJobError
        If the campaign is stopped.
    """
    if database_beside(store)[STOPPED].find_one({"_id": campaign}) is not None:
        raise StoppedJobError(f"Campaign {campaign} is stopped; this job is queued again by definet-flows resume.")
