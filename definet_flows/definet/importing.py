"""Weights trained with the authors' code, brought into this project's checkpoint format.

Their ``model.pt`` is a plain dict of parameter tensors under the names this network uses too. The file says nothing of cutoffs,
which therefore have to be given, and it is a pickle: it is read with ``weights_only``, so that no code in it runs.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols
from pydantic import ValidationError
from torch import Tensor

from definet_flows.definet.card import ModelCard
from definet_flows.definet.checkpoint import CheckpointError, save_checkpoint
from definet_flows.definet.network import DefiNet, DefiNetConfig

DATABASE_ELEMENTS = ("B", "C", "N", "P", "S", "Se", "Mo", "W", "Ga", "In")
"""Hosts and dopants of the 2DMD database, on which the published models are trained."""

_DAMAGE = (
    pickle.UnpicklingError,
    struct.error,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What torch's restricted unpickler raises on files cut short, altered or of another kind; it has no error of its own."""

_LAYER = re.compile(r"message_passing_layers\.(\d+)\.")
_CENTRES = "radial_basis.rbf.offset"
_CENTRE_TOLERANCE = 1e-5


def import_state_dict(
    file: str | Path,
    output: str | Path,
    *,
    radial_cutoff: float = 30.0,
    graph_radius: float = 6.0,
    max_neighbours: int = 50,
    elements: tuple[str, ...] = DATABASE_ELEMENTS,
    max_displacement: float = 1.0,
) -> str:
    """Convert a ``model.pt`` of the authors' training code into a checkpoint folder.

    Parameters
    ----------
    file
        A dict {parameter name: tensor} saved with ``torch.save``.
    output
        Checkpoint folder to write.
    radial_cutoff, graph_radius
        Å, as the model was trained.
    max_neighbours
        As the model was trained.
    elements
        What it was trained on; the guard refuses others.
    max_displacement
        Å, largest displacement in its training labels; the guard refuses predictions well beyond it.

    Returns
    -------
    str
        Content hash of the checkpoint.

    Raises
    ------
    CheckpointError
        If the file is no such dict, or its names or shapes do not fit the network; the message names them.
    """
    weights = _read(Path(file))
    _drop_centres(weights)
    config = _config(
        _shape(weights)
        | {"radial_cutoff": radial_cutoff, "graph_radius": graph_radius, "max_neighbours": max_neighbours}
    )
    unknown = sorted(set(elements) - set(chemical_symbols[1:]))
    if unknown or not elements:
        raise CheckpointError(
            f"{', '.join(unknown) or 'Nothing'} is not an element; name those the model was trained on."
        )
    model = DefiNet(config)
    _check_names(weights, model.state_dict())
    model.load_state_dict(weights)
    card = ModelCard(
        name=Path(output).name,
        hosts=(),
        elements=elements,
        teacher="unknown (imported)",
        label_source=f"imported from {Path(file).name}",
        licence="that of the imported weights",
        max_displacement_trained=max_displacement,
        limits=(
            "Imported weights: what they were trained on is what the importer said, not what this project measured.",
        ),
    )
    return save_checkpoint(output, model, card)


def read_torch_file(file: Path) -> Any:
    """Content of a file that ``torch.save`` wrote, on the CPU, read without running any code in it.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or holds more than tensors and plain values.
    """
    if not file.is_file():
        raise CheckpointError(f"There is no file {file}; check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols and storages, which a damaged file seems to have
            return torch.load(file, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{file} is not a file of weights that can be read safely ({reason}).") from error


def _read(file: Path) -> dict[str, Tensor]:
    content = read_torch_file(file)
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{file} holds a {type(content).__name__}, not a dict of parameter tensors.")
    others = [str(name) for name, tensor in content.items() if not isinstance(tensor, Tensor)]
    if others:
        raise CheckpointError(
            f"{file} is not a plain state dict: {_listed(others)} are not tensors; save model.state_dict()."
        )
    return {str(name): tensor.float() for name, tensor in content.items()}


def _drop_centres(weights: dict[str, Tensor]) -> None:
    """Check the buffer of Gaussian centres that a full state dict may hold, then leave it out: it follows from its length."""
    centres = weights.pop(_CENTRES, None)
    if centres is None:
        return
    expected = torch.linspace(0, 1, len(centres))
    if centres.shape != expected.shape or (centres - expected).abs().max() > _CENTRE_TOLERANCE:
        raise CheckpointError(f"{_CENTRES} is not evenly spaced on [0, 1]; this network has no such radial functions.")


def _shape(weights: dict[str, Tensor]) -> dict[str, float]:
    """Settings of the network that follow from the shapes of its tensors."""
    try:
        n_elements, features = weights["atom_emb.embeddings.weight"].shape
        n_radial = weights["message_passing_layers.0.edge_proj.weight"].shape[1]
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointError(
            f"These are not the weights of a DefiNet: {error} is missing or has another shape."
        ) from error
    layers = {int(match[1]) for match in map(_LAYER.match, weights) if match}
    return {"features": features, "n_layers": len(layers), "n_radial": n_radial, "n_elements": n_elements}


def _config(settings: dict[str, float]) -> DefiNetConfig:
    try:
        return DefiNetConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise CheckpointError(f"{first['loc'][0]} is {first['input']!r}: {first['msg'].lower()}.") from error


def _check_names(weights: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    missing = [name for name in wanted if name not in weights]
    unexpected = [name for name in weights if name not in wanted]
    misshapen = [name for name in wanted if name in weights and weights[name].shape != wanted[name].shape]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    problems = [f"{kind}: {_listed(names)}" for kind, names in kinds.items() if names]
    if problems:
        raise CheckpointError(f"The file does not fit DefiNet; {'; '.join(problems)}.")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
