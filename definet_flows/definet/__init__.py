"""The DefiNet network, its checkpoints, and the guarded pre-relaxer. Knows nothing of workflows."""

from definet_flows.definet.card import Exposure, ModelCard
from definet_flows.definet.checkpoint import (
    Checkpoint,
    CheckpointError,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from definet_flows.definet.graph import HostGraph
from definet_flows.definet.guard import Guard, GuardSettings, GuardVerdict
from definet_flows.definet.network import DefiNet, DefiNetConfig
from definet_flows.definet.prerelaxer import Prediction, Prerelaxer

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "DefiNet",
    "DefiNetConfig",
    "Exposure",
    "Guard",
    "GuardSettings",
    "GuardVerdict",
    "HostGraph",
    "ModelCard",
    "Prediction",
    "Prerelaxer",
    "find_checkpoint",
    "list_checkpoints",
    "load_checkpoint",
    "save_checkpoint",
]
