"""Predicted coordinates for a stream of configurations: batched, guarded, in input order."""

from __future__ import annotations

import copy
import logging
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from definet_flows.definet.checkpoint import Checkpoint, load_checkpoint
from definet_flows.definet.graph import HostGraph
from definet_flows.definet.guard import Guard, GuardSettings, GuardVerdict
from definet_flows.definet.inference import FastNetwork, Forward, ModuleForward, prepare
from definet_flows.errors import BrokenDeviceError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from definet_flows.defects import DefectConfiguration, Host
    from definet_flows.definet.card import Exposure

logger = logging.getLogger(__name__)

_CPU_BUDGET = 2**27  # bytes; larger batches are no faster on a CPU
_GPU_SHARE = 0.4  # of the whole memory, not of what is free: the same batches, hence the same digits, in every run
_LARGEST_BATCH = 512
_FAST_BATCH = 32  # the fast route divides it as its cache likes
_FAILURES = (
    RuntimeError,
    MemoryError,
    ValueError,
    IndexError,
    ArithmeticError,
    AssertionError,
)  # of torch, mostly the first
_FEW = 8  # up to so many structures, preparing a host for fast inference takes longer than it saves


@dataclass(frozen=True)
class Prediction:
    """What the pre-relaxer says about one configuration.

    Attributes
    ----------
    configuration
        The input.
    positions
        float64 [n_sites, 3] Å in host site order, or None where the network gave nothing usable. The mean
        displacement of the real atoms from the host positions is zero; vacancy placeholders stay where they were.
    verdict
        Whether the positions may be used. Only ``verdict.passed`` decides, not the presence of positions.
    seconds
        Wall time, a batch's shared equally.
    exposure
        What the checkpoint has seen of this defect cluster: at this size, at another size, or nothing.
    """

    configuration: DefectConfiguration
    positions: NDArray[np.float64] | None
    verdict: GuardVerdict
    seconds: float
    exposure: Exposure


class Prerelaxer:
    """A checkpoint ready to predict.

    Parameters
    ----------
    checkpoint
        Loaded, or a name or folder to load.
    device
        ``auto`` takes a CUDA device where there is one; or ``cpu``, ``cuda``, ``cuda:1``.
    batch_size
        Structures per forward pass; ``auto`` fits it to the memory. It is halved where memory runs out.
    guard
        Limits for predictions; None checks only that they are finite.
    seed
        Seeds the random generators of every forward pass. Today's network draws no random numbers.
    dtype
        torch.float32, torch.float64 or torch.bfloat16; by default that of the checkpoint. In bfloat16 only products are
        rounded to it: weights, coordinates and sums stay float32.
    fast
        False keeps to the plain network also where there are many structures, see :mod:`definet_flows.definet.inference`.

    Raises
    ------
    InputError
        The device is absent or unknown, or the batch size is not a positive number.

    Examples
    --------
    >>> host = Host.from_preset("MoS2", supercell=(4, 4, 1))
    >>> prerelaxer = Prerelaxer("definet-mos2-chgnet", device="cpu")
    >>> for prediction in prerelaxer.predict(enumerate_configurations(host, "W_Mo+V_S")):
    ...     print(prediction.positions.shape, prediction.verdict.passed)
    (48, 3) True
    (48, 3) True
    (48, 3) True
    (48, 3) True
    (48, 3) True
    """

    def __init__(
        self,
        checkpoint: Checkpoint | str | Path,
        device: str = "auto",
        batch_size: int | Literal["auto"] = "auto",
        guard: GuardSettings | None = GuardSettings(),  # noqa: B008  frozen
        *,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        fast: bool = True,
    ) -> None:
        self.checkpoint = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint)
        self.device = resolve_device(device)
        self.batch_size = _checked_batch_size(batch_size)
        self.guard = None if guard is None else Guard(guard, self.checkpoint.card)
        self.seed = seed
        weight = self.checkpoint.model.lin_comb.weight
        self.dtype = dtype or weight.dtype
        self.fast = fast
        stored = torch.float32 if self.dtype == torch.bfloat16 else self.dtype
        model = self.checkpoint.model
        if (self.device, stored) != (weight.device, weight.dtype):
            model = copy.deepcopy(model).to(self.device, stored)  # the checkpoint stays as it was loaded
        self._model = model.eval()

    def predict(self, configurations: Iterable[DefectConfiguration]) -> Iterator[Prediction]:
        """Predict relaxed coordinates, one batch in memory at a time.

        Parameters
        ----------
        configurations
            Of one host; may be endless.

        Yields
        ------
        Prediction
            In input order, one for every configuration. A configuration that the network cannot handle has
            ``positions`` None and the reason in its verdict; the others are not affected.

        Raises
        ------
        InputError
            The configurations are of several hosts.
        BrokenDeviceError
            A GPU cannot be used any more in this process.
        """
        stream = iter(configurations)
        first = next(stream, None)
        if first is None:
            return
        host, done = first.host, 0
        graph = self._graph(host)
        forward: Forward = ModuleForward(self._model, graph, self.dtype)
        size = self._size_for(graph)
        batch = [first, *islice(stream, size - 1)]
        while batch:
            if any(configuration.host != host for configuration in batch):
                raise InputError("The configurations belong to several hosts; predict those of each host separately.")
            if self.fast and done <= _FEW < done + len(batch):
                forward = prepare(self._model, graph, host, self.dtype)
                if isinstance(forward, FastNetwork) and self.batch_size == "auto":
                    size = _FAST_BATCH
            predictions, size = self._predict_batch(batch, forward, size)
            yield from predictions
            done += len(batch)
            batch = list(islice(stream, size))

    def _graph(self, host: Host) -> HostGraph:
        config, dtype = self.checkpoint.config, self._model.lin_comb.weight.dtype
        return HostGraph.build(host, config.graph_radius, config.max_neighbours).to(self.device, dtype)

    def _size_for(self, graph: HostGraph) -> int:
        if self.batch_size != "auto":
            return self.batch_size
        budget = _CPU_BUDGET
        if self.device.type == "cuda":
            budget = int(_GPU_SHARE * torch.cuda.get_device_properties(self.device).total_memory)
        config = self.checkpoint.config
        # At the peak: state, edge weight and product of three times F channels, two products, radial features twice.
        per_edge = 11 * config.features + 2 * config.n_radial
        bytes_per_structure = graph.n_sites * graph.n_neighbours * per_edge * graph.vectors.itemsize
        return max(1, min(_LARGEST_BATCH, budget // bytes_per_structure))

    def _predict_batch(
        self, batch: list[DefectConfiguration], forward: Forward, size: int
    ) -> tuple[list[Prediction], int]:
        """Return the predictions of a batch and the batch size that memory allowed."""
        begin = time.perf_counter()
        known = [c for c in batch if int(c.atomic_numbers.max()) < self.checkpoint.config.n_elements]
        outcomes, size = self._attempt(known, forward, size)
        found = {id(c): outcome for c, outcome in zip(known, outcomes, strict=True)}
        seconds = (time.perf_counter() - begin) / len(batch)
        unknown = f"checkpoint {self.checkpoint.card.name} has no embedding for one of its elements"
        return [self._prediction(c, found.get(id(c), unknown), seconds) for c in batch], size

    def _attempt(
        self, batch: Sequence[DefectConfiguration], forward: Forward, size: int
    ) -> tuple[list[NDArray[np.float64] | str], int]:
        """Run the network, on halves of a batch that fails; what fails alone gets the reason as its outcome."""
        if not batch:
            return [], size
        try:
            return list(self._displacements(batch, forward)), size
        except _FAILURES as error:
            if _breaks_device(error):
                raise BrokenDeviceError(
                    f"The network broke the GPU at one of {len(batch)} structures ({_first_line(error)}): predict them one by "
                    "one, each process up to the first that fails."
                ) from error
            if len(batch) == 1:
                logger.warning("no prediction for %s: %s", batch[0].id, error)
                return [_reason(error)], size
            out_of_memory = is_out_of_memory(error)
        # Outside the handler, so that the traceback no longer holds the failed attempt's tensors.
        half = (len(batch) + 1) // 2
        if out_of_memory:
            logger.warning("out of memory with %d structures at once, going on with %d", len(batch), half)
            size = min(size, half)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        first, size = self._attempt(batch[:half], forward, size)
        second, size = self._attempt(batch[half:], forward, size)
        return first + second, size

    def _displacements(self, batch: Sequence[DefectConfiguration], forward: Forward) -> NDArray[np.float64]:
        """Return raw displacements [B, n_sites, 3] in Å."""
        atomic_numbers, markers = (
            torch.from_numpy(np.stack(arrays)).long()
            for arrays in ([c.atomic_numbers for c in batch], [c.markers for c in batch])
        )
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.seed)
            displacements = forward(atomic_numbers, markers)
        return displacements.double().cpu().numpy()

    def _prediction(
        self, configuration: DefectConfiguration, outcome: NDArray[np.float64] | str, seconds: float
    ) -> Prediction:
        seen = self.checkpoint.card.exposure(configuration)
        if isinstance(outcome, str):
            reasons = [] if self.guard is None else self.guard.unfamiliar(configuration)
            return Prediction(configuration, None, GuardVerdict.of([*reasons, outcome], None), seconds, seen)
        positions = configuration.host.positions + centred(outcome, configuration.occupied)
        verdict = self._verdict(configuration, positions)
        usable = positions if verdict.max_displacement is not None else None
        return Prediction(configuration, usable, verdict, seconds, seen)

    def _verdict(self, configuration: DefectConfiguration, positions: NDArray[np.float64]) -> GuardVerdict:
        if self.guard is not None:
            return self.guard.check(configuration, positions)
        if not np.isfinite(positions).all():
            return GuardVerdict.of(["the predicted coordinates are not finite"], None)
        displacements = np.linalg.norm(positions - configuration.host.positions, axis=1)
        return GuardVerdict.of([], float(displacements.max()))


def centred(displacements: NDArray[np.float64], occupied: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return displacements [n_sites, 3] with zero mean over the real atoms and none on the placeholders.

    Nothing tells an infinite crystal's rigid translation, so none is allowed to pass for relaxation.
    """
    inner = displacements - displacements[occupied].mean(axis=0)
    return np.where(occupied[:, None], inner, 0.0)


def resolve_device(name: str) -> torch.device:
    """Return the torch device of a name; ``auto`` prefers CUDA.

    Raises
    ------
    InputError
        There is no such device here.
    """
    if name == "auto":
        return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in {"cpu", "cuda"}:
        raise InputError(f"'{name}' is not a device; use auto, cpu, cuda or cuda:N.")
    if device.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError(f"Device '{name}' was asked for, but torch sees no CUDA device here; use auto or cpu.")
    index = device.index if ":" in name else torch.cuda.current_device()
    if index >= torch.cuda.device_count():
        raise InputError(f"Device '{name}' was asked for, but there are only {torch.cuda.device_count()} CUDA devices.")
    return torch.device("cuda", index)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell running out of memory, on either device, from other failures."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return any(phrase in text for phrase in ("out of memory", "not enough memory", "can't allocate memory"))


def _reason(error: BaseException) -> str:
    if is_out_of_memory(error):
        return "the structure alone does not fit into the memory"
    return f"the network failed on it ({_first_line(error)})"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _breaks_device(error: BaseException) -> bool:
    """Whether a GPU's context is lost with this error: whatever is asked of it afterwards fails as well."""
    return "CUDA error" in str(error) and not is_out_of_memory(error)


def _checked_batch_size(batch_size: int | Literal["auto"]) -> int | Literal["auto"]:
    if batch_size != "auto" and not (type(batch_size) is int and batch_size >= 1):
        raise InputError(f"The batch size must be 'auto' or a whole number from 1 up, not {batch_size!r}.")
    return batch_size
