from __future__ import annotations

import math

import numpy as np
import pytest

from definet_flows.defects import VACANCY, DefectConfiguration
from definet_flows.training.metrics import RING_NAMES, CoordinateErrors, LengthHistogram, nearest_defect
from tests.defects.brute_force import shortest_distance
from tests.training.conftest import configurations_of, host_of

ERROR = np.array([0.3, -0.6, 0.9])  # per component 0.6 on average, 1.1225 long


def distances_to(configuration, site):
    host = configuration.host
    return np.array([shortest_distance(host.lattice, host.positions[site], p) for p in host.positions])


@pytest.fixture
def vacancy():
    """A vacancy at the corner of the 4×4 cell: its neighbours are spread over all of the cell's edges."""
    return DefectConfiguration.create(host_of(4), {0: VACANCY})


def test_one_wrong_atom_by_hand(vacancy):
    """A neighbour of the vacancy across the cell's edge: near by its image only."""
    host = vacancy.host
    inside = np.linalg.norm(host.positions - host.positions[0], axis=1)
    across = distances_to(vacancy, 0)
    (atom, *_) = np.flatnonzero((across < 2.5) & (inside > 6) & vacancy.occupied)
    predicted = np.zeros((48, 3))
    predicted[atom] = ERROR
    errors = CoordinateErrors()
    errors.add(vacancy, predicted, np.zeros((48, 3)))
    summary = errors.summary()
    assert summary["MAE_angstrom"] == pytest.approx(1.8 / (3 * 47))
    assert summary["error_length_angstrom"] == pytest.approx(math.sqrt(1.26) / 47)
    # Around a vacant Mo: 6 S at 2.41 Å; 6 Mo at 3.19 Å; 6 S at 4.0 Å; then 12 S at 5.1 Å, 6 Mo at 5.53 Å.
    shells = {name: int((across[vacancy.occupied] <= float(name[1])).sum()) for name in ("A3", "A4", "A5", "A6")}
    assert shells["A3"] == 6
    assert 12 <= shells["A4"] <= shells["A5"] < shells["A6"] <= 47
    for name, n_atoms in shells.items():
        assert summary[f"{name}_angstrom"] == pytest.approx(1.8 / (3 * n_atoms)), name


def test_a_far_atom_counts_in_the_mean_only(vacancy):
    far = int(distances_to(vacancy, 0).argmax())
    predicted = np.zeros((48, 3))
    predicted[far] = ERROR
    errors = CoordinateErrors()
    errors.add(vacancy, predicted, np.zeros((48, 3)))
    summary = errors.summary()
    assert summary["A3_angstrom"] == summary["A6_angstrom"] == 0
    assert summary["MAE_angstrom"] > 0


def test_placeholders_do_not_count(vacancy):
    predicted = np.zeros((48, 3))
    predicted[~vacancy.occupied] = 100.0
    errors = CoordinateErrors()
    errors.add(vacancy, predicted, np.zeros((48, 3)))
    assert set(errors.summary().values()) == {0.0}


def test_a_substituted_atom_is_near_its_own_site():
    configuration = DefectConfiguration.create(host_of(4), {0: "W"})
    predicted = np.zeros((48, 3))
    predicted[configuration.defect_sites[0]] = ERROR
    errors = CoordinateErrors()
    errors.add(configuration, predicted, np.zeros((48, 3)))
    assert errors.summary()["A3_angstrom"] == pytest.approx(1.8 / (3 * 7))


def test_any_defect_makes_an_atom_near():
    """Atoms are counted once, however many defects they are near."""
    configuration = configurations_of(4, "W_Mo+V_S+Se_S")[7]
    near = np.min([distances_to(configuration, site) for site in configuration.defect_sites], axis=0) <= 3
    rng = np.random.default_rng(0)
    predicted, relaxed = rng.normal(size=(2, 48, 3))
    errors = CoordinateErrors()
    errors.add(configuration, predicted, relaxed)
    chosen = near & configuration.occupied
    assert errors.summary()["A3_angstrom"] == pytest.approx(abs(predicted - relaxed)[chosen].mean())


def test_structures_are_pooled_atom_by_atom(vacancy):
    """Not a mean of means: a larger cell weighs more."""
    small = DefectConfiguration.create(host_of(3), {0: VACANCY})
    errors = CoordinateErrors()
    errors.add(vacancy, np.full((48, 3), 0.1), np.zeros((48, 3)))
    errors.add(small, np.zeros((27, 3)), np.zeros((27, 3)))
    assert errors.summary()["MAE_angstrom"] == pytest.approx(0.1 * 47 / (47 + 26))


def test_sums_of_parts_are_the_sums_of_all():
    parts = [configurations_of(4, "V_Mo+V_S+V_S")[:5], configurations_of(3, "W_Mo+V_S")[:3]]
    rng = np.random.default_rng(1)
    whole, halves = CoordinateErrors(), []
    for part in parts:
        halves.append(CoordinateErrors())
        for configuration in part:
            predicted, relaxed = rng.normal(size=(2, configuration.host.n_sites, 3))
            whole.add(configuration, predicted, relaxed)
            halves[-1].add(configuration, predicted, relaxed, nearest_defect(configuration))
    together = halves[0] + halves[1]
    assert together.summary() == pytest.approx(whole.summary())
    assert together.n_configurations == whole.n_configurations == 8


def test_rings_hold_every_real_atom_once(vacancy):
    """Each ring against its own plain mean; a ring without atoms has no error."""
    rng = np.random.default_rng(2)
    predicted, relaxed = rng.normal(size=(2, 48, 3))
    errors = CoordinateErrors()
    errors.add(vacancy, predicted, relaxed)
    rings = errors.by_ring()
    assert (
        tuple(rings) == RING_NAMES == ("0 to 2", "2 to 3", "3 to 4", "4 to 5", "5 to 6", "6 to 7", "7 to 8", "over 8")
    )
    assert sum(atoms for _, atoms in rings.values()) == 47
    distances = distances_to(vacancy, 0)
    for name, inner, outer in (("2 to 3", 2, 3), ("5 to 6", 5, 6), ("over 8", 8, 99)):
        chosen = (distances > inner) & (distances <= outer) & vacancy.occupied
        assert rings[name][1] == chosen.sum()
        if chosen.any():
            assert rings[name][0] == pytest.approx(abs(predicted - relaxed)[chosen].mean())
    assert math.isnan(rings["0 to 2"][0])


def test_memory_does_not_grow_with_the_configurations(vacancy):
    errors = CoordinateErrors()
    before = {name: np.size(value) for name, value in vars(errors).items()}
    for _ in range(5):
        errors.add(vacancy, np.ones((48, 3)), np.zeros((48, 3)))
    assert {name: np.size(value) for name, value in vars(errors).items()} == before


def test_lengths_are_counted_where_they_belong():
    lengths = LengthHistogram()
    relaxed = np.array([[0.3, 0, 0], [0, 0.02, 0], [0, 0, 0.0]])
    predicted = np.array([[0, 0.3, 0], [0.2, 0, 0], [0, 0, 9.0]])
    lengths.add(predicted, relaxed)

    def cell(length):
        return int(np.flatnonzero(lengths.edges < length)[-1])

    last = len(lengths.counts) - 1
    assert lengths.counts.sum() == 3
    assert lengths.counts[cell(0.3), cell(0.3)] == lengths.counts[cell(0.02), cell(0.2)] == lengths.counts[0, last] == 1


def test_nothing_counted_is_not_zero(vacancy):
    assert math.isnan(CoordinateErrors().summary()["error_length_angstrom"])
