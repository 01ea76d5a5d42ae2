"""Elemental phases and competing compounds as jobs of a cluster, each relaxed once however often it is submitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fireworks.core.firework import Workflow
from jobflow.core.flow import Flow
from jobflow.core.job import job
from jobflow.core.maker import Maker
from jobflow.managers.fireworks import flow_to_workflow
from pymongo.errors import DuplicateKeyError

from definet_flows.engines.elements import ElementalPhase
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.elements import known_phases, phases_of, relaxed
from definet_flows.launch.fireworks.clock import database_seconds
from definet_flows.launch.fireworks.cluster import Cluster
from definet_flows.launch.fireworks.gate import pass_gate
from definet_flows.launch.fireworks.jobs import FINISHED, Assignment, worker_store
from definet_flows.launch.fireworks.routing import MARK, marked, routed
from definet_flows.launch.fireworks.submissions import Submission
from definet_flows.launch.fireworks.waves import CLAIM_SECONDS
from definet_flows.records.energetics.elements import COLLECTION

CLAIMS = "definet_element_claims"
"""Collection beside the launchpad's own: who is about to hand a phase over, a document for each campaign and phase."""

_ENDED = ["COMPLETED", "DEFUSED", "ARCHIVED"]


@dataclass
class ElementJob(Maker):
    """Relaxes a phase that chemical potentials are counted from, unless it is on record, and records it.

    Parameters
    ----------
    name
        Name of the job.
    """

    name: str = "relax element"

    @job
    def make(self, campaign: str, place: dict[str, Any], key: str, phase: dict[str, Any], kpoint_density: float) -> Any:
        """Relax.

        Parameters
        ----------
        campaign
            Key of the campaign's record.
        place
            As for `Assignment.engine`.
        key
            Of the phase's record.
        phase
            What `ElementalPhase.to_dict` wrote.
        kpoint_density
            As the campaign asks for it, k-points per reciprocal volume, Å³.
        """
        store = worker_store()
        pass_gate(store, campaign)
        record = known_phases(store, [key]).get(key)
        if record is None or record.state not in FINISHED:
            engine = Assignment.read(store, campaign).engine(place)
            record = relaxed(ElementalPhase.from_dict(phase), engine, kpoint_density)
            store.write(COLLECTION, [record])
        return {"element": record.element, "state": record.state, "energy_per_atom": record.energy_per_atom}


def missing_phases(campaigns: Sequence[Campaign], cluster: Cluster) -> dict[str, ElementalPhase]:
    """The phases of a campaign file that are neither on record nor on their way, by the key of their record.

    Parameters
    ----------
    campaigns
        Those of one file.
    cluster
        Where they would be relaxed.

    Raises
    ------
    InputError
        If a structure is not known.
    """
    phases = phases_of(campaigns)
    known = known_phases(cluster.store, phases)
    field = f"spec.{MARK}.phase"
    with cluster.answering():
        found = cluster.launchpad.fireworks.find({field: {"$in": list(phases)}, "state": {"$nin": _ENDED}}, {field: 1})
        under_way = {one["spec"][MARK]["phase"] for one in found}
    return {key: phase for key, phase in phases.items() if key not in known and key not in under_way}


def submit_elements(campaigns: Sequence[Campaign], submission: Submission, cluster: Cluster) -> list[str]:
    """Hand the `missing_phases` of a campaign file to a cluster; several who do so at once hand none over twice.

    Parameters
    ----------
    campaigns, cluster
        As for `missing_phases`; errors as well.
    submission
        Of the first of the campaigns, which was submitted before.

    Returns
    -------
    list of str
        Symbols and formulas of what was handed over.
    """
    missing = missing_phases(campaigns, cluster)
    with cluster.answering():
        claimed = [key for key in missing if _claim(cluster, submission.key, key)]
        for key in claimed:
            cluster.launchpad.add_wf(_workflow(campaigns[0], submission, key, missing[key]))
    return [missing[key].element for key in claimed]


def _workflow(campaign: Campaign, submission: Submission, key: str, phase: ElementalPhase) -> Workflow:
    maker = ElementJob(name=f"relax {phase.element}")
    work = maker.make(submission.key, submission.place, key, phase.to_dict(), campaign.elements.kpoint_density)
    flow = Flow([marked(work, submission.key, "element", phase=key)])
    workflow = flow_to_workflow(routed(flow, campaign.resources))
    workflow.name, workflow.metadata["campaign"] = f"{submission.name}: {phase.element}", submission.key
    return workflow


def _claim(cluster: Cluster, campaign: str, phase: str) -> bool:
    """Whether it is the caller who is to hand a phase over; the claim of somebody who died in between ends."""
    now, claims = database_seconds(cluster.launchpad.connection), cluster.launchpad.db[CLAIMS]
    identity = f"{campaign}-{phase}"
    try:
        claims.insert_one({"_id": identity, "campaign": campaign, "claimed": now})
    except DuplicateKeyError:
        stale = {"_id": identity, "claimed": {"$lt": now - CLAIM_SECONDS}}
        return bool(claims.update_one(stale, {"$set": {"claimed": now}}).modified_count)
    return True
