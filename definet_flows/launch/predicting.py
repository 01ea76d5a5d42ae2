"""Predictions one by one, in a process that may die: what kills it is refused, and the others are not affected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from definet_flows.defects import DefectConfiguration
from definet_flows.errors import DefinetFlowsError
from definet_flows.jobs import ModelSettings, PrerelaxMaker
from definet_flows.launch.pool import KILLED, Task, WorkerPool
from definet_flows.launch.worker import run_job
from definet_flows.records.documents import ModelSummary, PredictionRecord
from definet_flows.records.extract import record_from_prediction


def one_by_one(
    configurations: Sequence[DefectConfiguration], model: ModelSettings, summary: ModelSummary, campaign: str
) -> Iterator[PredictionRecord]:
    """Predict each configuration alone.

    Parameters
    ----------
    configurations
        Of one host.
    model, summary
        The network and its guard.
    campaign
        Name of the campaign.

    Yields
    ------
    PredictionRecord
        One for each, in the order they are done; refused with the reason where the process died or raised.

    Raises
    ------
    DefinetFlowsError
        If something is wrong that is wrong for all, such as processes that die whatever they do.
    """
    if not configurations:
        return
    maker, host = PrerelaxMaker(model, campaign), configurations[0].host.to_dict()
    tasks = [Task(one, run_job, (maker, [one.content], host)) for one in configurations]
    with WorkerPool(1, 1, Path("predictions.log").resolve()) as pool:
        for outcome in pool.run(tasks):
            if isinstance(outcome.error, DefinetFlowsError):
                raise outcome.error
            if outcome.lost or outcome.error is not None:
                why = KILLED if outcome.error is None else f"{type(outcome.error).__name__}: {outcome.error}"
                yield from refusals([outcome.subject], model, summary, campaign, why)
            else:
                yield from (PredictionRecord.model_validate(output) for output in outcome.output)


def refusals(
    configurations: Sequence[DefectConfiguration],
    model: ModelSettings,
    summary: ModelSummary,
    campaign: str,
    why: str = KILLED,
) -> list[PredictionRecord]:
    """Predictions that could not be made, as refusals, so that their configurations are relaxed unrelaxed."""
    from definet_flows.definet import GuardVerdict, Prediction, load_checkpoint

    card = load_checkpoint(model.checkpoint).card
    verdict = GuardVerdict.of([f"no prediction: {why}"], None)
    nothing = (Prediction(one, None, verdict, 0.0, card.exposure(one)) for one in configurations)
    return [record_from_prediction(prediction, summary, campaign) for prediction in nothing]
