"""What a campaign cost and saved in core-hours: by engine, for predictions, measured on pairs, and for the whole campaign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from definet_flows.analysis.bootstrap import bootstrap
from definet_flows.analysis.savings import TRAINED_ON, Outcome, counted_pairs, neutral, not_trained_on
from definet_flows.records.documents import CampaignRecord, PredictionRecord, RelaxationRecord, SavingsRecord
from definet_flows.records.savings import prediction_charge


@dataclass(frozen=True)
class EngineCost:
    """What one engine's relaxations from one start cost, lost ones included.

    Parameters
    ----------
    engine
        Name of the engine with its potential or functional.
    start
        ``unrelaxed`` or ``prerelaxed``.
    runs, converged, unconverged, failed
        Numbers of relaxations.
    core_hours
        Of those that told them.
    untold
        Relaxations that did not tell their core-hours.
    """

    engine: str
    start: str
    runs: int
    converged: int
    unconverged: int
    failed: int
    core_hours: float
    untold: int


@dataclass(frozen=True)
class PredictionCost:
    """What the predictions cost, refused ones included.

    Parameters
    ----------
    predictions
        Number of predictions.
    wall_seconds, core_hours, gpu_hours
        Of those that told their time; core-hours include the GPU at the rate at which it is charged.
    untold
        Predictions that did not tell their time.
    """

    predictions: int
    wall_seconds: float
    core_hours: float
    gpu_hours: float
    untold: int


@dataclass(frozen=True)
class SavedCoreHours:
    """Core-hours saved, predictions charged and losers counted.

    Parameters
    ----------
    configurations
        How many configurations this is about.
    core_hours
        Negative where pre-relaxation cost more than it saved.
    interval
        95 % percentile bootstrap over pairs; None for a single pair.
    """

    configurations: int
    core_hours: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class CampaignAccount:
    """The account of a campaign.

    Parameters
    ----------
    engines
        What relaxations cost.
    predictions
        What predictions cost.
    measured
        Saved on the pairs themselves; None where no pair tells its core-hours.
    extrapolated
        The mean saving of these pairs times the configurations of the campaign they stand for; None where the pairs were not
        drawn from a campaign.
    untold
        Pairs that are left out because a run that converged did not tell its core-hours.
    losses_untold
        Pairs that count, of which the prerelaxed run was lost without telling its core-hours: the savings are that much too high.
    uncharged
        Pairs that count, whose prediction did not tell its time.
    trained_on
        Configurations of the campaign that the checkpoint was trained on: they are in neither saving.
    charged
        Pairs of charged cells: they are in neither saving.
    measuring
        Core-hours of unrelaxed runs that only measured the saving: the prerelaxed ones beside them would have been enough.
    """

    engines: list[EngineCost]
    predictions: PredictionCost
    measured: SavedCoreHours | None
    extrapolated: SavedCoreHours | None
    untold: int
    losses_untold: int
    uncharged: int
    trained_on: int
    charged: int
    measuring: float

    @property
    def remarks(self) -> dict[str, float]:
        """What a reader of the savings must know besides, without what does not apply."""
        numbers = {
            "runs from the unrelaxed start that only measured this, in core-hours": self.measuring,
            "pairs left out, because a run did not tell its core-hours": self.untold,
            "pairs whose prerelaxed run was lost without telling its core-hours, counted as none": self.losses_untold,
            "pairs whose prediction is not charged, because its time is not known": self.uncharged,
            "configurations in neither number, because the checkpoint was trained on them": self.trained_on,
            "pairs in neither number, because their cells are charged and the checkpoint knows neutral ones": self.charged,
        }
        return {remark: number for remark, number in numbers.items() if number}


def campaign_account(
    campaign: CampaignRecord,
    relaxations: Iterable[RelaxationRecord],
    predictions: Sequence[PredictionRecord],
    savings: Iterable[SavingsRecord],
    seed: int = 0,
) -> CampaignAccount:
    """Settle a campaign's account.

    Parameters
    ----------
    campaign
        Says which configurations were planned.
    relaxations
        All of the store.
    predictions
        Of the campaign's checkpoint and guard.
    savings
        Pairs of the same.
    seed
        Of the resampling behind the confidence intervals.
    """
    listed = list(savings)
    usable = not_trained_on(listed)
    pairs = counted_pairs(usable)
    saved = np.array([hours for pair in pairs if (hours := pair.core_hours_saved) is not None])
    exposures = {one.configuration_id: one.exposure for one in predictions}
    trained_on = sum(exposures.get(identity) == TRAINED_ON for identity in campaign.configuration_ids)
    planned = len(campaign.configuration_ids) - trained_on
    measured = _saved(saved, len(saved), seed)
    return CampaignAccount(
        engines=engine_costs(relaxations),
        predictions=_prediction_cost(predictions),
        measured=measured,
        extrapolated=_saved(saved, planned, seed) if planned else None,
        untold=len(pairs) - len(saved),
        losses_untold=sum(pair.loss_untold for pair in pairs),
        uncharged=sum(not pair.prediction_charged for pair in pairs),
        trained_on=trained_on,
        charged=len(listed) - len(neutral(listed)),
        measuring=sum(
            pair.unrelaxed_core_hours or 0.0
            for pair in pairs
            if pair.outcome in {Outcome.SAME_MINIMUM, Outcome.OTHER_MINIMUM}
        ),
    )


def engine_costs(relaxations: Iterable[RelaxationRecord]) -> list[EngineCost]:
    """Costs by engine and start, the pristine supercell's among the unrelaxed.

    Parameters
    ----------
    relaxations
        Of one campaign or several.
    """
    groups: dict[tuple[str, str], list[RelaxationRecord]] = {}
    for record in relaxations:
        groups.setdefault((_engine_name(record), record.start), []).append(record)
    costs = []
    for (engine, start), records in sorted(groups.items(), key=lambda group: (group[0][0], group[0][1] != "unrelaxed")):
        states = Counter(record.state for record in records)
        told = [record.core_hours for record in records if record.core_hours is not None]
        numbers = (len(records), states["converged"], states["unconverged"], states["failed"])
        costs.append(EngineCost(engine, start, *numbers, sum(told), len(records) - len(told)))
    return costs


def _engine_name(record: RelaxationRecord) -> str:
    functional = record.details.functional if record.details is not None else None
    return f"{record.engine.name} {record.engine.physics.get('potential') or functional or ''}".rstrip()


def _prediction_cost(predictions: Sequence[PredictionRecord]) -> PredictionCost:
    charges = [charge for one in predictions if (charge := prediction_charge(one)) is not None]
    return PredictionCost(
        predictions=len(predictions),
        wall_seconds=sum(one.seconds or 0.0 for one in predictions),
        core_hours=sum(charge.core_hours for charge in charges),
        gpu_hours=sum(charge.gpu_hours for charge in charges),
        untold=len(predictions) - len(charges),
    )


def _saved(saved: npt.NDArray[np.float64], configurations: int, seed: int) -> SavedCoreHours | None:
    """The mean saving of pairs times a number of configurations, with the interval of that mean."""
    if not len(saved):
        return None
    interval = bootstrap(saved, lambda drawn: configurations * drawn.mean(axis=1), seed)
    return SavedCoreHours(configurations, float(configurations * saved.mean()), interval)
