"""Checkpoint folders: config.json, model.safetensors and MODEL_CARD.md. They carry no code and are checked on load."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from definet_flows.definet.card import ModelCard, render_card
from definet_flows.definet.network import DefiNet, DefiNetConfig
from definet_flows.errors import InputError
from definet_flows.settings import models_directory, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

SCHEMA_VERSION = 1
CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "MODEL_CARD.md"

_Model = TypeVar("_Model", bound=BaseModel)


class CheckpointError(InputError):
    """A checkpoint folder is missing, incomplete, damaged or of another kind."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes
    ----------
    model
        In evaluation mode, on the CPU, in the dtype it was saved in.
    config, card
        The network's shape and the model card.
    content_hash
        16 hexadecimal digits over network, weights and what the guard reads from the card.
    """

    model: DefiNet
    config: DefiNetConfig
    card: ModelCard
    content_hash: str


def content_hash(config: DefiNetConfig, weights: Mapping[str, Tensor], card: ModelCard) -> str:
    """Return the hash that identifies a model's predictions and their verdicts.

    It covers the configuration, every byte of every tensor, and what the guard reads from the card (elements, crystals where they
    are known, and largest trained displacement); the rest of the card may change.
    """
    judged_by = {"elements": sorted(card.elements), "max_displacement_trained": card.max_displacement_trained}
    if card.crystals:
        judged_by["crystals"] = sorted(card.crystals)
    identity = {"network": config.model_dump(mode="json"), "card": judged_by}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def save_checkpoint(directory: str | Path, model: DefiNet, card: ModelCard) -> str:
    """Write a checkpoint folder (made if absent, replaced file by file if present).

    Returns
    -------
    str
        Its content hash.

    Raises
    ------
    CheckpointError
        A weight is NaN or infinite.
    """
    folder = Path(directory)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    _refuse_non_finite(folder, weights)
    identity = content_hash(model.config, weights, card)
    content = {
        "schema_version": SCHEMA_VERSION,
        "content_hash": identity,
        "network": model.config.model_dump(mode="json"),
        "card": card.model_dump(mode="json"),
    }
    n_parameters = sum(tensor.numel() for tensor in weights.values())
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / WEIGHTS_FILE, save(weights))
    _replace(folder / CARD_FILE, render_card(card, model.config, identity, n_parameters).encode())
    _replace(folder / CONFIG_FILE, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    return identity


def load_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """Load a checkpoint by name or folder and check that it is whole and unchanged.

    Raises
    ------
    CheckpointError
        It does not exist, a file is missing, truncated or altered, its schema or tensors do not fit this
        version of the network, or a weight is not finite. The message names the file.

    Examples
    --------
    >>> load_checkpoint("definet-mos2-chgnet").card.name
    'definet-mos2-chgnet'
    """
    folder = find_checkpoint(name_or_path)
    content = _read_config(folder / CONFIG_FILE)
    config = _validated(DefiNetConfig, content, "network", folder)
    card = _validated(ModelCard, content, "card", folder)
    weights = _read_weights(folder / WEIGHTS_FILE)
    model = _model(config, weights, folder)
    _refuse_non_finite(folder, weights)
    identity = content_hash(config, weights, card)
    if identity != content.get("content_hash"):
        raise CheckpointError(
            f"{folder} was altered: its contents hash to {identity}, but {CONFIG_FILE} says "
            f"{content.get('content_hash')}; restore the original folder."
        )
    return Checkpoint(model, config, card, identity)


def list_checkpoints() -> dict[str, Path]:
    """Return {name: folder} of your own checkpoints (``DEFINET_FLOWS_MODELS_DIR``) and the shipped ones, by name."""
    found: dict[str, Path] = {}
    for parent in _search_path():
        if parent.is_dir():
            for config in parent.glob(f"*/{CONFIG_FILE}"):
                found.setdefault(config.parent.name, config.parent)
    return dict(sorted(found.items()))


def find_checkpoint(name_or_path: str | Path) -> Path:
    """Return the folder of a checkpoint given by path or by name.

    Raises
    ------
    CheckpointError
        Neither a folder nor a known name; the message lists the names.
    """
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return path
    known = list_checkpoints()
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    raise CheckpointError(
        f"There is no checkpoint '{name_or_path}'; give the path of a checkpoint folder or one of these names: "
        f"{', '.join(known) or '(none is installed)'}."
    )


def _search_path() -> list[Path]:
    own = settings().models_dir
    return [*([own.expanduser()] if own else []), models_directory()]


def _replace(path: Path, content: bytes) -> None:
    """Write so that a reader never sees half a file."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} is not a checkpoint: it has no {path.name}.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}); restore the original folder.") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise CheckpointError(
            f"{path} has schema version {version}, and this version of definet-flows reads {SCHEMA_VERSION}; "
            f"install the version that wrote it."
        )
    return dict(content)


def _validated(kind: type[_Model], content: Mapping[str, Any], key: str, folder: Path) -> _Model:
    try:
        return kind.model_validate(content.get(key))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([key, *map(str, first["loc"])])
        raise CheckpointError(f"{folder / CONFIG_FILE} has a bad entry '{place}': {first['msg']}.") from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        # Cloned, because tensors lie unaligned in the file and a matrix product's last bits depend on alignment.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} is not a checkpoint: it has no {path.name}.") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is truncated or damaged ({error}); fetch the checkpoint again.") from error


def _model(config: DefiNetConfig, weights: dict[str, Tensor], folder: Path) -> DefiNet:
    """Return the network with these weights, or say which do not fit it."""
    # On the meta device its random start would cost nothing, but importing what draws there takes seconds.
    with torch.random.fork_rng(devices=[]):
        model = DefiNet(config)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    wrong = sorted({name for name, _ in wanted.items() ^ given.items()})
    if wrong:
        raise CheckpointError(
            f"{len(wrong)} tensors in {folder / WEIGHTS_FILE} are missing, unexpected or of another shape than "
            f"{CONFIG_FILE} says: {', '.join(wrong[:5])}{', ...' if len(wrong) > 5 else ''}."
        )
    dtypes = {tensor.dtype for tensor in weights.values()}
    if len(dtypes) != 1 or not dtypes <= {torch.float32, torch.float64}:
        kinds = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
        raise CheckpointError(f"{folder / WEIGHTS_FILE} holds {kinds} tensors; all must be float32 or all float64.")
    model.load_state_dict(weights, assign=True)
    return model.eval()


def _refuse_non_finite(folder: Path, weights: Mapping[str, Tensor]) -> None:
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"Weight {name} of {folder} is not finite; the training diverged or the file is damaged."
            )
