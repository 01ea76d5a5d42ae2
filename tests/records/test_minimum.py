from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from definet_flows.records.minimum import End, compare_ends, energy_tolerance, largest_distance, minimum_image

HEXAGONAL = np.array([[6.38, 0, 0], [-3.19, 5.525, 0], [0, 0, 18.0]])
OBLIQUE = np.array([[5.0, 0, 0], [2.4, 4.3, 0], [1.1, 0.9, 6.0]])
seeds = st.integers(0, 2**32 - 1)


def atoms(seed, lattice, count=12):
    return np.random.default_rng(seed).random((count, 3)) @ lattice


@pytest.mark.parametrize("lattice", [HEXAGONAL, OBLIQUE])
@given(seed=seeds)
def test_the_minimum_image_is_the_shortest_of_all(lattice, seed):
    vectors = (np.random.default_rng(seed).random((5, 3)) * 6 - 3) @ lattice
    everything = np.array(list(product(range(-5, 6), repeat=3))) @ lattice
    shortest = np.linalg.norm(vectors[:, None] + everything, axis=2).min(axis=1)
    np.testing.assert_allclose(np.linalg.norm(minimum_image(vectors, lattice), axis=1), shortest, atol=1e-12)


@pytest.mark.parametrize("lattice", [HEXAGONAL, OBLIQUE])
@given(seed=seeds)
def test_translations_and_wrapping_do_not_count(lattice, seed):
    generator = np.random.default_rng(seed)
    first = atoms(seed, lattice)
    moved = first + generator.normal(size=3) * 10 + generator.integers(-3, 4, size=first.shape) @ lattice
    assert largest_distance(first, moved, lattice) == pytest.approx(0, abs=1e-9)


@given(seed=seeds, size=st.floats(0.01, 0.5))
def test_one_moved_atom_counts_less_its_share_of_the_translation(seed, size):
    first = atoms(seed, HEXAGONAL)
    second = first.copy()
    second[3, 1] += size
    assert largest_distance(first, second, HEXAGONAL) == pytest.approx(size * (1 - 1 / len(first)))


@pytest.mark.parametrize(
    ("engine", "distance", "energy", "moment", "same", "lower"),
    [
        ("forcefield", 0.04, 0.0005, None, True, "equal"),
        ("forcefield", 0.06, 0.0005, None, False, "equal"),
        ("forcefield", 0.04, 0.0015, None, False, "unrelaxed"),
        ("forcefield", 0.04, -0.0015, None, False, "prerelaxed"),
        ("vasp", 0.04, -0.0040, 0.05, True, "equal"),
        ("vasp", 0.04, -0.0060, 0.05, False, "prerelaxed"),
        ("vasp", 0.04, 0.0, 0.2, False, "equal"),
        ("vasp", 0.04, 0.0, -0.2, False, "equal"),
        ("gpaw", 0.04, 0.0, None, True, "equal"),
    ],
)
def test_what_makes_a_minimum_another_one(engine, distance, energy, moment, same, lower):
    positions = atoms(0, HEXAGONAL, count=50)
    moved = positions.copy()
    moved[0, 2] += distance * 50 / 49
    ends = (
        End(positions, -10.0, None if moment is None else 1.0),
        End(moved, -10.0 + energy, None if moment is None else 1.0 + moment),
    )
    found = compare_ends(*ends, HEXAGONAL, engine)
    assert (found.same, found.lower) == (same, lower)
    assert found.distance == pytest.approx(distance)
    assert found.energy == pytest.approx(energy)
    assert found.moment == (None if moment is None else pytest.approx(moment))


def test_potentials_are_held_to_a_tighter_energy_than_dft():
    assert energy_tolerance("forcefield") == 0.001
    assert energy_tolerance("vasp") == energy_tolerance("gpaw") == 0.005
