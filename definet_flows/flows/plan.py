"""Which relaxations a campaign consists of: the same list whatever launches them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.defects.host import content_hash
from definet_flows.flows.campaign import Campaign
from definet_flows.jobs.selection import draw_fraction
from definet_flows.records.documents import CampaignRecord, ModelSummary, PredictionRecord
from definet_flows.records.extract import pristine_configuration
from definet_flows.records.keys import KEY_LENGTH, relaxation_key


@dataclass(frozen=True)
class PlannedRun:
    """One relaxation to be run.

    Attributes
    ----------
    key
        Of its record.
    configuration
        What to relax; the one without defects is the pristine supercell.
    prediction_key
        Key of the prediction to start from; None for the unrelaxed start.
    charge
        Of the cell, in elementary charges.
    """

    key: str
    configuration: DefectConfiguration
    prediction_key: str | None
    charge: int = 0


def baseline_of(campaign: Campaign, configurations: Iterable[DefectConfiguration]) -> list[str]:
    """Ids of the configurations drawn to be relaxed from both starts."""
    identities = [configuration.id for configuration in configurations]
    return draw_fraction(identities, campaign.baseline_fraction, campaign.baseline_seed)


def plan_runs(
    campaign: Campaign,
    host: Host,
    configurations: Sequence[DefectConfiguration],
    predictions: Mapping[str, PredictionRecord] | None,
) -> Iterator[PlannedRun]:
    """Every relaxation of a campaign, once.

    Parameters
    ----------
    campaign
        The campaign.
    host
        The pristine supercell, which comes first.
    configurations
        All configurations.
    predictions
        By configuration id; None where nothing is pre-relaxed. A configuration whose prediction was refused is relaxed
        from the unrelaxed start, which is one run also where the baseline wants it too.
    """
    yield pristine_run(campaign, host)
    yield from defect_runs(campaign, configurations, predictions, set(baseline_of(campaign, configurations)))


def pristine_run(campaign: Campaign, host: Host) -> PlannedRun:
    """The relaxation of the pristine supercell, the energy reference."""
    pristine = pristine_configuration(host)
    key = relaxation_key(pristine.id, 0, "unrelaxed", campaign.engine.physics_hash)
    return PlannedRun(key, pristine, None)


def defect_runs(
    campaign: Campaign,
    configurations: Iterable[DefectConfiguration],
    predictions: Mapping[str, PredictionRecord] | None,
    baseline: Collection[str],
) -> Iterator[PlannedRun]:
    """Every relaxation of some of a campaign's configurations, once; arguments as for `plan_runs`.

    Parameters
    ----------
    baseline
        Ids of the configurations relaxed from both starts.

    Yields
    ------
    PlannedRun
        At every charge of the campaign; the network's one prediction, which is of the neutral cell, serves all of them.
    """
    physics_hash = campaign.engine.physics_hash
    for configuration in configurations:
        prediction = predictions[configuration.id] if predictions is not None else None
        usable = prediction is not None and prediction.passed
        for charge in campaign.charges:
            if configuration.id in baseline or not usable:
                key = relaxation_key(configuration.id, charge, "unrelaxed", physics_hash)
                yield PlannedRun(key, configuration, None, charge)
            if prediction is not None and usable:
                hashes = physics_hash, prediction.checkpoint_hash, prediction.guard_hash
                key = relaxation_key(configuration.id, charge, "prerelaxed", *hashes)
                yield PlannedRun(key, configuration, prediction.key, charge)


def campaign_record(
    campaign: Campaign,
    host: Host,
    model: ModelSummary | None,
    configurations: Sequence[DefectConfiguration] = (),
) -> CampaignRecord:
    """What a store keeps of a campaign.

    Parameters
    ----------
    campaign
        The campaign.
    host
        The pristine supercell, with the engine's reference.
    model
        Its checkpoint and guard; None where nothing is pre-relaxed.
    configurations
        What is planned.
    """
    return CampaignRecord(
        key=content_hash(campaign.identity(host), KEY_LENGTH),
        name=campaign.name,
        content_hash=campaign.content_hash,
        settings=campaign.settings,
        hosts={host.fingerprint: host.to_dict()},
        engine_name=campaign.engine.name,
        physics=campaign.engine.physics,
        physics_hash=campaign.engine.physics_hash,
        model=model,
        configuration_ids=[configuration.id for configuration in configurations],
        baseline_ids=baseline_of(campaign, configurations),
    )
