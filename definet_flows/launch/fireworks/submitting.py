"""Handing a campaign to a cluster: what is on record or on its way already is not submitted again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.errors import InputError
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.plan import campaign_record, defect_runs
from definet_flows.jobs import GenerateMaker
from definet_flows.jobs.hosts import configuration_from
from definet_flows.launch.directory import differences_from, other_physics
from definet_flows.launch.fireworks.chunks import ACTIVE, CLAIMED, WAITING, Chunk
from definet_flows.launch.fireworks.cluster import Cluster, batches
from definet_flows.launch.fireworks.jobs import states_of
from definet_flows.launch.fireworks.routing import MARK, ROLES
from definet_flows.launch.fireworks.submissions import Submission
from definet_flows.launch.fireworks.waves import Waves
from definet_flows.records.documents import CampaignRecord, ModelSummary, PredictionRecord
from definet_flows.records.store import RecordStore

_QUEUED = ["WAITING", "READY", "PAUSED"]


class AlreadySubmittedError(InputError):
    """A campaign is on the cluster under other settings."""


@dataclass(frozen=True)
class Plan:
    """What a submission would do.

    Attributes
    ----------
    submission
        The campaign as it would be handed over.
    record
        Its record.
    is_new
        Nothing of it was submitted before.
    n_configurations
        All configurations of the campaign.
    n_recorded
        Those whose relaxations are all on record.
    n_under_way
        Those submitted before and not finished.
    chunks
        The others, as they would wait.
    """

    submission: Submission
    record: CampaignRecord
    is_new: bool
    n_configurations: int
    n_recorded: int
    n_under_way: int
    chunks: list[Chunk]

    @property
    def n_new(self) -> int:
        """Configurations to be submitted."""
        return sum(len(chunk.ids) for chunk in self.chunks)

    @property
    def n_baseline(self) -> int:
        """Those among them that are relaxed from both starts."""
        return sum(sum(chunk.drawn) for chunk in self.chunks)


def plan_submission(campaign: Campaign, cluster: Cluster, directory: Path) -> Plan:
    """Find out what of a campaign is neither on record nor on its way.

    Parameters
    ----------
    campaign
        The campaign.
    cluster
        Where to.
    directory
        For its runs, on a file system that all workers see.

    Raises
    ------
    InputError
        If the campaign cannot be run.
    AlreadySubmittedError
        If it was submitted under other settings; the message lists what differs.
    StoppedCampaignError
        If it is stopped.
    """
    nominal = campaign.host.host()
    checkpoint = None if campaign.model is None else campaign.model.checkpoint
    maker = GenerateMaker(campaign.configurations, checkpoint)
    listed = maker.make.original(maker, nominal.to_dict())  # type: ignore[attr-defined]  # of jobflow's @job
    model = None if campaign.model is None else campaign.model.summary()
    known = _known(cluster.store, campaign, nominal)
    host = Host.from_dict(known.hosts[nominal.fingerprint]) if known else nominal
    configurations = [configuration_from(defects, host) for defects in listed]
    record = campaign_record(campaign, host, model, configurations)
    place = {"directory": str(directory.resolve()), "walltime": campaign.resources.relax.seconds}
    submission = Submission(
        key=record.key,
        name=campaign.name,
        content_hash=campaign.content_hash,
        campaign=campaign.model_dump(mode="json"),
        place=place,
    )
    with cluster.answering():
        waves = Waves(cluster.launchpad, record.key)
        earlier = waves.submission()
        if earlier is not None:
            earlier.check_going()
            _check_settings(waves, earlier, submission)
            submission = submission.model_copy(update={"prepared": earlier.prepared})
        under_way = {
            one for _, chunk in waves.listed() if chunk.settings == submission.content_hash for one in chunk.ids
        }
    open_ones = [one for one in configurations if one.id not in under_way]
    recorded = _recorded(cluster.store, campaign, model, open_ones, set(record.baseline_ids))
    missing = [one for one in open_ones if one.id not in recorded]
    chunks = list(_chunks(submission, missing, set(record.baseline_ids), campaign.resources.chunk_size))
    return Plan(submission, record, earlier is None, len(configurations), len(recorded), len(under_way), chunks)


def submit(plan: Plan, cluster: Cluster) -> int:
    """Do what a plan says.

    May be killed at any moment and called again, also by several at once: nothing is submitted twice.

    Parameters
    ----------
    plan
        Of `plan_submission`.
    cluster
        Where to.

    Returns
    -------
    int
        Number of configurations that wait now and did not before.
    """
    if not plan.chunks:
        # All of it was submitted before, perhaps by somebody who died before the last step.
        with cluster.answering():
            waves = Waves(cluster.launchpad, plan.submission.key)
            _reprioritise(waves, plan.submission)
            waves.go_on()
        return 0
    Path(plan.submission.place["directory"]).mkdir(parents=True, exist_ok=True)
    cluster.store.put_campaign(plan.record)
    with cluster.answering():
        waves = Waves(cluster.launchpad, plan.submission.key)
        cluster.ensure_indexes()
        waves.ensure_indexes()
        _reprioritise(waves, plan.submission)
        waves.write(plan.submission)
        n_added = waves.add(plan.chunks)
        waves.go_on()
    return n_added


def _reprioritise(waves: Waves, submission: Submission) -> None:
    """Give another priority to what waits of a campaign, as jobs or in chunks."""
    earlier, resources = waves.submission(), submission.plan.resources
    if earlier is None or earlier.plan.resources.priority == resources.priority:
        return
    waves.write(submission)
    for role, wants in ROLES.items():
        criteria = {f"spec.{MARK}.campaign": submission.key, f"spec.{MARK}.role": role, "state": {"$in": _QUEUED}}
        priority = resources.settings_for(wants)["_priority"]
        waves.launchpad.fireworks.update_many(criteria, {"$set": {"spec._priority": priority}})


def _known(store: RecordStore, campaign: Campaign, nominal: Host) -> CampaignRecord | None:
    """What the store has of this campaign."""
    for beside in store.campaigns({"settings.screening": campaign.screening}) if campaign.screening else ():
        if differs := "; ".join(other_physics(beside, campaign)):
            raise AlreadySubmittedError(
                f"{store.location} has {beside.name} as a part of {campaign.screening}, but {differs}. Give this one another "
                "name, or change the campaign file back."
            )
    named = store.campaigns({"name": campaign.name})
    for earlier in named:
        if not list(differences_from(earlier, campaign, nominal)):
            return earlier
    if named:
        differs = "; ".join(differences_from(named[0], campaign, nominal))
        raise AlreadySubmittedError(
            f"{store.location} has another campaign named {campaign.name}: {differs}. Give this one another name, or "
            "change the campaign file back."
        )
    return None


def _check_settings(waves: Waves, earlier: Submission, now: Submission) -> None:
    """Extending a campaign waits until what was submitted of it has ended."""
    if earlier.content_hash == now.content_hash:
        return
    counts = waves.counts()
    if not counts[WAITING] + counts[CLAIMED] + counts[ACTIVE]:
        return
    differences = "; ".join(_changes(earlier.plan.settings, now.plan.settings))
    raise AlreadySubmittedError(
        f"{now.name} was submitted under other settings and has not ended: {differences}. Wait for it "
        f"(definet-flows status {now.name}), change the campaign file back, or give this one another name."
    )


def _changes(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _changes(old, new, f"{prefix}{name}.")
        elif old != new:
            yield f"{prefix}{name} was {old!r}, not {new!r}"


def _recorded(
    store: RecordStore,
    campaign: Campaign,
    model: ModelSummary | None,
    configurations: Sequence[DefectConfiguration],
    baseline: set[str],
) -> set[str]:
    """Ids of the configurations whose relaxations are all on record."""
    complete: set[str] = set()
    # Before the first run there is nothing to look for, a hundred thousand times.
    physics = {"engine.physics_hash": campaign.engine.physics_hash}
    if store.stores["relaxations"].query_one(physics, properties=["key"]) is None:
        return complete
    for batch in batches(configurations):
        predictions = None if model is None else _predictions(store, model, batch)
        planned = {
            one.id: [run.key for run in defect_runs(campaign, [one], predictions, baseline)]
            for one in batch
            if predictions is None or one.id in predictions
        }
        states = states_of(store, [key for keys in planned.values() for key in keys]) if planned else {}
        complete.update(one for one, keys in planned.items() if all(key in states for key in keys))
    return complete


def _predictions(
    store: RecordStore, model: ModelSummary, configurations: Sequence[DefectConfiguration]
) -> dict[str, PredictionRecord]:
    criteria = {
        "checkpoint_hash": model.checkpoint_hash,
        "guard_hash": model.guard_hash,
        "reference_hash": configurations[0].host.reference_hash,
        "configuration_id": {"$in": [one.id for one in configurations]},
    }
    return {record.configuration_id: record for record in store.predictions(criteria)}


def _chunks(
    submission: Submission, configurations: Sequence[DefectConfiguration], baseline: set[str], size: int
) -> Iterator[Chunk]:
    for start in range(0, len(configurations), size):
        batch = configurations[start : start + size]
        yield Chunk.of(submission, [(one.id, one.content, one.id in baseline) for one in batch])
