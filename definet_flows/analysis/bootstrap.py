"""Confidence intervals by the percentile bootstrap, and those of the share of ionic steps saved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
CONFIDENCE = 0.95

FloatArray = npt.NDArray[np.float64]
Interval = tuple[float, float]


def bootstrap(values: FloatArray, statistic: Callable[[FloatArray], FloatArray], seed: int = 0) -> Interval | None:
    """The interval that a statistic of resampled values lies in.

    Parameters
    ----------
    values
        [n_values, ...], independent of each other.
    statistic
        Of [n_resamples, n_values, ...] resampled values, one number each.
    seed
        Of the resampling.

    Returns
    -------
    tuple or None
        The central 95 %; None for fewer than two values.
    """
    n_values = len(values)
    if n_values < 2:
        return None
    drawn = values[np.random.default_rng(seed).integers(n_values, size=(RESAMPLES, n_values))]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(statistic(drawn), [tail, 1 - tail])
    return float(low), float(high)


def reduction_of_totals(steps: FloatArray) -> FloatArray:
    """Share saved of the total of [..., n_pairs, 2] unrelaxed and prerelaxed steps."""
    return _reduction(steps.sum(axis=-2))


def reduction_of_medians(steps: FloatArray) -> FloatArray:
    """Share saved of the median of [..., n_pairs, 2] unrelaxed and prerelaxed steps."""
    return _reduction(np.median(steps, axis=-2))


def _reduction(steps: FloatArray) -> FloatArray:
    """Of [..., 2] steps; every run evaluates the forces at least once."""
    return np.asarray(1 - steps[..., 1] / np.maximum(steps[..., 0], 1.0))
