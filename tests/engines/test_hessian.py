from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from definet_flows.engines.hessian import full_hessian, pristine_hessian, restore_symmetry


@pytest.fixture(scope="module")
def relaxed(slab):
    from definet_flows.engines import ForceFieldEngine

    engine = ForceFieldEngine(potential="ase.calculators.emt.EMT")
    host = engine.relaxed_host(slab)
    return engine, host, full_hessian(host, pristine_hessian(engine, host))


def forces(host, displacements):
    atoms = Atoms(host.atomic_numbers, host.positions + displacements, cell=host.lattice, pbc=True, calculator=EMT())
    return atoms.get_forces()


def test_it_is_that_of_finite_differences_at_every_atom(relaxed):
    """The engine displaces one unit cell; here every atom of the supercell is displaced."""
    _, host, hessian = relaxed
    step = 0.01
    for site in range(host.n_sites):
        for axis in range(3):
            moved = np.zeros((host.n_sites, 3))
            moved[site, axis] = step
            expected = -(forces(host, moved) - forces(host, -moved)) / (2 * step)
            np.testing.assert_allclose(hessian[3 * site + axis], expected.ravel(), atol=1e-6)


def test_it_is_symmetric_and_blind_to_a_rigid_shift(relaxed):
    _, host, hessian = relaxed
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-3)
    shift = np.tile([0.3, -0.2, 0.1], host.n_sites)
    np.testing.assert_allclose(hessian @ shift, 0, atol=1e-3)


def test_rough_differences_become_symmetric_and_blind_to_a_rigid_shift(relaxed):
    """A potential that is rough at their step gives another force from A on B than from B on A."""
    engine, host, _ = relaxed
    block = pristine_hessian(engine, host)
    rough = block * np.linspace(0.95, 1.05, len(block))[:, None, None, None]
    assert abs(block - rough).max() > 0.1
    hessian = restore_symmetry(full_hessian(host, rough))
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    shift = np.tile([0.3, -0.2, 0.1], host.n_sites)
    np.testing.assert_allclose(hessian @ shift, 0, atol=1e-6)


def test_it_predicts_the_force_of_a_small_displacement(relaxed):
    _, host, hessian = relaxed
    moved = np.random.default_rng(0).normal(scale=1e-3, size=(host.n_sites, 3))
    predicted = -(hessian @ moved.ravel()).reshape(-1, 3)
    actual = forces(host, moved) - forces(host, np.zeros((host.n_sites, 3)))
    np.testing.assert_allclose(predicted, actual, atol=0.02 * abs(actual).max())
