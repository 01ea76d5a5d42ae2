"""Settings of the GPAW engine, as a campaign file holds them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from definet_flows.defects import Host
from definet_flows.defects.host import content_hash
from definet_flows.engines.moments import Scheme
from definet_flows.engines.stepping import OptimizerSettings

_EXECUTION = {"directory"}
_FOLDED = {"cutoff", "smearing", "empty_bands", "max_electronic_steps"}
"""Fields whose effect `physics` states as parameters of GPAW."""

_FFT_PRIMES = (2, 3, 5, 7)


class GpawSettings(OptimizerSettings):
    """Settings of the GPAW engine: what the DefiNet paper states of VASP (PBE, PAW, 500 eV, Γ), and what converges in GPAW."""

    name: Literal["gpaw"] = Field(default="gpaw", description="Which engine these settings are for")
    cutoff: float = Field(default=500.0, gt=0, description="Plane-wave cutoff, eV")
    grid_spacing: float = Field(
        default=0.16,
        gt=0,
        description="Largest distance of the points of the density's grid, Å; the same in every cell",
    )
    smearing: float = Field(default=0.05, gt=0, description="Gaussian width of the occupation numbers, eV")
    empty_bands: int = Field(default=8, ge=1, description="Bands above the occupied ones")
    max_electronic_steps: int = Field(
        default=333, ge=1, description="Electronic steps after which a self-consistency cycle has failed"
    )
    moments: Scheme = Field(default="near_defect", description="Initial moments")
    directory: Path | None = Field(default=None, description="Where runs are; by default gpaw/ of the campaign")

    @property
    def parameters(self) -> dict[str, Any]:
        """What GPAW is given in every cell.

        Without a criterion on the forces BFGS stalls near the threshold on what is left of their errors. With it that on the
        density may be GPAW's default: a tighter one is hardly met at a vacancy with half-filled degenerate states. The mixer is
        the default, too.
        """
        return {
            "mode": {"name": "pw", "ecut": self.cutoff},
            "xc": "PBE",
            "kpts": {"size": [1, 1, 1], "gamma": True},
            "spinpol": True,
            "symmetry": "off",
            "occupations": {"name": "methfessel-paxton", "width": self.smearing, "order": 0},
            "eigensolver": {"name": "davidson", "niter": 2},
            "convergence": {"energy": 1e-6, "density": 1e-4, "eigenstates": 1e-6, "forces": 2e-3},
            "nbands": -self.empty_bands,
            "maxiter": self.max_electronic_steps,
        }

    @property
    def physics(self) -> dict[str, Any]:
        """Settings that change the result, GPAW's own included."""
        return self.model_dump(mode="json", exclude=_EXECUTION | _FOLDED) | {"parameters": self.parameters}

    @property
    def physics_hash(self) -> str:
        """Content hash of `physics`, 16 hexadecimal digits."""
        return content_hash(self.physics)

    @property
    def execution(self) -> dict[str, Any]:
        """Settings that change only where it runs."""
        return self.model_dump(mode="json", include=_EXECUTION)


def grid_points(host: Host, spacing: float) -> tuple[int, int, int]:
    """Points of the density's grid along each lattice vector of a supercell.

    Energies depend a little on where atoms lie between the points. With a whole number of points per unit cell this is the
    same for every copy of an atom, and the same in supercells of another size.

    Parameters
    ----------
    host
        The pristine supercell.
    spacing
        Largest distance of two points, Å.
    """
    matrix = np.array(host.supercell_matrix)
    repeats = np.diag(matrix) if np.array_equal(matrix, np.diag(np.diag(matrix))) else np.ones(3, dtype=int)
    return fast_grid(np.linalg.norm(host.lattice, axis=1), spacing, repeats)


def fast_grid(
    lengths: Sequence[float] | np.ndarray, spacing: float, repeats: Sequence[int] | np.ndarray = (1, 1, 1)
) -> tuple[int, int, int]:
    """Even numbers of points along three lattice vectors whose FFTs are fast.

    Parameters
    ----------
    lengths
        Of the lattice vectors, Å.
    spacing
        Largest distance of two points, Å.
    repeats
        Equal parts of each vector, every one of which is to have a whole number of points.
    """
    first, second, third = (
        _even_fft_size(length / spacing, int(repeat)) for length, repeat in zip(lengths, repeats, strict=True)
    )
    return first, second, third


def _even_fft_size(least: float, repeat: int) -> int:
    """Smallest even number of points, not below `least`, in which `repeat` cells share and whose FFT is fast."""
    size = repeat * math.ceil(round(least / repeat, 6))
    while size % 2 or not _is_fast(size // repeat):
        size += repeat
    return size


def _is_fast(size: int) -> bool:
    for prime in _FFT_PRIMES:
        while size % prime == 0:
            size //= prime
    return size == 1
