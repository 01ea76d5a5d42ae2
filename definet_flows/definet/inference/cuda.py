"""The network on a GPU for many structures: compiled for one batch size, replayed as a CUDA graph.

Written for a GPU and tested on a CPU only as far as that goes: nothing here has been timed or run on a CUDA device.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


class StaticForward:
    """Calls a forward pass always with the size of the first batch, so that it is compiled once.

    Batches are copied through page-locked memory, two buffers in turn, so that filling one does not wait for the copy from the
    other. Smaller batches are padded with their first structure. Where compiling fails, the plain network goes on, with one
    line in the log.

    Parameters
    ----------
    forward
        From atomic numbers and markers, int64 [B, N], to displacements [B, N, 3] on the device.
    device
        Where it runs.
    compiler
        Makes the compiled form of ``forward``.
    """

    def __init__(
        self,
        forward: Callable[[Tensor, Tensor], Tensor],
        device: torch.device,
        compiler: Callable[[Callable[[Tensor, Tensor], Tensor]], Callable[[Tensor, Tensor], Tensor]] | None = None,
    ) -> None:
        self._plain, self._device = forward, device
        self._compiled = (compiler or _compiled)(forward)
        self._buffers: list[Tensor] = []
        self._turn = 0

    def __call__(self, atomic_numbers: Tensor, markers: Tensor) -> Tensor:
        """Return displacements [B, N, 3] Å on the device."""
        size = len(markers)
        on_device = self._copied(torch.stack([atomic_numbers, markers]))
        try:
            return self._compiled(*on_device)[:size].clone()  # a CUDA graph writes the next result to the same place
        except torch.OutOfMemoryError:
            self._buffers = []  # the next, smaller batch sets the size
            raise
        except RuntimeError as error:
            logger.warning("the network cannot be compiled here (%s): it goes on without", str(error).split("\n")[0])
            self._compiled = self._plain
            return self._plain(*on_device)[:size]

    def _copied(self, batch: Tensor) -> Tensor:
        """Return a batch [2, B, N] on the device, padded to the first one's size."""
        size = batch.shape[1]
        if not self._buffers or size > self._buffers[0].shape[1]:
            pinned = self._device.type == "cuda"
            self._buffers = [torch.empty_like(batch, pin_memory=pinned) for _ in range(2)]
        self._turn = 1 - self._turn
        buffer = self._buffers[self._turn]
        buffer[:, :size], buffer[:, size:] = batch, batch[:, :1]
        return buffer.to(self._device, non_blocking=True)


def _compiled(forward: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    compiled: Callable[[Tensor, Tensor], Tensor] = torch.compile(forward, mode="reduce-overhead", dynamic=False)
    return compiled
