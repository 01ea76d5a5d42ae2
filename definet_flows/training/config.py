"""The training file: everything a training run depends on, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from definet_flows.definet.network import DefiNetConfig
from definet_flows.errors import InputError
from definet_flows.training.datasets.split import SplitSettings


class TrainingConfig(BaseModel):
    """One training run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="Name of the checkpoint")
    labels: tuple[str, ...] = Field(
        min_length=1, description="Label sets (.safetensors) or campaign directories, relative to this file"
    )
    held_out: tuple[str, ...] = Field(
        default=(),
        description="JSON lines of configurations whose clusters must not be trained on, relative to this file",
    )
    max_labels: int | None = Field(default=None, ge=3, description="Use only so many labels (learning curves)")
    skip_bad: bool = Field(
        default=False, description="List and leave out samples that cannot be read, instead of stopping"
    )
    network: DefiNetConfig = Field(default=DefiNetConfig(), description="Shape of the network")
    split: SplitSettings = Field(default=SplitSettings(), description="Training, validation and test share")
    seed: int = Field(default=0, description="Of the initial weights and the order of batches")
    batch_size: int = Field(default=24, ge=1, description="Configurations per optimiser step, of one host each")
    learning_rate: float = Field(default=1e-4, gt=0, description="Of AdamW (amsgrad) at the start")
    weight_decay: float = Field(default=0.0, ge=0, description="Of AdamW")
    force_weight: float = Field(
        default=0.0,
        ge=0,
        description="Weight in the loss of the forces (eV/Å) that the errors would make in the pristine host, Å²/eV; needs "
        "labels with force constants",
    )
    schedule: Literal["plateau", "cosine"] = Field(
        default="plateau",
        description="plateau: decay when validation stalls; cosine: to zero over max_epochs",
    )
    plateau_factor: float = Field(default=0.8, gt=0, lt=1, description="Factor on the learning rate at a plateau")
    plateau_patience: int = Field(default=5, ge=0, description="Epochs without improvement before it decays")
    early_stop_patience: int = Field(default=10, ge=1, description="Epochs without improvement before training ends")
    max_epochs: int = Field(default=800, ge=1, description="Passes over the training set at most")
    ema_decay: float = Field(default=0.999, gt=0, lt=1, description="Of the moving average of the weights per step")
    gradient_clip: float = Field(default=150.0, gt=0, description="Largest norm of the gradient")
    device: str = Field(default="auto", description="auto, cpu or cuda")
    threads: int | None = Field(default=None, ge=1, description="Processor threads, all cores by default")
    compile: bool = Field(default=False, description="Compile the network first (needs a C++ compiler)")


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
        allowed = ", ".join(TrainingConfig.model_fields)
        raise InputError(f"Training file {file}, {field}: {first['msg']}; the fields are {allowed}.") from error
    here = {name: tuple(str(file.parent / entry) for entry in getattr(config, name)) for name in ("labels", "held_out")}
    return config.model_copy(update=here)
