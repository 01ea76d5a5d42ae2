"""The training file: everything a training run depends on, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from definet_flows.definet.network import DefiNetConfig
from definet_flows.errors import InputError
from definet_flows.training.datasets.split import SplitSettings

Precision = Literal["32", "bf16-mixed", "16-mixed", "64"]


class TrainingConfig(BaseModel):
    """One training run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="Name of the checkpoint")
    labels: tuple[str, ...] = Field(
        default=(),
        description="Label sets (.safetensors), campaign directories or whatever else holds labels, relative to this file; may "
        "be left out where the command line names a campaign",
    )
    skip_bad: bool = Field(
        default=False, description="List and leave out samples that cannot be read, instead of stopping"
    )
    held_out: tuple[str, ...] = Field(
        default=(),
        description="JSON lines of configurations whose clusters must not be trained on, relative to this file",
    )
    max_labels: int | None = Field(default=None, ge=3, description="Use only so many labels (learning curves)")
    start_from: str | None = Field(
        default=None,
        description="Name or folder (relative to this file) of a checkpoint whose weights to start from; the network is then its",
    )
    remarks: tuple[str, ...] = Field(
        default=(), description="Sentences for the model card, such as the teacher's licence and its measured error"
    )
    network: DefiNetConfig = Field(default=DefiNetConfig(), description="Shape of the network")
    split: SplitSettings = Field(default=SplitSettings(), description="Training, validation and test share")
    seed: int = Field(default=0, ge=0, description="Of the initial weights and the order of batches")
    batch_size: int = Field(default=24, ge=1, description="Configurations per batch, all of one host, on each device")
    accumulate: int = Field(
        default=1, ge=1, description="Batches whose gradients are averaged before a step, so that it sees several hosts"
    )
    steps_per_epoch: int | None = Field(
        default=None,
        ge=1,
        description="Optimiser steps between validations; by default one pass over the training labels. Patience and max_epochs "
        "count these epochs",
    )
    optimizer: Literal["adamw", "muon"] = Field(
        default="adamw",
        description="adamw (with amsgrad) is the paper's; muon orthogonalises the steps of weight matrices",
    )
    learning_rate: float = Field(default=1e-4, gt=0, description="Of the optimiser at the start")
    weight_decay: float = Field(default=0.0, ge=0, description="Of the optimiser, decoupled")
    force_weight: float = Field(
        default=0.0,
        ge=0,
        description="Weight in the loss of the forces (eV/Å) that the errors would make under the host's force constants, Å²/eV; "
        "needs labels with force constants",
    )
    schedule: Literal["plateau", "cosine"] = Field(
        default="plateau",
        description="plateau: decay when validation stalls; cosine: to zero over max_epochs",
    )
    plateau_factor: float = Field(default=0.8, gt=0, lt=1, description="Factor on the learning rate at a plateau")
    plateau_patience: int = Field(default=5, ge=0, description="Epochs without improvement before it decays")
    early_stop_patience: int = Field(default=10, ge=1, description="Epochs without improvement before training ends")
    max_epochs: int = Field(default=800, ge=1, description="Epochs at most")
    ema_decay: float = Field(
        default=0.999,
        gt=0,
        lt=1,
        description="Of the moving average of the weights per step, at most (1 + steps) / (10 + steps)",
    )
    gradient_clip: float = Field(default=150.0, gt=0, description="Largest norm of the gradient")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    devices: int = Field(default=1, ge=1, description="GPUs, or processes on a CPU, that share every step's batches")
    precision: Precision = Field(
        default="32",
        description="32; bf16-mixed or 16-mixed (matrix products in 16 bits, the latter on a GPU only); 64",
    )
    threads: int | None = Field(default=None, ge=1, description="Processor threads, all cores by default")
    compile: bool = Field(default=False, description="Compile the network first (needs a C++ compiler)")

    @field_validator("precision", mode="before")
    @classmethod
    def _written_as_a_number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value


def load_training_config(path: str | Path) -> TrainingConfig:
    """Read a training file; paths in it become relative to its folder.

    Raises
    ------
    InputError
        If it is missing, not YAML, or has a wrong or unknown entry.
    """
    file = Path(path)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        config = TrainingConfig.model_validate(content)
    except OSError as error:
        raise InputError(f"Training file {file} cannot be read ({error.strerror}); check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"Training file {file} is not text; give a YAML file.") from error
    except yaml.YAMLError as error:
        raise InputError(f"Training file {file} is not YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        wrong = first["msg"].removeprefix("Value error, ").removesuffix(".")
        unknown = first["type"] == "extra_forbidden" and len(first["loc"]) == 1
        allowed = f"; the fields are {', '.join(TrainingConfig.model_fields)}" if unknown else ""
        raise InputError(f"Training file {file}, {field}: {wrong}{allowed}.") from error
    here: dict[str, Any] = {
        name: tuple(entry if "://" in entry else str(file.parent / entry) for entry in getattr(config, name))
        for name in ("labels", "held_out")
    }
    if config.start_from and (file.parent / config.start_from).is_dir():
        here["start_from"] = str(file.parent / config.start_from)
    if config.split.file:
        here["split"] = config.split.model_copy(update={"file": str(file.parent / config.split.file)})
    return config.model_copy(update=here)
