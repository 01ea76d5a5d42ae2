"""How far predicted coordinates are from relaxed ones, overall and by distance from the nearest defect.

Everything is sums and counts, so that memory does not grow with the number of configurations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.distances import site_distances

FloatArray = npt.NDArray[np.float64]

SHELLS = (3.0, 4.0, 5.0, 6.0)
"""Å; A3 is the error over real atoms within 3 Å of any defect site, periodic images included."""

RINGS = (2.0, *SHELLS, 7.0, 8.0)
"""Å, outer radii of the rings around the defects that errors are summed in; the last ring has none."""

RING_NAMES = tuple(
    [f"{inner:g} to {outer:g}" for inner, outer in zip((0.0, *RINGS), RINGS, strict=False)] + [f"over {RINGS[-1]:g}"]
)
"""Names of the rings, in Å."""

_ROUNDING = 1e-6  # Å; an atom exactly at a radius lies within it
_COMPONENTS, _LENGTHS, _ATOMS = range(3)
"""Columns of the sums: absolute errors per component, lengths of error vectors, real atoms."""


def nearest_defect(configuration: DefectConfiguration) -> FloatArray:
    """[n_sites] Å from every pristine site to the nearest defect site, periodic images included."""
    return np.asarray(site_distances(configuration.host, configuration.defect_sites).min(axis=0))


class CoordinateErrors:
    """Errors over real atoms, in total and in rings around the defects.

    The mean absolute error is per Cartesian component, as in the paper; the mean length of the error vector is the training loss.
    The two differ by a factor of about two and are never mixed. Structures are pooled atom by atom.

    Attributes
    ----------
    n_configurations
        Configurations counted.
    """

    def __init__(self) -> None:
        self._sums = np.zeros((len(RING_NAMES), 3))  # [n_rings, 3]
        self.n_configurations = 0

    @property
    def sums(self) -> list[list[float]]:
        """[n_rings][3] absolute errors of components in Å, lengths of error vectors in Å, real atoms; read by `of_sums`."""
        return [[float(value) for value in ring] for ring in self._sums]

    @classmethod
    def of_sums(cls, sums: npt.ArrayLike) -> CoordinateErrors:
        """Errors of one configuration from its `sums`."""
        errors = cls()
        errors._sums += np.asarray(sums, dtype=np.float64)
        errors.n_configurations = 1
        return errors

    def add(
        self,
        configuration: DefectConfiguration,
        predicted: FloatArray,
        relaxed: FloatArray,
        distances: FloatArray | None = None,
    ) -> None:
        """Count one configuration.

        Parameters
        ----------
        configuration
            Gives real atoms and defect sites.
        predicted, relaxed
            [n_sites, 3] Å, displacements from the pristine sites or positions, both with the same origin.
        distances
            [n_sites] Å from `nearest_defect`, where they are at hand.
        """
        occupied = configuration.occupied
        errors = np.asarray(predicted - relaxed, dtype=np.float64)[occupied]
        nearest = (nearest_defect(configuration) if distances is None else distances)[occupied]
        ring = np.searchsorted(RINGS, nearest - _ROUNDING)
        columns = (np.abs(errors).sum(axis=1), np.linalg.norm(errors, axis=1), np.ones(len(errors)))
        self._sums += np.column_stack([np.bincount(ring, column, len(RING_NAMES)) for column in columns])
        self.n_configurations += 1

    def __add__(self, other: CoordinateErrors) -> CoordinateErrors:
        both = CoordinateErrors()
        both._sums = self._sums + other._sums
        both.n_configurations = self.n_configurations + other.n_configurations
        return both

    def summary(self) -> dict[str, float]:
        """MAE and A3 to A6 per component, and the mean error length, in Å; NaN where no atom was counted."""
        total = self._sums.sum(axis=0)
        within = {f"A{shell:.0f}": self._sums[: RINGS.index(shell) + 1].sum(axis=0) for shell in SHELLS}
        means = {f"{name}_angstrom": _per_component(sums) for name, sums in {"MAE": total, **within}.items()}
        return means | {"error_length_angstrom": _ratio(total[_LENGTHS], total[_ATOMS])}

    def by_ring(self) -> dict[str, tuple[float, int]]:
        """MAE per component in Å and real atoms, of each ring around the nearest defect."""
        return {
            name: (_per_component(sums), int(sums[_ATOMS])) for name, sums in zip(RING_NAMES, self._sums, strict=True)
        }


class LengthHistogram:
    """How often a predicted displacement length goes with a relaxed one, counted on a logarithmic grid.

    Attributes
    ----------
    edges
        [n_bins + 1] Å, the same for both axes; what lies outside counts in the first or last bin.
    counts
        [n_bins, n_bins] atoms; rows are relaxed lengths, columns predicted ones.
    """

    def __init__(self) -> None:
        self.edges: FloatArray = np.geomspace(1e-3, 10**0.5, 71)
        self.counts = np.zeros((len(self.edges) - 1, len(self.edges) - 1), dtype=np.int64)

    def add(self, predicted: FloatArray, relaxed: FloatArray) -> None:
        """Count displacements [n_atoms, 3] Å of real atoms."""
        rows, columns = (
            np.clip(np.searchsorted(self.edges, np.linalg.norm(vectors, axis=1)) - 1, 0, len(self.counts) - 1)
            for vectors in (relaxed, predicted)
        )
        np.add.at(self.counts, (rows, columns), 1)


def _per_component(sums: FloatArray) -> float:
    return _ratio(sums[_COMPONENTS], 3 * sums[_ATOMS])


def _ratio(total: float, count: float) -> float:
    return float(total / count) if count else float("nan")
