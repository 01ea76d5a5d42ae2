"""Force constants of the pristine host, which tell how much force an error in a coordinate makes."""

from __future__ import annotations

import numpy as np

from definet_flows.defects import Host
from definet_flows.engines.forcefield import ForceFieldEngine
from definet_flows.engines.potentials import load_potential
from definet_flows.engines.relaxation import FloatArray

_STEP = 0.01
"""Å, displacement of the central differences."""


def pristine_hessian(engine: ForceFieldEngine, host: Host) -> FloatArray:
    """Second derivatives of the energy at the host's positions, for displacements of one unit cell.

    Parameters
    ----------
    engine
        Whose potential gives the forces.
    host
        The pristine supercell, with that engine's reference positions.

    Returns
    -------
    ndarray
        [n_unit_sites, 3, n_sites, 3] eV/Å²: minus the force on every site and axis per displacement of a unit-cell site, in the
        first cell of `Host.grid`, along an axis. The other cells follow by translation (`full_hessian`).
    """
    from ase import Atoms

    atoms = Atoms(numbers=host.atomic_numbers, positions=host.positions, cell=host.lattice, pbc=True)
    atoms.calc = load_potential(engine.potential, engine.potential_arguments, engine.device)
    hessian = np.zeros((len(host.unit_cell), 3, host.n_sites, 3))
    for sublattice in range(len(host.unit_cell)):
        for axis in range(3):
            for sign in (1, -1):
                atoms.positions[:] = host.positions
                atoms.positions[sublattice * host.n_cells, axis] += sign * _STEP
                hessian[sublattice, axis] -= sign * atoms.get_forces() / (2 * _STEP)
    return hessian


def full_hessian(host: Host, block: FloatArray) -> FloatArray:
    """All force constants of a supercell from those of one unit cell.

    Parameters
    ----------
    host
        The pristine supercell.
    block
        [n_unit_sites, 3, n_sites, 3] eV/Å², from `pristine_hessian`.

    Returns
    -------
    ndarray
        [3 n_sites, 3 n_sites] eV/Å².
    """
    grid = host.grid
    first = grid.cells[0]
    n_unit = len(host.unit_cell)
    hessian = np.zeros((n_unit, grid.n_cells, 3, n_unit, grid.n_cells, 3))
    by_cell = block.reshape(n_unit, 3, n_unit, grid.n_cells, 3)
    for cell, offset in enumerate(grid.cells):
        hessian[:, cell][:, :, :, grid.index(grid.cells + offset - first)] = by_cell
    return hessian.reshape(3 * host.n_sites, 3 * host.n_sites)


def restore_symmetry(hessian: FloatArray) -> FloatArray:
    """What finite differences of a potential that is rough at their step give only nearly: symmetry, and no force from a shift.

    A soft wave of many atoms would feel what is missing as if it were stiff.

    Parameters
    ----------
    hessian
        [3 n_sites, 3 n_sites] eV/Å², from `full_hessian`.

    Returns
    -------
    ndarray
        [3 n_sites, 3 n_sites] eV/Å²: the symmetric part, each site's force constant with itself set by the acoustic sum rule.
    """
    sites = np.arange(len(hessian) // 3)
    pairs = ((hessian + hessian.T) / 2).reshape(len(sites), 3, len(sites), 3)
    excess = pairs.sum(axis=2)
    pairs[sites, :, sites] -= (excess + excess.transpose(0, 2, 1)) / 2
    return pairs.reshape(hessian.shape)
