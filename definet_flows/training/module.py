"""The training step, as a Lightning module."""

from __future__ import annotations

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from definet_flows.definet.network import DefiNet
from definet_flows.training.batches import Batch
from definet_flows.training.config import TrainingConfig


def displacement_errors(predicted: Tensor, batch: Batch) -> Tensor:
    """Errors [batch, n_sites, 3] Å after removing each structure's mean displacement; zero at placeholders.

    Parameters
    ----------
    predicted
        [batch, n_sites, 3] Å.
    batch
        Gives the labels and which sites hold atoms.
    """
    occupied = batch.occupied.unsqueeze(-1).to(predicted.dtype)
    mean = (predicted * occupied).sum(dim=1, keepdim=True) / occupied.sum(dim=1, keepdim=True)
    return (predicted - mean - batch.displacements) * occupied


def mean_length(vectors: Tensor, batch: Batch) -> Tensor:
    """Mean length over real atoms of vectors [batch, n_sites, 3]."""
    # The floor keeps the derivative of the square root finite where a vector is exactly zero.
    lengths = (vectors.square().sum(dim=-1) + 1e-14).sqrt()
    return (lengths * batch.occupied).sum() / batch.occupied.sum()


def harmonic_forces(errors: Tensor, hessian: Tensor) -> Tensor:
    """Forces [batch, n_sites, 3] eV/Å that displacement errors would make in the pristine crystal.

    What an engine has left to do is set by the forces at the predicted coordinates. Stiff bonds turn a small error into a large
    force and soft long waves turn a large one into none, which the length of the error alone does not tell.
    """
    return (errors.flatten(1) @ hessian).view_as(errors)


class DefiNetModule(LightningModule):
    """DefiNet with its loss, optimiser and schedule.

    Parameters
    ----------
    config
        The training run.
    """

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        self.training_config = config
        self.model = DefiNet(config.network)
        self._displacements = self.model.displacements
        if config.compile:
            self._displacements = torch.compile(self.model.displacements, dynamic=False)

    def _loss(self, batch: Batch) -> Tensor:
        errors = displacement_errors(self._displacements(batch.atomic_numbers, batch.markers, batch.graph), batch)
        loss = mean_length(errors, batch)
        if batch.hessian is not None and self.training_config.force_weight:
            loss = loss + self.training_config.force_weight * mean_length(harmonic_forces(errors, batch.hessian), batch)
        return loss

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002  Lightning passes it by name
        """Loss of one batch."""
        loss = self._loss(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Loss of one batch with the averaged weights."""
        self.log("validation_loss", self._loss(batch), on_epoch=True, prog_bar=True, batch_size=len(batch))

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """The batch where the model is."""
        return batch.to(device)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with amsgrad, and the schedule of the configuration."""
        config = self.training_config
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, amsgrad=True
        )
        if config.schedule == "cosine":
            steps = int(self.trainer.estimated_stepping_batches)
            cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=config.plateau_factor, patience=config.plateau_patience
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "validation_loss"}}
