"""The whole campaign as one jobflow Flow, for `run_locally` or a workflow manager."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobflow.core.flow import Flow
from jobflow.core.job import Job, Response, job
from jobflow.core.maker import Maker

from definet_flows.flows.campaign import Campaign
from definet_flows.flows.plan import baseline_of
from definet_flows.jobs import GenerateMaker, PrerelaxMaker, RelaxHostMaker, RelaxMaker, collect, summarize
from definet_flows.jobs.hosts import Defects, configuration_from, host_from, named
from definet_flows.records.extract import PRISTINE_LABEL


@dataclass
class ScreeningMaker(Maker):
    """Turns a campaign into jobs.

    The configurations are listed by a job, and each chunk of them becomes jobs only when its turn comes, so that neither
    the flow nor any document grows with the campaign.

    Parameters
    ----------
    chunk_size
        Configurations predicted by one job.
    name
        Name of the flow.
    """

    chunk_size: int = 64
    name: str = "screening"

    def make(self, campaign: Campaign) -> Flow:
        """The flow of a campaign; its output is what `collect` counts over all relaxations.

        Parameters
        ----------
        campaign
            The campaign.

        Raises
        ------
        InputError
            If its host cannot be built.
        """
        checkpoint = None if campaign.model is None else campaign.model.checkpoint
        nominal = campaign.host.host().to_dict()
        relaxed = RelaxHostMaker(engine=campaign.engine).make(nominal)
        generated = GenerateMaker(campaign.configurations, checkpoint).make(nominal)
        chunks = screen_chunks(campaign.settings, relaxed.output, generated.output, self.chunk_size)
        return Flow([relaxed, generated, chunks], output=chunks.output, name=f"{self.name} {campaign.name}")


@job
def screen_chunks(campaign: dict[str, Any], host: dict[str, Any], listed: list[Defects], chunk_size: int) -> Any:
    """Replace this job by one per chunk, the pristine supercell, and a collector.

    Parameters
    ----------
    campaign
        Settings of a `Campaign`.
    host
        What `Host.to_dict` wrote, with the engine's reference.
    listed
        The changed sites of every configuration.
    chunk_size
        Configurations per chunk.
    """
    plan = Campaign.model_validate(campaign)
    pristine = host_from(host)
    baseline = set(baseline_of(plan, [configuration_from(defects, pristine) for defects in listed]))
    energy_reference = named(_relax(plan).make([], host), f"relax unrelaxed {PRISTINE_LABEL}")
    summary = summarize(energy_reference.output)
    chunks = []
    for start in range(0, len(listed), chunk_size):
        chunk = listed[start : start + chunk_size]
        drawn = [configuration_from(defects, pristine).id in baseline for defects in chunk]
        chunks.append(screen_chunk(campaign, host, chunk, drawn))
    total = collect([summary.output, *(chunk.output for chunk in chunks)])
    return Response(replace=Flow([energy_reference, summary, *chunks, total], output=total.output))


@job
def screen_chunk(campaign: dict[str, Any], host: dict[str, Any], chunk: list[Defects], drawn: list[bool]) -> Any:
    """Replace this job by those of a chunk: predict, relax, summarise, collect.

    Parameters
    ----------
    campaign, host
        As for `screen_chunks`.
    chunk
        The changed sites of each configuration.
    drawn
        Whether each is relaxed from both starts.
    """
    plan = Campaign.model_validate(campaign)
    jobs: list[Job] = []
    if plan.model is not None:
        jobs.append(PrerelaxMaker(plan.model, plan.name).make(chunk, host))
    relaxations: list[Job] = []
    for index, defects in enumerate(chunk):
        prediction = jobs[0].output[index] if jobs else None
        relaxations += _starts(plan, host, defects, prediction, both=drawn[index])
    summaries = [summarize(work.output) for work in relaxations]
    total = collect([summary.output for summary in summaries])
    return Response(replace=Flow([*jobs, *relaxations, *summaries, total], output=total.output))


def _starts(
    plan: Campaign, host: dict[str, Any], defects: Sequence[tuple[int, str]], prediction: Any, *, both: bool
) -> list[Job]:
    """The relaxations of one configuration."""
    maker = _relax(plan)
    configuration = configuration_from(defects, host_from(host))
    runs = []
    for charge in plan.charges:
        tail = f"{configuration.label} {configuration.id[:8]}{f' {charge:+d}' if charge else ''}"
        if both or prediction is None:
            work = maker.make(list(defects), host, charge=charge)
            runs.append(named(work, f"relax unrelaxed {tail}"))
        if prediction is not None:
            work = maker.make(list(defects), host, prediction, shares_unrelaxed=both, charge=charge)
            runs.append(named(work, f"relax prerelaxed {tail}"))
    return runs


def _relax(plan: Campaign) -> RelaxMaker:
    return RelaxMaker(engine=plan.engine, campaign=plan.name)
