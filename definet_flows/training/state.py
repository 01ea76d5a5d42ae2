"""The resumable state of a training: which run it belongs to, and whether it can be continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from definet_flows.definet.checkpoint import CONFIG_FILE, Checkpoint, CheckpointError
from definet_flows.definet.importing import read_torch_file
from definet_flows.errors import InputError
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.sources import LabelPool
from definet_flows.training.datasets.split import Split

FOLDER = "training"
"""Inside the output folder: states, logs, the split and the learning curve."""

LAST_STATE = "last.ckpt"
"""What resuming reads."""

SPLIT_FILE = "split.json"
"""Which configuration is in which share."""

RUN_KEY = "definet_flows_run"
"""Where a saved state says which run it belongs to."""

BEST_STATE = "best.ckpt"
"""The epoch with the smallest validation loss, which becomes the checkpoint."""

_MAY_CHANGE = {"name", "remarks", "device", "threads", "compile"}
"""Settings of a training file that change where and how fast it runs and what its card says, but not the weights."""

_SEEN_OTHERWISE = {"labels", "skip_bad", "held_out", "max_labels", "split", "start_from"}
"""Settings whose outcome is compared instead."""


def run_identity(config: TrainingConfig, pool: LabelPool, split: Split, start: Checkpoint | None) -> dict[str, Any]:
    """What two parts of one training must have in common, as plain values by name.

    A plateau schedule does not depend on how many epochs are to come, so `max_epochs` may grow; a cosine does.
    """
    ignored = _MAY_CHANGE | _SEEN_OTHERWISE | ({"max_epochs"} if config.schedule == "plateau" else set())
    return {
        **config.model_dump(mode="json", exclude=ignored),
        "labels": pool.content_hash,
        "split": split.hash,
        "start_from": start.content_hash if start else None,
    }


def check_output(out: Path, *, resume: bool) -> Path | None:
    """Return the state to go on from, None for a new run.

    Raises
    ------
    InputError
        If there is nothing to resume, or a new run would overwrite something.
    """
    state = out / FOLDER / LAST_STATE
    if resume and not state.is_file():
        raise InputError(f"There is no interrupted training in {out}; start it without --resume.")
    if not resume and state.is_file():
        raise InputError(f"{out} holds a training run already; go on with --resume or choose another folder.")
    if not resume and (out / CONFIG_FILE).is_file():
        raise InputError(f"{out} holds a checkpoint already; choose another folder.")
    return state if resume else None


def check_state(state: Path, identity: dict[str, Any]) -> None:
    """Refuse a state that cannot be continued, before the trainer meets it.

    Raises
    ------
    InputError
        If the file is damaged, or belongs to a run with other settings, labels or another split.
    """
    try:
        stored = read_torch_file(state)
    except CheckpointError as error:
        raise InputError(f"{state} is damaged; remove {state.parent} and train from the start.") from error
    then = stored.get(RUN_KEY) if isinstance(stored, dict) else None
    if then is None:
        raise InputError(
            f"{state} does not say what it was trained on; remove {state.parent} and train from the start."
        )
    changed = [name for name, value in identity.items() if then.get(name) != value]
    if changed:
        listed = ", ".join(changed)
        raise InputError(
            f"{state} was trained with another {listed}; restore the training file's {listed} or choose another folder."
        )
