"""How far predicted coordinates are from relaxed ones, overall and near the defects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.distances import site_distances

FloatArray = npt.NDArray[np.float64]

SHELLS = (3.0, 4.0, 5.0, 6.0)
"""Å; A3 is the error over real atoms within 3 Å of any defect site, periodic images included."""


@dataclass
class CoordinateErrors:
    """Sums of absolute errors per Cartesian component, over all real atoms and over those near a defect.

    The mean absolute error is per component, as in the paper; the mean length of the error vector is the training loss. The two
    differ by a factor of about two and are never mixed.
    """

    _absolute: dict[str, list[float]] = field(default_factory=dict)
    _lengths: list[float] = field(default_factory=list)

    def add(self, configuration: DefectConfiguration, predicted: FloatArray, relaxed: FloatArray) -> None:
        """Count one configuration.

        Parameters
        ----------
        configuration
            Gives real atoms and defect sites.
        predicted, relaxed
            [n_sites, 3] Å, displacements from the pristine sites or positions, both with the same origin.
        """
        occupied = configuration.occupied
        errors = (predicted - relaxed)[occupied]
        nearest = site_distances(configuration.host, configuration.defect_sites).min(axis=0)[occupied]
        self._lengths += np.linalg.norm(errors, axis=1).tolist()
        self._extend("MAE", errors)
        for shell in SHELLS:
            self._extend(f"A{shell:.0f}", errors[nearest <= shell + 1e-6])

    def _extend(self, name: str, errors: FloatArray) -> None:
        self._absolute.setdefault(name, []).extend(np.abs(errors).ravel().tolist())

    def summary(self) -> dict[str, float]:
        """MAE and A3 to A6 per component, and the mean error length, in Å; NaN where no atom was counted."""
        means = {
            f"{name}_angstrom": float(np.mean(values)) if values else np.nan for name, values in self._absolute.items()
        }
        return means | {"error_length_angstrom": float(np.mean(self._lengths)) if self._lengths else np.nan}


def dummy_errors(labelled: Iterable[tuple[DefectConfiguration, FloatArray]]) -> CoordinateErrors:
    """Errors of the Dummy model, which returns its input: all displacements zero.

    Parameters
    ----------
    labelled
        Pairs (configuration, relaxed displacements [n_sites, 3] Å).
    """
    errors = CoordinateErrors()
    for configuration, displacements in labelled:
        errors.add(configuration, np.zeros_like(displacements), displacements)
    return errors
