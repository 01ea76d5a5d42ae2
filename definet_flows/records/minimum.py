"""Whether two relaxations of one configuration ended in the same minimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from definet_flows.defects.distances import SAME_STRUCTURE, minimum_image

FloatArray = npt.NDArray[np.float64]
Lower = Literal["unrelaxed", "prerelaxed", "equal"]

ENERGY_TOLERANCE = {"forcefield": 0.001}
DFT_ENERGY_TOLERANCE = 0.005
"""eV per cell; ends of the same minimum differ by less (potentials are smoother than a self-consistency cycle)."""

MOMENT_TOLERANCE = 0.1
"""Bohr magnetons per cell; ends of the same minimum differ by less."""


@dataclass(frozen=True)
class End:
    """Where a converged relaxation ended.

    Attributes
    ----------
    positions
        [n_atoms, 3] Å, real atoms only, in the same order for both ends.
    energy
        eV.
    moment
        Total magnetic moment in Bohr magnetons; None without spin.
    """

    positions: FloatArray
    energy: float
    moment: float | None


@dataclass(frozen=True)
class Comparison:
    """The unrelaxed start's end against the prerelaxed start's.

    Attributes
    ----------
    same
        Whether they are the same minimum.
    distance
        Largest distance of an atom, rigid translation removed, Å.
    energy
        Prerelaxed minus unrelaxed, eV.
    moment
        Prerelaxed minus unrelaxed, Bohr magnetons; None without spin.
    lower
        Which start ended lower by at least the energy tolerance.
    """

    same: bool
    distance: float
    energy: float
    moment: float | None
    lower: Lower


def energy_tolerance(engine_name: str) -> float:
    """Largest energy difference in eV per cell between two ends of the same minimum, by engine."""
    return ENERGY_TOLERANCE.get(engine_name, DFT_ENERGY_TOLERANCE)


def compare_ends(unrelaxed: End, prerelaxed: End, lattice: FloatArray, engine_name: str) -> Comparison:
    """Decide whether two ends are the same minimum.

    Parameters
    ----------
    unrelaxed, prerelaxed
        The two ends.
    lattice
        [3, 3] rows in Å.
    engine_name
        Decides the energy tolerance.
    """
    tolerance = energy_tolerance(engine_name)
    distance = largest_distance(unrelaxed.positions, prerelaxed.positions, lattice)
    energy = prerelaxed.energy - unrelaxed.energy
    moment = None if prerelaxed.moment is None or unrelaxed.moment is None else prerelaxed.moment - unrelaxed.moment
    same_moment = moment is None or abs(moment) < MOMENT_TOLERANCE
    lower: Lower = "equal" if abs(energy) < tolerance else ("prerelaxed" if energy < 0 else "unrelaxed")
    same = distance < SAME_STRUCTURE and abs(energy) < tolerance and same_moment
    return Comparison(same, distance, energy, moment, lower)


def largest_distance(first: FloatArray, second: FloatArray, lattice: FloatArray) -> float:
    """Largest distance of an atom between two sets of coordinates, a rigid translation removed.

    Parameters
    ----------
    first, second
        [n_atoms, 3] Å in the same order; either may be wrapped into other periodic images.
    lattice
        [3, 3] rows in Å.

    Returns
    -------
    float
        Å.
    """
    apart = second - first  # [n_atoms, 3]
    # Relative to one atom the differences are small, so that wrapping cannot tear a translation apart.
    relative = minimum_image(apart - apart[0], lattice)
    return float(np.linalg.norm(minimum_image(relative - relative.mean(axis=0), lattice), axis=1).max())
