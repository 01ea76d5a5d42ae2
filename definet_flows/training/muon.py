"""The Muon optimiser: weight matrices move along orthogonalised momentum, everything else by AdamW.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the step length of Liu et al.,
arXiv:2502.16982 (2025), under which a learning rate means about what it does for Adam. PyTorch has one from 2.9 on; its products
are in bfloat16, slow on a CPU that has none, and it takes no parameters beside matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

_MOMENTUM = 0.95
_SMALL = 1e-8
_ITERATIONS = 5
_QUINTIC = 3.4445, -4.7750, 2.0315
"""Coefficients of the odd polynomial that takes every singular value to between about 0.7 and 1.2 in five iterations."""

_RMS_OF_ADAM = 0.2
"""Root mean square of the entries of a step, in learning rates."""

_ADAM_SHARE = 0.3
"""Learning rate of everything that is no matrix, in that of the matrices."""


def orthogonalised(matrix: Tensor) -> Tensor:
    """The matrix [m, n] with its singular values all made about one, by Newton-Schulz iterations."""
    tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if tall else matrix
    x: Tensor = wide / wide.norm().clamp(min=_SMALL)
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def weight_matrices(module: nn.Module) -> Iterator[Tensor]:
    """Weights of the linear maps between features; embeddings are tables, and a map to one number is a vector."""
    for part in module.modules():
        if isinstance(part, nn.Linear) and min(part.weight.shape) > 1:
            yield part.weight


def muon_step(gradient: Tensor, state: dict[str, Any]) -> Tensor:
    """Step of a matrix for a learning rate of one; `state` is what is remembered of the steps before."""
    state.setdefault("step", torch.zeros(()))  # AdamW looks for one when it is loaded
    momentum: Tensor = state.setdefault("momentum", torch.zeros_like(gradient))
    momentum.lerp_(gradient, 1 - _MOMENTUM)
    ahead = torch.lerp(gradient, momentum, _MOMENTUM)
    step: Tensor = _RMS_OF_ADAM * max(gradient.shape) ** 0.5 * orthogonalised(ahead)
    return step


class Muon(AdamW):
    """Muon for some parameters, AdamW for the others.

    Parameters
    ----------
    matrices
        Two-dimensional parameters, moved along orthogonalised Nesterov momentum.
    others
        Any parameters, moved by AdamW with 0.3 of the learning rate.
    lr
        Learning rate.
    weight_decay
        Decoupled.
    """

    def __init__(
        self, matrices: Iterable[Tensor], others: Iterable[Tensor], lr: float, weight_decay: float = 0.0
    ) -> None:
        groups = [{"params": list(matrices), "lr": lr}, {"params": list(others), "lr": _ADAM_SHARE * lr}]
        super().__init__(groups, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; returns what the closure does. The gradients of matrices are used up."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        matrices = self.param_groups[0]
        for parameter in matrices["params"]:
            if parameter.grad is not None:
                parameter.mul_(1 - matrices["lr"] * matrices["weight_decay"])
                parameter.sub_(matrices["lr"] * muon_step(parameter.grad, self.state[parameter]))
                parameter.grad = None  # AdamW passes over what has none
        super().step()
        return result
