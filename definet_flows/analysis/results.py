"""A campaign's results, settled once for whatever shows them: the table on a terminal, figures, the report page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from definet_flows.analysis.accounting import CampaignAccount, campaign_account
from definet_flows.analysis.savings import CountedPair, Threshold, counted_pairs, neutral, not_trained_on
from definet_flows.analysis.table import SavingsRow, charged_table, savings_table
from definet_flows.defects.host import content_hash
from definet_flows.errors import InputError
from definet_flows.records.building import build_savings
from definet_flows.records.documents import (
    CampaignRecord,
    ConfigurationSummary,
    PredictionRecord,
    RelaxationRecord,
    SavingsRecord,
)
from definet_flows.records.savings import COARSE_FORCE
from definet_flows.records.store import RecordStore

Summary = TypeVar("Summary", bound=ConfigurationSummary)


@dataclass(frozen=True)
class CampaignResults:
    """What a store holds of one campaign.

    Parameters
    ----------
    campaign
        The campaign.
    relaxations
        Its relaxations, the pristine supercell's included, without coordinates.
    predictions
        Of its present checkpoint and guard, without coordinates; none where it has no model.
    savings
        Its pairs under the same.
    members
        The same of each host, where the campaign has several and this is about all of them; else none.
    """

    campaign: CampaignRecord
    relaxations: list[RelaxationRecord]
    predictions: list[PredictionRecord]
    savings: list[SavingsRecord]
    members: list[CampaignResults] = field(default_factory=list)

    @cached_property
    def thresholds(self) -> dict[Threshold, float]:
        """Force in eV/Å of each threshold at which steps are counted, the coarser one first."""
        engine = _force_threshold(self.campaign.physics)
        coarse = {Threshold.COARSE: COARSE_FORCE} if engine < COARSE_FORCE else {}
        return {**coarse, Threshold.ENGINE: engine}

    @cached_property
    def rows(self) -> list[SavingsRow]:
        """The savings table; empty before the first pair."""
        return savings_table(self.savings, self.thresholds)

    @cached_property
    def charged_rows(self) -> list[SavingsRow]:
        """The savings table of charged cells."""
        return charged_table(self.savings, self.thresholds)

    @cached_property
    def account(self) -> CampaignAccount:
        """What was spent and saved in core-hours."""
        return campaign_account(self.campaign, self.relaxations, self.predictions, self.savings)

    def is_current(self, run: RelaxationRecord) -> bool:
        """Whether a run belongs to the campaign as it is now, not to an earlier checkpoint or to other settings."""
        if self.members:
            return any(member.is_current(run) for member in self.members)
        model = self.campaign.model
        mine = model is not None and (run.checkpoint_hash, run.guard_hash) == (model.checkpoint_hash, model.guard_hash)
        same_physics = run.engine.physics_hash == self.campaign.physics_hash
        return run.kind == "defect" and same_physics and (run.start == "unrelaxed" or mine)

    @property
    def evidence(self) -> list[SavingsRecord]:
        """The pairs that figures show: those that say something of new configurations, or all neutral ones."""
        return not_trained_on(self.savings) or neutral(self.savings)

    def pairs(self, threshold: Threshold) -> list[CountedPair]:
        """The pairs that figures show, counted at one threshold."""
        return counted_pairs(self.evidence, threshold)

    @property
    def title(self) -> str:
        """The campaign, its checkpoint and its engine, in one line."""
        checkpoint = self.campaign.model.checkpoint if self.campaign.model else "no model"
        potential = self.campaign.physics.get("potential", "")
        return f"{self.campaign.name}: {checkpoint}, {self.campaign.engine_name} {potential}".rstrip()


def campaign_results(store: RecordStore, name: str | None = None) -> CampaignResults:
    """Settle a campaign's results.

    Parameters
    ----------
    store
        Where they are.
    name
        Of the campaign; may be left out where the store holds one only.

    Raises
    ------
    InputError
        If there is no campaign, none of this name, or a name is needed to choose.
    """
    chosen, alone = _campaigns(store, name)
    relaxations = list(store.relaxations())
    settled = [_settled(store, one, relaxations, alone=alone) for one in chosen]
    return settled[0] if len(settled) == 1 else _together(settled)


def _settled(
    store: RecordStore, campaign: CampaignRecord, relaxations: list[RelaxationRecord], *, alone: bool
) -> CampaignResults:
    savings: list[SavingsRecord] = []
    predictions: list[PredictionRecord] = []
    if campaign.model is not None:
        model = {"checkpoint_hash": campaign.model.checkpoint_hash, "guard_hash": campaign.model.guard_hash}
        savings, predictions = build_savings(store, model), list(store.predictions(model))
    if alone:
        return CampaignResults(campaign, relaxations, predictions, savings)
    return CampaignResults(campaign, _of(campaign, relaxations), _of(campaign, predictions), _of(campaign, savings))


def _together(members: list[CampaignResults]) -> CampaignResults:
    """The results of all hosts of a campaign."""
    records = [one.campaign for one in members]
    campaign = records[0].model_copy(
        update={
            "name": records[0].settings["screening"],
            "content_hash": content_hash([one.content_hash for one in records], 32),
            "hosts": {fingerprint: host for one in records for fingerprint, host in one.hosts.items()},
            "model": next((one.model for one in records if one.model is not None), None),
            "configuration_ids": [identity for one in records for identity in one.configuration_ids],
            "baseline_ids": [identity for one in records for identity in one.baseline_ids],
        }
    )
    return CampaignResults(
        campaign,
        [run for one in members for run in one.relaxations],
        [prediction for one in members for prediction in one.predictions],
        [pair for one in members for pair in one.savings],
        members,
    )


def _campaigns(store: RecordStore, name: str | None) -> tuple[list[CampaignRecord], bool]:
    """The campaign that is asked for, or all hosts of one that has several, and whether there is no other."""
    campaigns = store.campaigns()
    if not campaigns:
        raise InputError(f"{store.location} holds no campaign yet; run one with --dir {store.location} first.")
    titles = {one.settings.get("screening") or one.name for one in campaigns}
    if name is None and len(titles) > 1:
        listed = ", ".join(sorted(titles))
        raise InputError(f"{store.location} holds several campaigns; give one as --campaign: {listed}.")
    wanted = name or next(iter(titles))
    chosen = [one for one in campaigns if wanted in {one.name, one.settings.get("screening")}]
    if not chosen:
        raise InputError(f"{store.location} holds no campaign {name}, but {', '.join(one.name for one in campaigns)}.")
    return chosen, len(campaigns) == 1


def _of(campaign: CampaignRecord, records: Sequence[Summary]) -> list[Summary]:
    """What belongs to one campaign of several: its configurations, whoever ran them first, and what carries its name."""
    planned = set(campaign.configuration_ids)
    return [one for one in records if one.campaign == campaign.name or one.configuration_id in planned]


def _force_threshold(physics: dict[str, Any]) -> float:
    """Largest force in eV/Å at which the engine stops, also where VASP's settings say it."""
    energy_or_force = physics.get("incar", {}).get("EDIFFG")
    if energy_or_force is not None and energy_or_force < 0:
        return -float(energy_or_force)
    return float(physics.get("force_threshold", 0.01))
