"""Labels, splits, the one training entry point and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from definet_flows.training.evaluation import evaluate
    from definet_flows.training.fitting import train

__all__ = ["evaluate", "train"]


def __getattr__(name: str) -> Any:
    # Label sets are read without torch and Lightning, which take seconds to import.
    if name == "train":
        from definet_flows.training.fitting import train

        return train
    if name == "evaluate":
        from definet_flows.training.evaluation import evaluate

        return evaluate
    raise AttributeError(f"module {__name__} has no attribute {name}")
