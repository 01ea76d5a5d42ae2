"""A whole campaign on one machine: worker processes relax, this process owns the results."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from definet_flows.defects import Host
from definet_flows.errors import DefinetFlowsError, InputError
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.hosts import naming
from definet_flows.flows.plan import baseline_of
from definet_flows.launch.cores import physical_cores
from definet_flows.launch.directory import check_same_campaign
from definet_flows.launch.pool import WorkerPool
from definet_flows.launch.progress import OnProgress
from definet_flows.launch.stages import Stages
from definet_flows.launch.summary import CampaignSummary, fallback_count, relaxation_counts
from definet_flows.records import RecordStore, SavingsBuilder, open_store
from definet_flows.records.documents import CampaignRecord, ModelSummary, SavingsRecord

logger = logging.getLogger(__name__)

WORKER_LOG = "workers.log"


class CampaignInterruptedError(DefinetFlowsError):
    """The user, or the queue, stopped a campaign; nothing that was finished is lost."""

    exit_code = 130


def run_campaign(
    campaign: Campaign,
    directory: str | Path,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
    *,
    retry_failed: bool = False,
) -> CampaignSummary:
    """Run what is missing of a campaign on one host; arguments, result and errors as for `run_campaigns`."""
    return run_campaigns([campaign], directory, workers, on_progress, retry_failed=retry_failed)[0]


def run_campaigns(
    campaigns: Sequence[Campaign],
    directory: str | Path,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
    *,
    retry_failed: bool = False,
) -> list[CampaignSummary]:
    """Run what is missing of a campaign file's hosts, one host after the other.

    May be stopped at any moment, also by ``kill -9``: the same call goes on, and repeats at most the relaxations that
    were under way. The records do not depend on the number of workers.

    Parameters
    ----------
    campaigns
        Those of one campaign file. All of them can be run, or none is.
    directory
        Where their results store is, made if absent.
    workers
        Worker processes; by default one per physical core, each with the engine's number of threads.
    on_progress
        Called in this process with every step forward.
    retry_failed
        Run failed relaxations again.

    Returns
    -------
    list of CampaignSummary
        Counts over all that was planned, and the savings, of each.

    Raises
    ------
    InputError
        If a campaign cannot be run, or the directory belongs to another one.
    StoreError
        If the disk is full, or another process writes to the directory.
    CampaignInterruptedError
        If it was stopped by SIGINT or SIGTERM.
    """
    if workers is not None and workers < 1:
        raise InputError(f"{workers} workers cannot run anything; give 1 or more.")
    engine, here = campaigns[0].engine, Path(directory).resolve()
    count = workers or max(1, physical_cores() // engine.cores)
    hosts = []
    for one in campaigns:
        with naming(one):
            hosts.append(one.host.host())
    engines = [engine.in_campaign(here, host) for host in hosts]
    with open_store(directory) as store, _interruptible(store, directory):
        known = [check_same_campaign(store, one, host) for one, host in zip(campaigns, hosts, strict=True)]
        with WorkerPool(count, engine.threads, here / WORKER_LOG) as pool:
            members = [
                Stages(one, own, store, pool, _of_member(on_progress, one), retry_failed=retry_failed)
                for one, own in zip(campaigns, engines, strict=True)
            ]
            for stages, host in zip(members, hosts, strict=True):
                with naming(stages.campaign):
                    stages.survey(host)
            together = zip(members, hosts, known, strict=True)
            return [_carried_out(stages, host, record, str(directory)) for stages, host, record in together]


def _of_member(on_progress: OnProgress | None, campaign: Campaign) -> OnProgress | None:
    if on_progress is None or campaign.screening is None:
        return on_progress
    member = campaign.name.removeprefix(f"{campaign.screening}/")
    return lambda progress: on_progress(replace(progress, member=member))


def _carried_out(stages: Stages, nominal: Host, known: CampaignRecord | None, directory: str) -> CampaignSummary:
    began = time.monotonic()
    stages.run(nominal, known)
    planned = {configuration.id for configuration in stages.configurations}
    savings = [one for one in write_savings(stages.store, stages.model) if one.configuration_id in planned]
    return _summarized(stages, directory, savings, time.monotonic() - began)


def write_savings(store: RecordStore, model: ModelSummary | None) -> list[SavingsRecord]:
    """Build the savings records that the store lacks, and read those of a model.

    Parameters
    ----------
    store
        Where the runs are.
    model
        The checkpoint and guard; None for a campaign without, which saves nothing.
    """
    if model is None:
        return []
    built = SavingsBuilder(store).build()
    if lost := built.failed + built.left:
        logger.warning("No savings record could be made of %d pairs; definet-flows build says why.", lost)
    savings = store.savings({"checkpoint_hash": model.checkpoint_hash, "guard_hash": model.guard_hash})
    return sorted(savings, key=lambda record: (record.label, record.configuration_id, record.key))


def _summarized(stages: Stages, directory: str, savings: list[SavingsRecord], seconds: float) -> CampaignSummary:
    planned = {run.key for run in stages.planned}
    of_campaign = (record for record in stages.store.relaxations() if record.key in planned)
    return CampaignSummary(
        name=stages.campaign.name,
        directory=directory,
        n_configurations=len(stages.configurations),
        n_baseline=len(baseline_of(stages.campaign, stages.configurations)),
        n_fallbacks=fallback_count(stages.predictions),
        n_relaxations=len(planned),
        n_run=stages.n_run,
        n_skipped=len(planned) - stages.n_run,
        wall_seconds=seconds,
        savings=savings,
        **relaxation_counts(of_campaign),
    )


@contextmanager
def _interruptible(store: RecordStore, directory: str | Path) -> Iterator[None]:
    """Turn Ctrl-C and a queue's SIGTERM into one sentence, with everything on record."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _interrupt) if in_main_thread else None
    try:
        yield
    except KeyboardInterrupt:
        done = len(store.states())
        raise CampaignInterruptedError(
            f"Stopped with {done} relaxations on record in {directory}; the same command goes on from there."
        ) from None
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, before)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
