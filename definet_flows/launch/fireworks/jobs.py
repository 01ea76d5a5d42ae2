"""The jobs that FireWorks runs: the Makers of a local campaign, between reading what is on record and recording the rest.

A job carries the key of its campaign and little else, so that a launchpad of thousands stays small; everything it needs
is read from the results store, and its result is there before FireWorks hears of it. What is on record is not run again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jobflow
from jobflow.core.flow import Flow
from jobflow.core.job import Job, Response, job
from jobflow.core.maker import Maker

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines import EngineSettings
from definet_flows.errors import BrokenDeviceError
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.plan import PlannedRun, defect_runs, pristine_run
from definet_flows.flows.resources import Resources
from definet_flows.jobs import ModelSettings, PrerelaxMaker, RelaxHostMaker, RelaxMaker, summarize
from definet_flows.jobs.hosts import Defects, configuration_from, named
from definet_flows.jobs.prerelax import PREDICT_JOB
from definet_flows.launch.fireworks.attempts import attempt
from definet_flows.launch.fireworks.clock import note_clock
from definet_flows.launch.fireworks.cluster import batches, store_beside
from definet_flows.launch.fireworks.gate import pass_gate
from definet_flows.launch.fireworks.routing import LIST_JOB, marked, routed
from definet_flows.launch.predicting import one_by_one
from definet_flows.records.documents import PredictionRecord, RelaxationRecord
from definet_flows.records.errors import StoreContentError
from definet_flows.records.extract import PRISTINE_LABEL, planned_key
from definet_flows.records.keys import prediction_key
from definet_flows.records.store import RecordStore

logger = logging.getLogger(__name__)

FINISHED = frozenset({"converged", "unconverged"})
"""States in which a relaxation is not run again by itself; one that failed is, when it is asked for."""


@cache
def worker_store() -> RecordStore:
    """The results store beside jobflow's outputs, opened once per process."""
    store = store_beside(jobflow.SETTINGS.JOB_STORE)
    note_clock(store)
    return store


@dataclass(frozen=True)
class Assignment:
    """A campaign as its jobs find it in the store.

    Attributes
    ----------
    campaign
        The campaign.
    host
        Its pristine supercell, with the engine's reference once that is there.
    """

    campaign: Campaign
    host: Host

    @classmethod
    def read(cls, store: RecordStore, key: str) -> Assignment:
        """Look a campaign up.

        Raises
        ------
        StoreContentError
            If the store has no such campaign.
        """
        # The whole record lists every configuration, which no job needs.
        found = store.stores["campaigns"].query_one({"key": key}, properties=["settings", "hosts"])
        if found is None:
            raise StoreContentError(f"{store.location} has no campaign {key}: submit it again.")
        return cls(Campaign.model_validate(found["settings"]), Host.from_dict(next(iter(found["hosts"].values()))))

    def engine(self, place: dict[str, Any]) -> EngineSettings:
        """The engine as it runs at a place.

        Parameters
        ----------
        place
            ``directory`` for runs, on a file system that all workers see, and the ``walltime`` of a job in s, if known.
        """
        engine: Any = self.campaign.engine
        if place.get("walltime") and getattr(engine, "walltime", 0) is None:
            engine = engine.model_copy(update={"walltime": place["walltime"]})
        return engine.in_campaign(Path(place["directory"]), self.host)  # type: ignore[no-any-return]


@dataclass
class PrepareJob(Maker):
    """Relaxes the pristine crystal and writes it into the campaign's record; the pristine supercell's run follows.

    Parameters
    ----------
    name
        Name of the job.
    """

    name: str = "relax host"

    @job
    def make(self, campaign: str, place: dict[str, Any], resources: dict[str, Any]) -> Any:
        """Prepare.

        Parameters
        ----------
        campaign
            Key of the campaign's record.
        place
            As for `Assignment.engine`.
        resources
            Settings of `Resources`.
        """
        store = worker_store()
        pass_gate(store, campaign)
        assignment = Assignment.read(store, campaign)
        engine = assignment.engine(place)
        host = assignment.host
        if host.reference_hash != engine.physics_hash:
            maker = RelaxHostMaker(engine=engine)
            host = Host.from_dict(maker.make.original(maker, host.to_dict()))  # type: ignore[attr-defined]
            (record,) = store.campaigns({"key": campaign})
            store.put_campaign(record.model_copy(update={"hosts": {host.fingerprint: host.to_dict()}}))
        run = pristine_run(assignment.campaign, host)
        following = relax_job(campaign, place, run)
        addition = routed(Flow([following]), Resources.model_validate(resources))
        return Response(output={"host": host.fingerprint}, addition=addition)


@dataclass
class PredictJob(Maker):
    """Predicts a chunk, records the predictions and adds the relaxations that are missing.

    Parameters
    ----------
    name
        Name of the job; that of one that uses a network contains `PREDICT_JOB`.
    """

    name: str = PREDICT_JOB

    @job
    def make(
        self,
        campaign: str,
        place: dict[str, Any],
        resources: dict[str, Any],
        chunk: list[Defects],
        drawn: list[bool],
    ) -> Any:
        """Predict.

        Parameters
        ----------
        campaign, place, resources
            As for `PrepareJob`.
        chunk
            The changed sites of each configuration.
        drawn
            Whether each is relaxed from both starts.
        """
        store = worker_store()
        pass_gate(store, campaign)
        assignment = Assignment.read(store, campaign)
        configurations = [configuration_from(defects, assignment.host) for defects in chunk]
        predictions = None if assignment.campaign.model is None else _predicted(store, assignment, configurations)
        baseline = {one.id for one, both in zip(configurations, drawn, strict=True) if both}
        planned = list(defect_runs(assignment.campaign, configurations, predictions, baseline))
        states = states_of(store, [run.key for run in planned])
        missing = [run for run in planned if run.key not in states]
        output = {
            "configurations": len(chunk),
            "refused": sum(not one.passed for one in (predictions or {}).values()),
            "relaxations": len(missing),
        }
        if not missing:
            return Response(output=output)
        pass_gate(store, campaign)  # the predictions are on record, and the relaxations wait
        flow = Flow([relax_job(campaign, place, run) for run in missing])
        return Response(output=output, detour=routed(flow, Resources.model_validate(resources)))


@dataclass
class RelaxJob(Maker):
    """Relaxes one configuration from one start, unless that is on record, and records it.

    Parameters
    ----------
    name
        Name of the job.
    """

    name: str = "relax"

    @job
    def make(
        self, campaign: str, place: dict[str, Any], defects: Defects, prediction: str | None = None, charge: int = 0
    ) -> Any:
        """Relax.

        Parameters
        ----------
        campaign, place
            As for `PrepareJob`.
        defects
            The changed sites; none for the pristine supercell.
        prediction
            Key of the prediction to start from; None for the unrelaxed start.
        charge
            Of the cell, in elementary charges.

        Returns
        -------
        dict
            What `summarize` tells.
        """
        store = worker_store()
        pass_gate(store, campaign)
        assignment = Assignment.read(store, campaign)
        start = None if prediction is None else _prediction(store, prediction)
        configuration = configuration_from(defects, assignment.host)
        key = planned_key(configuration, assignment.campaign.engine, start, charge)
        (known,) = [*store.relaxations({"key": key}), None][:1]
        if known is not None and known.state in FINISHED:
            return summarize.original(known.model_dump(mode="json"))  # type: ignore[attr-defined]
        maker = RelaxMaker(engine=assignment.engine(place), campaign=assignment.campaign.name)
        given = None if start is None else start.model_dump(mode="json")
        host = assignment.host.to_dict()
        outcome = maker.make.original(maker, defects, host, given, charge=charge)  # type: ignore[attr-defined]
        store.add_relaxations([RelaxationRecord.model_validate(outcome)])
        return summarize.original(outcome)  # type: ignore[attr-defined]


def states_of(store: RecordStore, keys: Sequence[str]) -> dict[str, str]:
    """State of the relaxations with these keys that are on record."""
    states: dict[str, str] = {}
    for some in batches(keys):
        found = store.stores["relaxations"].query({"key": {"$in": list(some)}}, properties=["key", "state"])
        states.update((content["key"], content["state"]) for content in found)
    return states


def relax_job(campaign: str, place: dict[str, Any], run: PlannedRun) -> Job:
    """The job of a planned relaxation, marked with what `status` and `recover` look for.

    Parameters
    ----------
    campaign, place
        As for `PrepareJob`.
    run
        The relaxation.
    """
    configuration = run.configuration
    start = "unrelaxed" if run.prediction_key is None else "prerelaxed"
    label = f"{configuration.label} {configuration.id[:8]}" if configuration.defects else PRISTINE_LABEL
    charge = {"charge": run.charge} if run.charge else {}
    work = RelaxJob().make(campaign, place, configuration.content, run.prediction_key, **charge)
    named(work, f"relax {start} {label}{f' {run.charge:+d}' if charge else ''}")
    return marked(work, campaign, "relax", configuration=configuration.id, key=run.key)


def predict_job(campaign: Campaign, key: str, place: dict[str, Any], chunk: list[Defects], drawn: list[bool]) -> Job:
    """The job of a chunk, routed to where its network runs.

    Parameters
    ----------
    campaign
        The campaign.
    key
        Of its record.
    place, chunk, drawn
        As for `PredictJob`.
    """
    predicts = campaign.model is not None
    maker = PredictJob(name=PREDICT_JOB if predicts else LIST_JOB)
    resources = campaign.resources.model_dump(mode="json", exclude_defaults=True)
    work = maker.make(key, place, resources, chunk, drawn)
    return marked(work, key, "predict" if predicts else "list")


def _prediction(store: RecordStore, key: str) -> PredictionRecord:
    for record in store.predictions({"key": key}, positions=True):
        return record
    raise StoreContentError(f"{store.location} lost the prediction {key}: recover the campaign.")


def _predicted(
    store: RecordStore, assignment: Assignment, configurations: Sequence[DefectConfiguration]
) -> dict[str, PredictionRecord]:
    """The predictions of these configurations by id, those that are not on record made and recorded first.

    All together; where that killed the process, or broke its GPU, one by one in processes of their own.
    """
    model, name = assignment.campaign.model, assignment.campaign.name
    assert model is not None  # noqa: S101  for the type checker
    summary, reference = model.summary(), assignment.host.reference_hash
    hashes = summary.checkpoint_hash, summary.guard_hash, reference
    keys = [prediction_key(one.id, *hashes) for one in configurations]
    known = (record for some in batches(keys) for record in store.predictions({"key": {"$in": list(some)}}))
    found = {record.configuration_id: record for record in known}
    missing = [one for one in configurations if one.id not in found]
    if not missing:
        return found
    with attempt(store, keys) as is_first:
        made = _together(missing, model, name) if is_first else None
        parts = [made] if made else ([record] for record in one_by_one(missing, model, summary, name))
        for records in parts:
            store.add_predictions(records)
            found.update((record.configuration_id, record) for record in records)
    return found


def _together(
    configurations: Sequence[DefectConfiguration], model: ModelSettings, campaign: str
) -> list[PredictionRecord] | None:
    """Predictions made in batches in this process; None where one of them broke the GPU."""
    maker = PrerelaxMaker(model, campaign)
    content = [one.content for one in configurations]
    try:
        made = maker.make.original(maker, content, configurations[0].host.to_dict())  # type: ignore[attr-defined]
    except BrokenDeviceError as error:
        logger.warning(str(error))
        return None
    return [PredictionRecord.model_validate(output) for output in made]
