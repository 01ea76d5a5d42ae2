"""The stages of a campaign on one host and one machine, each doing only what is not on record yet."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines import EngineSettings
from definet_flows.errors import DefinetFlowsError
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.plan import PlannedRun, campaign_record, plan_runs
from definet_flows.jobs import GenerateMaker, ModelSettings, PrerelaxMaker, RelaxHostMaker, RelaxMaker
from definet_flows.jobs.hosts import Defects, configuration_from
from definet_flows.launch.pool import KILLED, Outcome, Task, WorkerPool
from definet_flows.launch.predicting import refusals
from definet_flows.launch.progress import Meter, OnProgress
from definet_flows.launch.worker import describe_model, run_job
from definet_flows.records.documents import CampaignRecord, ModelSummary, PredictionRecord, RelaxationRecord
from definet_flows.records.errors import StoreError
from definet_flows.records.extract import record_of_loss
from definet_flows.records.store import RecordStore

logger = logging.getLogger(__name__)

CHUNK = 32
"""Configurations per prediction job: few enough to lose little, many enough to fill a batch."""


class Stages:
    """What a campaign does, one stage after the other; `survey` and then `run` do all.

    Parameters
    ----------
    campaign
        The campaign.
    engine
        Its engine as it runs in the campaign's directory.
    store
        Where results go, written by this process only.
    pool
        Where jobs run.
    report
        Called with every step forward.
    retry_failed
        Run failed relaxations again.

    Attributes
    ----------
    configurations, predictions, model, planned
        What the stages found: the configurations, their predictions by configuration id and the network (None without a
        model), and every relaxation of the campaign.
    n_run
        Relaxations run here.
    """

    def __init__(
        self,
        campaign: Campaign,
        engine: EngineSettings,
        store: RecordStore,
        pool: WorkerPool,
        report: OnProgress | None,
        *,
        retry_failed: bool,
    ) -> None:
        self.campaign, self.engine, self.store = campaign, engine, store
        self.configurations: list[DefectConfiguration] = []
        self.predictions: dict[str, PredictionRecord] | None = None
        self.model: ModelSummary | None = None
        self.planned: list[PlannedRun] = []
        self.n_run = 0
        self._listed: list[Defects] = []
        self._device = "cpu"
        self._pool, self._report, self._retry_failed = pool, report, retry_failed

    def survey(self, nominal: Host) -> None:
        """List the configurations and load the network: what may be wrong with a campaign shows here, before anything is written.

        Parameters
        ----------
        nominal
            The pristine supercell as the campaign file describes it.

        Raises
        ------
        InputError
            If the campaign cannot be run.
        """
        self._listed = self._generate(nominal)
        self._device = self._load_model()

    def run(self, nominal: Host, known: CampaignRecord | None) -> None:
        """Carry the campaign out, after `survey`.

        Parameters
        ----------
        nominal
            As for `survey`.
        known
            What the store has of this campaign; None in a new directory.
        """
        host = Host.from_dict(known.hosts[nominal.fingerprint]) if known else self._relax_host(nominal)
        self.configurations = [configuration_from(defects, host) for defects in self._listed]
        self.store.put_campaign(campaign_record(self.campaign, host, self.model, self.configurations))
        if self.campaign.model is not None and self.model is not None:
            self._prerelax(host, self.campaign.model, self.model, self._device)
        self._relax(host)

    def _relax_host(self, nominal: Host) -> Host:
        """The host with the engine's own pristine positions."""
        meter = Meter("host", 1, self._report)
        content = self._pool.call(run_job, RelaxHostMaker(engine=self.engine), nominal.to_dict())
        meter.count()
        return Host.from_dict(content)

    def _generate(self, nominal: Host) -> list[Defects]:
        """The changed sites of every configuration."""
        meter = Meter("generate", 1, self._report)
        checkpoint = self.campaign.model.checkpoint if self.campaign.model else None
        maker = GenerateMaker(self.campaign.configurations, checkpoint)
        listed: list[Defects] = self._pool.call(run_job, maker, nominal.to_dict())
        meter.count()
        return listed

    def _load_model(self) -> str:
        """Load the checkpoint, if there is one; the kind of device it runs on."""
        if self.campaign.model is None:
            return "cpu"
        meter = Meter("model", 1, self._report)
        device: str
        self.model, device = self._pool.call(describe_model, self.campaign.model)
        meter.count()
        return device

    def _prerelax(self, host: Host, settings: ModelSettings, model: ModelSummary, device: str) -> None:
        """Predict what has no prediction yet; a chunk that kills its worker is predicted one by one."""
        found = self._known_predictions(host, model)
        missing = [configuration for configuration in self.configurations if configuration.id not in found]
        meter = Meter(
            "prerelax", len(self.configurations), self._report, skipped=len(self.configurations) - len(missing)
        )
        # Several processes would fight for one GPU's memory.
        at_once = None if device == "cpu" else 1
        attempts = ((CHUNK, at_once), (1, 1))
        for chunk_size, limit in attempts:
            lost: list[DefectConfiguration] = []
            for records in self._predictions(host, settings, missing, chunk_size, limit, lost):
                found.update((record.configuration_id, record) for record in records)
                meter.count(len(records))
            missing = lost
        if missing:
            refused = refusals(missing, settings, model, self.campaign.name)
            self.store.add_predictions(refused)
            found.update((record.configuration_id, record) for record in refused)
            meter.count(len(refused), failed=len(refused))
        self.predictions = found

    def _relax(self, host: Host) -> None:
        """Relax what is not on record yet, each result written as it comes."""
        self.planned = list(plan_runs(self.campaign, host, self.configurations, self.predictions))
        states = self.store.states()
        again = {"failed"} if self._retry_failed else set()
        missing = [run for run in self.planned if run.key not in states or states[run.key] in again]
        waiting = {run.key for run in missing}
        failures = sum(states.get(run.key) == "failed" for run in self.planned if run.key not in waiting)
        skipped = len(self.planned) - len(missing)
        meter = Meter("relax", len(self.planned), self._report, skipped=skipped, failed=failures)
        for outcome in self._pool.run(self._relaxations(host, missing)):
            record = self._recorded(outcome)
            self.store.add_relaxations([record])
            self.n_run += 1
            meter.count(failed=record.state == "failed")

    def _known_predictions(self, host: Host, model: ModelSummary) -> dict[str, PredictionRecord]:
        criteria = {
            "checkpoint_hash": model.checkpoint_hash,
            "guard_hash": model.guard_hash,
            "reference_hash": host.reference_hash,
        }
        return {record.configuration_id: record for record in self.store.predictions(criteria)}

    def _predictions(
        self,
        host: Host,
        settings: ModelSettings,
        configurations: Sequence[DefectConfiguration],
        chunk_size: int,
        at_once: int | None,
        lost: list[DefectConfiguration],
    ) -> Iterator[list[PredictionRecord]]:
        """Predict chunk by chunk and write each; the configurations of chunks that kill their worker go into `lost`."""
        maker = PrerelaxMaker(settings, self.campaign.name)
        content = host.to_dict()
        chunks = (configurations[start : start + chunk_size] for start in range(0, len(configurations), chunk_size))
        tasks = (Task(chunk, run_job, (maker, [one.content for one in chunk], content)) for chunk in chunks)
        for outcome in self._pool.run(tasks, at_once):
            if outcome.error is not None:
                raise outcome.error
            if outcome.lost:
                lost.extend(outcome.subject)
                continue
            records = [PredictionRecord.model_validate(output) for output in outcome.output]
            self.store.add_predictions(records)
            # Coordinates stay in the store: thousands of them are not held here until their relaxation's turn.
            yield [record.model_copy(update={"positions": None}) for record in records]

    def _relaxations(self, host: Host, runs: Iterable[PlannedRun]) -> Iterator[Task[PlannedRun]]:
        maker = RelaxMaker(engine=self.engine, campaign=self.campaign.name)
        content = host.to_dict()
        for run in runs:
            start = self._start_document(run)
            yield Task(run, run_job, (maker, run.configuration.content, content, start, False, run.charge))

    def _start_document(self, run: PlannedRun) -> dict[str, Any] | None:
        prediction = self._prediction_of(run)
        if prediction is None:
            return None
        coordinates = self.store.positions([prediction.key])
        return prediction.model_dump(mode="json") | {"positions": coordinates[prediction.key]}

    def _prediction_of(self, run: PlannedRun) -> PredictionRecord | None:
        if run.prediction_key is None or self.predictions is None:
            return None
        return self.predictions[run.configuration.id]

    def _recorded(self, outcome: Outcome[PlannedRun]) -> RelaxationRecord:
        """The record of a relaxation, also where its job raised or its process died."""
        if outcome.error is None and not outcome.lost:
            return RelaxationRecord.model_validate(outcome.output)
        run, error = outcome.subject, outcome.error
        if isinstance(error, DefinetFlowsError):
            raise error  # what stops one relaxation like this stops them all
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise StoreError("A disk is full: free some space, then the same command goes on.") from error
        reason = KILLED
        if error is not None:
            logger.error("relaxing %s raised", run.configuration, exc_info=error)
            reason = f"the job raised {type(error).__name__}: {error}"
        prediction = self._prediction_of(run)
        about = (self.engine, self.campaign.name, reason, outcome.seconds)
        return record_of_loss(run.configuration, *about, prediction, run.charge)
