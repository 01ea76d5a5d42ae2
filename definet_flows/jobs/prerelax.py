"""The job that predicts relaxed coordinates for a chunk of configurations."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from jobflow.core.job import job
from jobflow.core.maker import Maker
from pydantic import BaseModel, ConfigDict, Field

from definet_flows.definet import GuardSettings
from definet_flows.jobs.hosts import Defects, configuration_from, host_from
from definet_flows.records.documents import ModelSummary
from definet_flows.records.extract import record_from_prediction
from definet_flows.records.keys import NO_GUARD

if TYPE_CHECKING:
    from definet_flows.definet import Prerelaxer

PREDICT_JOB = "definet-predict"
"""In the name of every job that wants a GPU, and of no other: launchers route by it."""


class ModelSettings(BaseModel):
    """The network that pre-relaxes, and what its predictions must satisfy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: str = Field(min_length=1, description="Name of a checkpoint, or the path of its folder")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    batch_size: int | Literal["auto"] = Field(default="auto", description="Configurations per forward pass, or auto")
    guard: GuardSettings | None = Field(
        default_factory=GuardSettings, description="Limits for predictions; null only refuses unusable numbers"
    )

    @property
    def guard_hash(self) -> str:
        """Hash of the guard's settings; ``none`` where it is off."""
        return NO_GUARD if self.guard is None else self.guard.hash

    def prerelaxer(self) -> Prerelaxer:
        """The network, loaded once per process."""
        return _prerelaxer(self)

    def summary(self) -> ModelSummary:
        """Name and hashes of the checkpoint and guard.

        Raises
        ------
        CheckpointError
            If the checkpoint is missing, damaged or of another kind.
        """
        checkpoint = self.prerelaxer().checkpoint
        return ModelSummary(
            checkpoint=checkpoint.card.name,
            checkpoint_hash=checkpoint.content_hash,
            guard_hash=self.guard_hash,
            displacement_quantiles=checkpoint.card.displacement_shares,
        )


@lru_cache(maxsize=2)
def _prerelaxer(model: ModelSettings) -> Prerelaxer:
    from definet_flows.definet import Prerelaxer

    return Prerelaxer(model.checkpoint, model.device, model.batch_size, model.guard)


@dataclass
class PrerelaxMaker(Maker):
    """Predicts the relaxed coordinates of a chunk of configurations in batches.

    Parameters
    ----------
    model
        The network and its guard.
    campaign
        Name of the campaign, for the records.
    name
        Name of the job; it contains `PREDICT_JOB`.
    """

    model: ModelSettings = field(default_factory=lambda: ModelSettings(checkpoint="definet-mos2-chgnet"))
    campaign: str = ""
    name: str = PREDICT_JOB

    @job(data="positions")
    def make(self, chunk: list[Defects], host: dict[str, Any]) -> Any:
        """Predict.

        Parameters
        ----------
        chunk
            The changed sites of each configuration.
        host
            What `Host.to_dict` wrote, with the engine's reference.

        Returns
        -------
        list of dict
            A `PredictionRecord` for each configuration, in the same order. Each has its share of all the time the job took,
            the loading of the network included: that is what holds a GPU.
        """
        began = time.perf_counter()
        import torch

        pristine = host_from(host)
        prerelaxer, summary = self.model.prerelaxer(), self.model.summary()
        held = (torch.get_num_threads(), 0) if prerelaxer.device.type == "cpu" else (1, 1)
        predictions = list(prerelaxer.predict(configuration_from(defects, pristine) for defects in chunk))
        seconds = (time.perf_counter() - began) / max(1, len(predictions))
        predictions = [replace(prediction, seconds=seconds) for prediction in predictions]
        records = (record_from_prediction(prediction, summary, self.campaign, *held) for prediction in predictions)
        return [record.model_dump(mode="json") for record in records]
