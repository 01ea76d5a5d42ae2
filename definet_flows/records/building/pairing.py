"""Which runs make a pair: decided by identities alone, before any document is read whole.

A refused prediction counts, with zero saving, only where the configuration was drawn for comparison: the unrelaxed runs that
refusals alone brought about would otherwise be counted without their successful neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from definet_flows.defects.host import content_hash
from definet_flows.records.documents import SCHEMA_VERSION, CampaignRecord
from definet_flows.records.keys import KEY_LENGTH, relaxation_key, savings_key

RULES_VERSION = 1
"""Of what a savings record is made of these documents; raise it, and everything is built anew."""


@dataclass(frozen=True)
class RunIdentity:
    """What pairing asks of a relaxation; fields as in its record."""

    key: str
    configuration_id: str
    charge: int
    start: str
    physics_hash: str
    last_updated: str


@dataclass(frozen=True)
class PredictionIdentity:
    """What pairing asks of a prediction; fields as in its record."""

    key: str
    configuration_id: str
    reference_hash: str
    checkpoint_hash: str
    guard_hash: str
    passed: bool
    last_updated: str


@dataclass(frozen=True)
class RunPair:
    """The documents that one savings record is made of.

    Parameters
    ----------
    key
        Of the savings record.
    unrelaxed
        The baseline.
    prerelaxed
        The run from the prediction; None after a fallback, which shares the baseline.
    prediction
        Of the network.
    committee
        Predictions of the same configuration, on the same pristine cell, by other checkpoints; one for each.
    campaigns
        Names of the campaigns that planned the configuration.
    displacement_quantiles
        Of the checkpoint's training labels, as `ModelSummary` has them.
    """

    key: str
    unrelaxed: RunIdentity
    prerelaxed: RunIdentity | None
    prediction: PredictionIdentity
    committee: tuple[PredictionIdentity, ...]
    campaigns: tuple[str, ...]
    displacement_quantiles: tuple[tuple[float, float], ...]

    @property
    def documents(self) -> list[RunIdentity | PredictionIdentity]:
        """All of them."""
        found = [self.unrelaxed, self.prerelaxed, self.prediction, *self.committee]
        return [one for one in found if one is not None]

    @cached_property
    def sources_hash(self) -> str:
        """Changes with every document, with the rules, and with what the campaigns say."""
        written = [[one.key, one.last_updated] for one in self.documents]
        told = [list(self.campaigns), [list(pair) for pair in self.displacement_quantiles]]
        return content_hash([RULES_VERSION, SCHEMA_VERSION, written, told], KEY_LENGTH)


@dataclass(frozen=True)
class Plans:
    """What the campaigns of a store say of configurations and checkpoints.

    Parameters
    ----------
    drawn
        Ids of the configurations drawn to be relaxed from both starts.
    campaigns
        Names of the campaigns that planned a configuration, by its id.
    quantiles
        Displacements in the training labels, by checkpoint hash.
    """

    drawn: frozenset[str]
    campaigns: Mapping[str, tuple[str, ...]]
    quantiles: Mapping[str, tuple[tuple[float, float], ...]]

    @classmethod
    def of(cls, campaigns: Iterable[CampaignRecord]) -> Plans:
        """Read them from the campaigns."""
        drawn: set[str] = set()
        planned: dict[str, set[str]] = {}
        quantiles = {}
        for campaign in campaigns:
            drawn.update(campaign.baseline_ids)
            for identity in campaign.configuration_ids:
                planned.setdefault(identity, set()).add(campaign.name)
            if campaign.model is not None and campaign.model.displacement_quantiles:
                quantiles[campaign.model.checkpoint_hash] = tuple(campaign.model.displacement_quantiles)
        names = {identity: tuple(sorted(found)) for identity, found in planned.items()}
        return cls(frozenset(drawn), names, quantiles)


def find_pairs(
    runs: Iterable[RunIdentity], predictions: Iterable[PredictionIdentity], plans: Plans
) -> dict[str, RunPair]:
    """Every pair, by the key of its savings record.

    Parameters
    ----------
    runs
        Relaxations of defect configurations.
    predictions
        All predictions of these configurations.
    plans
        What the campaigns say.
    """
    baselines: dict[str, list[RunIdentity]] = {}
    prerelaxed: dict[str, RunIdentity] = {}
    for run in runs:
        if run.start == "unrelaxed":
            baselines.setdefault(run.configuration_id, []).append(run)
        else:
            prerelaxed[run.key] = run
    listed: dict[str, list[PredictionIdentity]] = {}
    for prediction in predictions:
        listed.setdefault(prediction.configuration_id, []).append(prediction)
    pairs: dict[str, RunPair] = {}
    for identity in sorted(baselines.keys() & listed.keys()):
        # Where one checkpoint predicted on two pristine cells, that of the baseline's own engine comes last, and counts.
        for prediction in sorted(listed[identity], key=lambda one: (one.reference_hash, one.key)):
            found = _pairs_of(prediction, baselines[identity], prerelaxed, plans.drawn)
            committee = _committee(prediction, listed[identity])
            for key, unrelaxed, from_it in found:
                quantiles = plans.quantiles.get(prediction.checkpoint_hash, ())
                names = plans.campaigns.get(identity, ())
                pairs[key] = RunPair(key, unrelaxed, from_it, prediction, committee, names, quantiles)
    return pairs


def _pairs_of(
    prediction: PredictionIdentity,
    baselines: Sequence[RunIdentity],
    prerelaxed: Mapping[str, RunIdentity],
    drawn: frozenset[str],
) -> Iterator[tuple[str, RunIdentity, RunIdentity | None]]:
    """Key of the savings record, baseline and prerelaxed run; None for the latter after a fallback."""
    for baseline in baselines:
        if prediction.reference_hash not in ("", baseline.physics_hash):
            continue  # predicted on the pristine cell of another engine
        identity, charge, physics_hash = baseline.configuration_id, baseline.charge, baseline.physics_hash
        hashes = physics_hash, prediction.checkpoint_hash, prediction.guard_hash
        # The network knows no charge: its one prediction starts the runs of every charge.
        run_from_it = prerelaxed.get(relaxation_key(identity, charge, "prerelaxed", *hashes))
        if (prediction.passed and run_from_it) or (not prediction.passed and identity in drawn):
            key = savings_key(identity, charge, *hashes)
            yield key, baseline, run_from_it if prediction.passed else None


def _committee(prediction: PredictionIdentity, others: Iterable[PredictionIdentity]) -> tuple[PredictionIdentity, ...]:
    """One prediction of each other checkpoint, on the same pristine cell; guards do not move atoms."""
    members = {
        other.checkpoint_hash: other
        for other in sorted(others, key=lambda one: one.key, reverse=True)
        if other.reference_hash == prediction.reference_hash and other.checkpoint_hash != prediction.checkpoint_hash
    }
    return tuple(members[checkpoint] for checkpoint in sorted(members))
