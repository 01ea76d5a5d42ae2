"""Waves: a campaign's configurations wait in chunks of a few kilobytes and become Fireworks as earlier ones finish.

What waits lies beside the launchpad, in two collections: one document per submitted campaign, one per chunk. A chunk is
claimed by one change of its state, which the database makes once, whoever asks; when its jobs have ended, the last of them
releases the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fireworks.core.firework import FiretaskBase, Firework, Workflow
from fireworks.core.launchpad import LaunchPad
from fireworks.utilities.fw_utilities import explicit_serialize
from jobflow.core.flow import Flow
from jobflow.managers.fireworks import flow_to_workflow
from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import BulkWriteError

from definet_flows.launch.fireworks.chunks import ACTIVE, CHUNKS, CLAIMED, DONE, WAITING, Chunk
from definet_flows.launch.fireworks.clock import database_seconds
from definet_flows.launch.fireworks.jobs import PrepareJob, predict_job
from definet_flows.launch.fireworks.routing import MARK, marked, routed
from definet_flows.launch.fireworks.submissions import SUBMISSIONS, Submission

CLAIM_SECONDS = 600.0
"""s after which a chunk that was claimed and never became a workflow is free again: its claimant died in between."""

_DUPLICATE = 11000


class Waves:
    """The chunks of a campaign in a launchpad's database.

    Parameters
    ----------
    launchpad
        The launchpad.
    campaign
        Key of the campaign.
    """

    def __init__(self, launchpad: LaunchPad, campaign: str) -> None:
        self.launchpad, self.campaign = launchpad, campaign
        self._submissions, self._chunks = launchpad.db[SUBMISSIONS], launchpad.db[CHUNKS]

    def submission(self) -> Submission | None:
        """The campaign as it was submitted; None if it was not."""
        found = self._submissions.find_one({"_id": self.campaign})
        return None if found is None else Submission.from_document(found)

    def write(self, submission: Submission) -> None:
        """Put the submission in, or its settings in place of earlier ones."""
        content = submission.model_dump(mode="json")
        progress = {name: content.pop(name) for name in ("prepared", "preparing", "stopped")}
        change = {"$set": content, "$setOnInsert": progress}
        self._submissions.update_one({"_id": self.campaign}, change, upsert=True)

    def claim_preparation(self) -> bool:
        """Whether it is the caller who is to add the workflow that prepares the campaign."""
        now = self._now()
        unclaimed = [{"preparing": None}, {"preparing": {"$lt": now - CLAIM_SECONDS}}]
        wanted = {"_id": self.campaign, "prepared": False, "stopped": {"$ne": True}, "$or": unclaimed}
        claimed = self._submissions.find_one_and_update(wanted, {"$set": {"preparing": now}})
        return claimed is not None and not self.is_being_prepared()

    def is_being_prepared(self) -> bool:
        """Whether there is a workflow that prepares the campaign, ended or not."""
        criteria = {"metadata.campaign": self.campaign, "metadata.prepares": True}
        return self.launchpad.workflows.find_one(criteria, {"_id": 1}) is not None

    def let_prepare(self) -> None:
        """Let somebody else set out to prepare the campaign."""
        self._submissions.update_one({"_id": self.campaign}, {"$set": {"preparing": None}})

    def go_on(self) -> int:
        """Do what the campaign waits for: be prepared, or have chunks released.

        Returns
        -------
        int
            Number of chunks released.
        """
        submission = self.submission()
        if submission is not None and not submission.prepared and self.claim_preparation():
            self.launchpad.add_wf(prepare_workflow(submission))
        return self.release()

    def note_stopped(self, *, stopped: bool) -> None:
        """Let no chunk become a workflow any more, or let them again."""
        self._submissions.update_one({"_id": self.campaign}, {"$set": {"stopped": stopped}})

    def note_prepared(self) -> None:
        """The pristine crystal is relaxed and on record."""
        self._submissions.update_one({"_id": self.campaign}, {"$set": {"prepared": True}})

    def add(self, chunks: Sequence[Chunk]) -> int:
        """Let chunks wait; those that are there already are left as they are.

        Returns
        -------
        int
            Number of configurations that wait now and did not before.
        """
        first = self._chunks.count_documents({"campaign": self.campaign})
        documents = [chunk.document(self.campaign, first + place) for place, chunk in enumerate(chunks)]
        refused: set[int] = set()
        try:
            self._chunks.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if any(one["code"] != _DUPLICATE for one in error.details["writeErrors"]):
                raise
            refused = {one["index"] for one in error.details["writeErrors"]}
        return sum(len(chunk.ids) for place, chunk in enumerate(chunks) if place not in refused)

    def counts(self) -> dict[str, int]:
        """Number of chunks in each state."""
        return {
            state: self._chunks.count_documents({"campaign": self.campaign, "state": state})
            for state in (WAITING, CLAIMED, ACTIVE, DONE)
        }

    def listed(self) -> Iterator[tuple[str, Chunk]]:
        """The chunks, with their states."""
        for content in self._chunks.find({"campaign": self.campaign}):
            yield content["state"], Chunk.from_document(content)

    def release(self) -> int:
        """Turn waiting chunks into workflows as long as there is room for them, which the hosts of one file share.

        Returns
        -------
        int
            Number of chunks released.
        """
        submission = self.submission()
        if submission is None:
            return 0
        resources = submission.plan.resources
        room = max(1, resources.max_active // resources.chunk_size)
        together = {one.key: one for one in self._together(submission)}
        ready = [key for key, one in together.items() if one.prepared and not one.stopped]
        released = 0
        while ready and self._n_open(list(together)) < room and (claimed := self._claim(ready)) is not None:
            campaign, chunk = claimed
            if Waves(self.launchpad, campaign)._hand_over(together[campaign], chunk):  # noqa: SLF001  of its own class
                released += 1
            else:
                ready.remove(campaign)
        return released

    def _hand_over(self, submission: Submission, chunk: Chunk) -> bool:
        """Make a claimed chunk a workflow, unless its campaign was stopped in the meantime."""
        if self._is_stopped():
            self._chunks.update_one({"_id": chunk.identity, "state": CLAIMED}, {"$set": {"state": WAITING}})
            return False
        workflow = chunk_workflow(submission, chunk)
        self.launchpad.add_wf(workflow)
        self._chunks.update_one({"_id": chunk.identity}, {"$set": {"state": ACTIVE}})
        if self._is_stopped():
            # Whoever stopped it may have looked for queued jobs before these were there.
            for firework in workflow.fws:
                self.launchpad.pause_fw(firework.fw_id)
        return True

    def _is_stopped(self) -> bool:
        return self._submissions.find_one({"_id": self.campaign, "stopped": True}, {"_id": 1}) is not None

    def _together(self, submission: Submission) -> list[Submission]:
        """The campaigns of the same file, this one included."""
        screening = submission.campaign.get("screening")
        if screening is None:
            return [submission]
        found = self._submissions.find({"campaign.screening": screening}).sort("name", ASCENDING)
        return [Submission.from_document(one) for one in found]

    def finish(self, chunk: str) -> None:
        """Note that the jobs of a chunk have ended."""
        self._chunks.update_one({"_id": chunk}, {"$set": {"state": DONE}})

    def claims(self) -> Iterator[tuple[str, float]]:
        """The chunks that are claimed, and when they were, by the database's clock."""
        for content in self._chunks.find({"campaign": self.campaign, "state": CLAIMED}, {"claimed": 1}):
            yield content["_id"], content["claimed"]

    def free(self, chunk: str) -> None:
        """Put right a chunk whose claimant died before it could note what it did: it waits again, or has its jobs."""
        is_there = self.launchpad.workflows.find_one({"metadata.chunk": chunk}, {"_id": 1}) is not None
        state = ACTIVE if is_there else WAITING
        self._chunks.update_one({"_id": chunk, "state": CLAIMED}, {"$set": {"state": state}})

    def free_claims(self) -> None:
        """Put right the chunks that were claimed long ago."""
        latest = self._now() - CLAIM_SECONDS
        for chunk in [chunk for chunk, claimed in self.claims() if claimed < latest]:
            self.free(chunk)

    def ensure_indexes(self) -> None:
        """Make the indexes that releasing and watching campaigns need."""
        self._chunks.create_index([("campaign", ASCENDING), ("state", ASCENDING), ("index", ASCENDING)])
        self._submissions.create_index("name")
        self.launchpad.fireworks.create_index([(f"spec.{MARK}.campaign", ASCENDING), ("state", ASCENDING)])
        self.launchpad.workflows.create_index("metadata.chunk")

    def _now(self) -> float:
        return database_seconds(self.launchpad.connection)

    def _n_open(self, campaigns: Sequence[str]) -> int:
        criteria = {"campaign": {"$in": list(campaigns)}, "state": {"$in": [CLAIMED, ACTIVE]}}
        return int(self._chunks.count_documents(criteria))

    def _claim(self, campaigns: Sequence[str]) -> tuple[str, Chunk] | None:
        """The next chunk of these campaigns, a host's first before another's second."""
        content = self._chunks.find_one_and_update(
            {"campaign": {"$in": list(campaigns)}, "state": WAITING},
            {"$set": {"state": CLAIMED, "claimed": self._now()}},
            sort=[("index", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return None if content is None else (content["campaign"], Chunk.from_document(content))


@explicit_serialize
class ReleaseTask(FiretaskBase):  # type: ignore[misc]  # FireWorks has no types
    """Marks a chunk as done, or the campaign as prepared, and releases what has room."""

    required_params = ("campaign",)
    optional_params = ("chunk",)

    def run_task(self, fw_spec: dict[str, Any]) -> None:  # noqa: ARG002  FireWorks gives it
        """Release."""
        waves = Waves(self.launchpad, self["campaign"])
        if self.get("chunk"):
            waves.finish(self["chunk"])
        else:
            waves.note_prepared()
        waves.free_claims()
        waves.release()


def chunk_workflow(submission: Submission, chunk: Chunk) -> Workflow:
    """The workflow of a chunk: predict, then what that adds, then release the next.

    Parameters
    ----------
    submission
        The campaign.
    chunk
        Its configurations.
    """
    plan = submission.plan
    work = predict_job(plan, submission.key, submission.place, chunk.configurations, chunk.drawn)
    # A relaxation that crashed does not hold the other chunks up.
    release = _release(submission, {"_allow_fizzled_parents": True}, chunk=chunk.identity)
    return _followed(submission, Flow([work]), release, {"chunk": chunk.identity})


def prepare_workflow(submission: Submission) -> Workflow:
    """The workflow that relaxes the pristine crystal and then releases the first chunks.

    Parameters
    ----------
    submission
        The campaign.
    """
    resources = submission.plan.resources.model_dump(mode="json", exclude_defaults=True)
    work = PrepareJob().make(submission.key, submission.place, resources)
    flow = Flow([marked(work, submission.key, "prepare")])
    return _followed(submission, flow, _release(submission, {}), {"prepares": True})


def _followed(submission: Submission, flow: Flow, release: Firework, metadata: dict[str, Any]) -> Workflow:
    fireworks = list(flow_to_workflow(routed(flow, submission.plan.resources)))
    release.parents = fireworks
    metadata = {"campaign": submission.key, **metadata}
    return Workflow([*fireworks, release], {one: [release] for one in fireworks}, submission.name, metadata)


def _release(submission: Submission, spec: dict[str, Any], **chunk: str) -> Firework:
    task = ReleaseTask(campaign=submission.key, **chunk)
    mark = {MARK: {"campaign": submission.key, "role": "release"}}
    where = submission.plan.resources.settings_for("small")
    return Firework([task], {"_add_launchpad_and_fw_id": True, **where, **mark, **spec}, name="release next chunks")
