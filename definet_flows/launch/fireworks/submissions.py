"""Campaigns as they were handed to a launchpad, one document each, and how they are found by name."""

from __future__ import annotations

from typing import Any

from fireworks.core.launchpad import LaunchPad
from pydantic import BaseModel, ConfigDict, Field

from definet_flows.errors import InputError
from definet_flows.flows.campaign import Campaign
from definet_flows.launch.fireworks.gate import StoppedCampaignError

SUBMISSIONS = "definet_submissions"
"""Collection beside the launchpad's own."""


class Submission(BaseModel):
    """A campaign as it was handed to the cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(description="Key of its record in the results store")
    name: str = Field(description="Name of the campaign")
    content_hash: str = Field(description="Content hash of its settings")
    campaign: dict[str, Any] = Field(description="Its settings, resources included")
    place: dict[str, Any] = Field(description="Directory of its runs, and wall time of a relaxation's job in s")
    prepared: bool = Field(default=False, description="The pristine crystal is relaxed and on record")
    preparing: float | None = Field(default=None, description="When somebody set out to add the workflow that does, s")
    stopped: bool = Field(default=False, description="Nothing of it is to begin until it is resumed")

    @property
    def plan(self) -> Campaign:
        """The campaign."""
        return Campaign.model_validate(self.campaign)

    def check_going(self) -> None:
        """Refuse to go on with a campaign that was stopped.

        Raises
        ------
        StoppedCampaignError
            If it was; the message says how it goes on.
        """
        if self.stopped:
            raise StoppedCampaignError(f"{self.name} is stopped: definet-flows resume {self.plan.title} lets it go on.")

    @classmethod
    def from_document(cls, content: dict[str, Any]) -> Submission:
        """The submission of a stored document."""
        return cls(**{name: value for name, value in content.items() if name != "_id"})


def submissions(launchpad: LaunchPad) -> list[Submission]:
    """All campaigns that were submitted to a launchpad, by name."""
    found = launchpad.db[SUBMISSIONS].find({}).sort("name", 1)
    return [Submission.from_document(one) for one in found]


def submission_named(launchpad: LaunchPad, name: str) -> Submission:
    """The campaign of a name.

    Raises
    ------
    InputError
        If none was submitted under it, or one with several hosts; the message lists those that were.
    """
    (found, *others) = submissions_named(launchpad, name)
    if others:
        several = ", ".join(one.name for one in (found, *others))
        raise InputError(f"'{name}' has several hosts, and one is needed here: {several}.")
    return found


def submissions_named(launchpad: LaunchPad, name: str) -> list[Submission]:
    """The campaign of a name, or those of all hosts of a file of that name; errors as for `submission_named`."""
    listed = submissions(launchpad)
    found = [one for one in listed if name in {one.name, one.plan.title}]
    if not found:
        others = ", ".join(one.name for one in listed) or "none"
        raise InputError(f"No campaign '{name}' was submitted to this launchpad; there is {others}.")
    return found
