"""How far a prediction is from what its checkpoint was trained on, and how far checkpoints disagree about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from definet_flows.records.minimum import FloatArray

Quantiles = Sequence[tuple[float, float]]
"""[share of the atoms of the training labels, displacement in Å that they stayed below]."""

USUAL_SHARE = 0.99
"""Trust falls with the largest displacement in units of what this share of the trained atoms stayed below."""


def displacement_quantile(displacement: float | None, quantiles: Quantiles) -> float | None:
    """Share of the atoms of the training labels that moved less than a displacement.

    Parameters
    ----------
    displacement
        Å; None where nothing was predicted.
    quantiles
        As `ModelSummary` has them; between them the share grows linearly.

    Returns
    -------
    float or None
        None where either is not known.
    """
    if displacement is None or not quantiles:
        return None
    shares, lengths = _curve(quantiles)
    return float(np.interp(displacement, lengths, shares))


def trust(passed: bool, displacement: float | None, quantiles: Quantiles) -> float | None:
    """One number between 0 and 1 for a prediction: exp(-d/d₉₉).

    d is the largest predicted displacement, and d₉₉ what 99 % of the atoms of the training labels stayed below.

    Parameters
    ----------
    passed
        Whether the guard lets a relaxation start from it; 0 where it does not.
    displacement, quantiles
        As for `displacement_quantile`.
    """
    if not passed:
        return 0.0
    if displacement is None or not quantiles:
        return None
    shares, lengths = _curve(quantiles)
    return float(np.exp(-displacement / np.interp(USUAL_SHARE, shares, lengths)))


def committee_spread(positions: FloatArray, others: Iterable[FloatArray]) -> float | None:
    """Largest root-mean-square distance between a prediction and those of other checkpoints.

    Parameters
    ----------
    positions, others
        [n_atoms, 3] Å, real atoms only, in the same order; none of them wrapped into the cell.

    Returns
    -------
    float or None
        Å, a rigid translation removed; None where there is no other.
    """
    return max((_deviation(positions, other) for other in others), default=None)


def _deviation(first: FloatArray, second: FloatArray) -> float:
    apart = second - first  # [n_atoms, 3]
    return float(np.sqrt(np.square(apart - apart.mean(axis=0)).sum(axis=1).mean()))


def _curve(quantiles: Quantiles) -> tuple[list[float], list[float]]:
    """Shares and displacements in ascending order, from no displacement on."""
    pairs = sorted([(0.0, 0.0), *quantiles])
    return [share for share, _ in pairs], [length for _, length in pairs]
