"""Where relaxations start, the same for every engine: the rattle of both starts, and a host's own pristine positions."""

from __future__ import annotations

import numpy as np

from definet_flows.defects import DefectConfiguration, Host, HostReference
from definet_flows.defects.symmetry import symmetrised
from definet_flows.engines.relaxation import FloatArray, Relaxation
from definet_flows.errors import DefinetFlowsError


def start_of(configuration: DefectConfiguration, positions: FloatArray | None, rattle: float) -> FloatArray:
    """Where a relaxation starts.

    Parameters
    ----------
    configuration
        What is relaxed; its id seeds the rattle, so that both starts get the same displacements. One without defects is the
        pristine supercell, the energy reference, which is never displaced.
    positions
        [n_sites, 3] Å in host site order; None for the unrelaxed start.
    rattle
        Standard deviation of the displacement of each coordinate, Å.

    Returns
    -------
    ndarray
        [n_sites, 3] Å.
    """
    start = configuration.host.positions if positions is None else np.asarray(positions, dtype=float)
    if not configuration.defects:
        return start
    rng = np.random.default_rng(int(configuration.id, 16))
    return np.asarray(start + rattle * rng.standard_normal(start.shape))


def start_name(positions: FloatArray | None) -> str:
    """Which of the two starts this is, by the name that folders and records give it; argument as for `start_of`."""
    return "unrelaxed" if positions is None else "prerelaxed"


def pristine_positions(host: Host, outcome: Relaxation, engine: str) -> FloatArray:
    """Where the atoms of a pristine cell came to rest.

    Parameters
    ----------
    host
        The pristine cell.
    outcome
        Its relaxation.
    engine
        What relaxed it, for the message.

    Returns
    -------
    ndarray
        [n_sites, 3] Å.

    Raises
    ------
    DefinetFlowsError
        If it did not converge.
    """
    if outcome.positions is None or not outcome.converged:
        why = outcome.error or f"largest force {outcome.max_force} eV/Å after {outcome.ionic_steps} ionic steps"
        raise DefinetFlowsError(
            f"The pristine {host.name} cell did not relax with {engine} ({why}); check the structure and the settings, or set "
            "relax_host: false."
        )
    return np.array(outcome.positions)


def with_reference(host: Host, moved: FloatArray, engine: str, physics_hash: str, outcome: Relaxation) -> Host:
    """The host with an engine's pristine positions as its reference; its cell stays.

    Parameters
    ----------
    host
        The pristine supercell.
    moved
        [n_unit_cell_atoms, 3] Å, displacements of the unit cell's atoms; they are averaged over its symmetry, so that rounding
        breaks none of it.
    engine
        Name on record.
    physics_hash
        Of the engine.
    outcome
        The relaxation that gave the displacements.
    """
    unit = host.with_supercell((1, 1, 1))
    displacements = symmetrised(moved, unit.unit_cell, unit.unit_cell_operations)
    reference = HostReference(
        engine=engine,
        physics_hash=physics_hash,
        displacements=tuple((float(x), float(y), float(z)) for x, y, z in displacements),
        max_force_before=outcome.max_force_history[0],
        max_force_after=outcome.max_force_history[-1],
    )
    return host.with_reference(reference)


def with_supercell_reference(host: Host, outcome: Relaxation, engine: str, physics_hash: str) -> Host:
    """The host with the positions of its relaxed supercell as its reference, averaged over its unit cells.

    For engines whose k-points are those of the supercell, which a unit cell would not have.

    Parameters
    ----------
    host
        The pristine supercell, as it was before.
    outcome
        Its relaxation.
    engine
        Name on record.
    physics_hash
        Of the engine.

    Raises
    ------
    DefinetFlowsError
        If it did not converge.
    """
    displacements = pristine_positions(host, outcome, engine.upper()) - host.positions
    moved = displacements.reshape(len(host.unit_cell), host.n_cells, 3).mean(axis=1)
    unit = host.with_supercell((1, 1, 1))
    return with_reference(host, moved + unit.positions - unit.nominal_positions, engine, physics_hash, outcome)
