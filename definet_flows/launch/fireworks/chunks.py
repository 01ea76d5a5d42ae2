"""Configurations that wait together, are predicted together and become jobs together: one document of a few kilobytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from definet_flows.defects.host import content_hash
from definet_flows.jobs.hosts import Defects
from definet_flows.launch.fireworks.submissions import Submission

CHUNKS = "definet_chunks"
"""Collection beside the launchpad's own."""

WAITING, CLAIMED, ACTIVE, DONE = "waiting", "claimed", "active", "done"
"""It waits, is claimed by whoever is about to make it a workflow, is active as long as that has open jobs, and then is done."""


@dataclass(frozen=True)
class Chunk:
    """Configurations that are predicted together.

    Attributes
    ----------
    identity
        The same for the same configurations of the same campaign settings.
    configurations
        Changed sites of each.
    ids
        Content id of each.
    drawn
        Whether each is relaxed from both starts.
    settings
        Content hash of the campaign's settings.
    """

    identity: str
    configurations: list[Defects]
    ids: list[str]
    drawn: list[bool]
    settings: str

    @classmethod
    def of(cls, submission: Submission, listed: Sequence[tuple[str, list[Any], bool]]) -> Chunk:
        """The chunk of some configurations, each given as its id, its changed sites and whether it is drawn."""
        ids = [identity for identity, _, _ in listed]
        identity = content_hash([submission.key, submission.content_hash, ids], 32)
        drawn = [both for *_, both in listed]
        return cls(identity, [defects for _, defects, _ in listed], ids, drawn, submission.content_hash)

    def document(self, campaign: str, index: int) -> dict[str, Any]:
        """The chunk as it is stored."""
        # As text: a database spends far more on thousands of nested fields, and nothing asks for one of them.
        listed = json.dumps([self.ids, self.configurations, self.drawn], separators=(",", ":"))
        fields = {"settings": self.settings, "n_configurations": len(self.ids), "listed": listed}
        return {"_id": self.identity, "campaign": campaign, "index": index, "state": WAITING, **fields}

    @classmethod
    def from_document(cls, content: dict[str, Any]) -> Chunk:
        """The chunk of a stored document."""
        ids, configurations, drawn = json.loads(content["listed"])
        return cls(content["_id"], configurations, ids, drawn, content["settings"])
