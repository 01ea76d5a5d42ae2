"""The training step, as a Lightning module."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from definet_flows.definet.network import DefiNet, DefiNetConfig
from definet_flows.training.batches import Batch, BatchFeed, ShuffledOrder, in_order
from definet_flows.training.config import TrainingConfig
from definet_flows.training.failures import LossNotFinite
from definet_flows.training.muon import Muon, weight_matrices
from definet_flows.training.state import RUN_KEY

_MMAP_MAX, _TRIM_THRESHOLD = -4, -1
"""Options of glibc's mallopt, from its malloc.h."""


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


def harmonic_forces(errors: Tensor, occupied: Tensor, hessian: Tensor) -> Tensor:
    """Forces that displacement errors would make if atoms were held by the pristine crystal's springs.

    What an engine has left to do is set by the forces at the predicted coordinates. Stiff bonds turn a small error into a large
    force and soft long waves turn a large one into none, which the length of the error alone does not tell.

    Parameters
    ----------
    errors
        [batch, n_sites, 3] Å, zero at placeholders.
    occupied
        bool [batch, n_sites], True for real atoms.
    hessian
        [3 n_sites, 3 n_sites] eV/Å², from `restore_symmetry`.

    Returns
    -------
    Tensor
        [batch, n_sites, 3] eV/Å. Sites without an atom hold nobody: a spring to one is cut. Their own forces mean nothing.
    """
    n_sites = errors.shape[1]
    pristine = (errors.flatten(1) @ hessian).view_as(errors)
    # By the acoustic sum rule a site's force constant with itself holds minus its springs to all others, vacant ones too.
    springs = hessian.view(n_sites, 3, n_sites, 3)
    cut = torch.einsum("iajb,zj->ziab", springs, (~occupied).to(hessian.dtype))
    return pristine + torch.einsum("ziab,zib->zia", cut, errors)


def parameters_without_gradient(network: DefiNetConfig) -> set[str]:
    """Names of the published parameters that cannot change the output.

    In the first layer all vectors are zero, and what the global node gathers after the last layer is read by nothing.
    """
    if not network.global_node:
        return set()
    last = f"{network.n_layers - 1}.mlp_vn"
    scalar, vector = "virtual_scalar_layers", "virtual_vector_layers"
    gathered = {f"{scalar}.{last}.{entry}.{kind}" for entry in (0, 2) for kind in ("weight", "bias")}
    return gathered | {f"{vector}.{last}.weight", f"{vector}.0.mlp_node.weight"}


def keep_freed_memory() -> None:
    """Let glibc keep large buffers for the next step; it would return them to the system after every operation."""
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # another C library, which has its own ways
    set_option(_MMAP_MAX, 0)
    set_option(_TRIM_THRESHOLD, 2**31 - 1)


class DefiNetModule(LightningModule):
    """DefiNet with its loss, optimiser and schedule.

    Parameters
    ----------
    config
        The training run.
    identity
        What a saved state must agree with to be continued; saved with it.
    """

    def __init__(self, config: TrainingConfig, identity: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.training_config = config
        self.identity = identity or {}
        self.model = DefiNet(config.network)
        # Frozen, because several processes that average gradients wait for those of every parameter.
        for name in parameters_without_gradient(config.network):
            self.model.get_parameter(name).requires_grad_(False)
        self._compiled: Callable[..., Tensor] | None = None

    def setup(self, stage: str) -> None:  # noqa: ARG002  Lightning passes it
        """Prepare this process: its threads and memory, and the compiled network."""
        if self.training_config.threads:
            torch.set_num_threads(self.training_config.threads)
        if self.device.type == "cpu":
            keep_freed_memory()
        if self.training_config.compile:
            self._compiled = torch.compile(self.model.displacements, dynamic=False)

    def _loss(self, batch: Batch) -> Tensor:
        displacements = self._compiled or self.model.displacements
        predicted = displacements(batch.atomic_numbers, batch.markers, batch.graph)
        with torch.autocast(predicted.device.type, enabled=False):  # 16 bits are for the network only
            errors = displacement_errors(predicted.to(batch.displacements.dtype), batch)
            loss = mean_length(errors, batch)
            if batch.hessian is not None and self.training_config.force_weight:
                forces = mean_length(harmonic_forces(errors, batch.occupied, batch.hessian), batch)
                loss = loss + self.training_config.force_weight * forces
        return loss

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002  Lightning passes it by name
        """Loss of one batch."""
        loss = self._finite(self._loss(batch))
        self._log("train_loss", loss, batch)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Loss of one batch with the averaged weights; an epoch's is the mean over labels."""
        self._log("validation_loss", self._finite(self._loss(batch)), batch)

    def _log(self, name: str, loss: Tensor, batch: Batch) -> None:
        """Log an epoch's mean over labels, whichever process they were in."""
        # Lightning divides the number of labels by that of processes in whole numbers; so it comes out even.
        n_labels = len(batch) * self.trainer.world_size
        self.log(name, loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=n_labels, sync_dist=True)

    def _finite(self, loss: Tensor) -> Tensor:
        if not torch.isfinite(loss):
            raise LossNotFinite(f"The loss became {loss.item()} in epoch {self.current_epoch + 1}")
        return loss

    def on_train_epoch_end(self) -> None:
        """Step the plateau schedule, before the state is saved.

        Lightning steps it after saving, so that a resumed run would have forgotten the last epoch.
        """
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(float(self.trainer.callback_metrics["validation_loss"]))

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:  # noqa: ARG002
        """Step a schedule when Lightning says; the plateau one is stepped in `on_train_epoch_end`."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say in a saved state which run it belongs to."""
        checkpoint[RUN_KEY] = self.identity

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimiser and the schedule of the configuration."""
        config = self.training_config
        optimizer = self._optimizer()
        if config.schedule == "cosine":
            cosine = CosineAnnealingLR(optimizer, T_max=int(self.trainer.estimated_stepping_batches))
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}
        plateau = ReduceLROnPlateau(optimizer, factor=config.plateau_factor, patience=config.plateau_patience)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "validation_loss"}}

    def _optimizer(self) -> Optimizer:
        """Muon, or AdamW with amsgrad."""
        config = self.training_config
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if config.optimizer == "muon":
            matrices = {id(parameter) for parameter in weight_matrices(self.model)}
            return Muon(
                [parameter for parameter in trained if id(parameter) in matrices],
                [parameter for parameter in trained if id(parameter) not in matrices],
                config.learning_rate,
                config.weight_decay,
            )
        return torch.optim.AdamW(
            trained,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            amsgrad=True,
            # One kernel for a step; but with mixed precision Lightning refuses to clip gradients for it.
            fused=not config.precision.endswith("mixed"),
        )


class LabelModule(LightningDataModule):
    """The labels of a run, dealt to the processes that train.

    Parameters
    ----------
    config
        The training run.
    training, validation
        One batch per host with all its labels.
    """

    def __init__(self, config: TrainingConfig, training: Sequence[Batch], validation: Sequence[Batch]) -> None:
        super().__init__()
        self.config = config
        self.training = training
        self.validation = validation

    def train_dataloader(self) -> BatchFeed:
        """Batches in an order of every epoch's own."""
        steps, accumulate = self.config.steps_per_epoch, self.config.accumulate
        order = ShuffledOrder(
            [len(batch) for batch in self.training],
            self.config.batch_size,
            self.config.seed,
            batches_per_epoch=None if steps is None else steps * accumulate,
            **self._place(),
        )
        return BatchFeed(self._on_device(self.training), order)

    def val_dataloader(self) -> BatchFeed:
        """Batches in order."""
        pieces = in_order([len(batch) for batch in self.validation], self.config.batch_size, **self._place())
        return BatchFeed(self._on_device(self.validation), pieces)

    def _place(self) -> dict[str, int]:
        if self.trainer is None:
            return {}
        return {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}

    def _on_device(self, whole: Sequence[Batch]) -> list[Batch]:
        """All labels at once: they are small beside what one training step needs."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        return [batch.to(device) for batch in whole]
