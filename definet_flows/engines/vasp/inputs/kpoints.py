"""k-point grids: whether one is fine enough for a supercell, and how many of its points VASP has to compute."""

from __future__ import annotations

import numpy as np

from definet_flows.defects import Host

COARSEST_SPACING = 0.5
"""Å⁻¹ (2π included), the coarsest k-point spacing that is let pass without a warning: VASP's own default of KSPACING."""


def kpoint_warning(host: Host, kpoints: tuple[int, int, int]) -> str | None:
    """What to do where the grid is too coarse for the supercell, else None.

    Parameters
    ----------
    host
        The pristine supercell.
    kpoints
        Γ-centred grid; the direction of a layer's vacuum does not count.
    """
    reciprocal = np.linalg.norm(2 * np.pi * np.linalg.inv(host.lattice), axis=0)  # [3] Å⁻¹
    periodic = 2 if host.dimensionality == 2 else 3
    spacing = reciprocal[:periodic] / np.array(kpoints[:periodic])
    if spacing.max() <= COARSEST_SPACING:
        return None
    grid = [int(n) for n in np.ceil(reciprocal[:periodic] / COARSEST_SPACING)] + [1] * (3 - periodic)
    return (
        f"The {host.name} supercell is small for {_grid_name(kpoints)}: the k-point spacing is {spacing.max():.2f} Å⁻¹, "
        f"above {COARSEST_SPACING} Å⁻¹; take a larger supercell, or kpoints: {grid}."
    )


def points_without_symmetry(kpoints: tuple[int, int, int]) -> int:
    """Points of a Γ-centred grid that remain where k and -k are one and nothing else is (ISYM 0)."""
    own_opposite = int(np.prod([2 if n % 2 == 0 else 1 for n in kpoints]))
    return (int(np.prod(kpoints)) + own_opposite) // 2


def _grid_name(grid: tuple[int, int, int]) -> str:
    return "the Γ point alone" if grid == (1, 1, 1) else f"{'×'.join(map(str, grid))} k-points"
