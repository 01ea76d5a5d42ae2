"""The DefiNet network, its checkpoints, and the guarded pre-relaxer. Knows nothing of workflows."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = {
    "card": ("Exposure", "ModelCard"),
    "checkpoint": (
        "Checkpoint",
        "CheckpointError",
        "find_checkpoint",
        "list_checkpoints",
        "load_checkpoint",
        "save_checkpoint",
    ),
    "graph": ("HostGraph",),
    "guard": ("Guard", "GuardSettings", "GuardVerdict"),
    "network": ("DefiNet", "DefiNetConfig"),
    "prerelaxer": ("Prediction", "Prerelaxer"),
}


def __getattr__(name: str) -> Any:
    # Settings of the guard are read by every command and every job of a cluster, most of which never need torch.
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")


def __dir__() -> list[str]:
    return __all__
