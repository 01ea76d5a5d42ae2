from __future__ import annotations

import itertools

import numpy as np
import pytest
from ase.data import covalent_radii
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pymatgen.core import Structure

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.definet import Guard, GuardSettings
from definet_flows.errors import InputError


@pytest.fixture
def configuration(make_host):
    return DefectConfiguration.create(make_host("MoS2", 4), {0: "W", 20: "Vac"})


@pytest.fixture
def guard(card):
    return Guard(GuardSettings(), card)


def test_the_unrelaxed_start_passes(guard, host, draw_configurations, card):
    everything = card.model_copy(update={"elements": ("B", "C", "N", "P", "S", "Ga", "In", "Mo", "Se", "W")})
    for configuration in draw_configurations(host, 4):
        verdict = Guard(GuardSettings(), everything).check(configuration, host.positions)
        assert (verdict.passed, verdict.reasons, verdict.max_displacement) == (True, (), 0.0)


def test_a_displacement_beyond_the_trained_range_fails(guard, configuration):
    positions = configuration.host.positions.copy()
    positions[5, 1] += 0.46  # 1.5 times the trained 0.3 Å is 0.45 Å
    verdict = guard.check(configuration, positions)
    assert not verdict.passed
    assert verdict.max_displacement == pytest.approx(0.46)
    assert verdict.reasons == (
        "an atom moves 0.460 Å, more than 0.450 Å, the limit for what the checkpoint was trained on",
    )
    positions[5, 1] -= 0.02
    assert guard.check(configuration, positions).passed


def test_what_a_placeholder_does_is_nobodys_business(guard, configuration):
    positions = configuration.host.positions.copy()
    (vacancy,) = np.flatnonzero(~configuration.occupied)
    positions[vacancy] = np.nan
    assert guard.check(configuration, positions).passed
    positions[vacancy] = positions[0]
    assert guard.check(configuration, positions).passed


def test_atoms_too_close_fail_by_name(card, configuration):
    guard = Guard(GuardSettings(displacement_factor=100.0), card)
    positions = configuration.host.positions.copy()
    sulphur = int(np.linalg.norm(positions[16:] - positions[1], axis=1).argmin()) + 16
    positions[sulphur] += 0.5 * (positions[1] - positions[sulphur])
    (reason,) = guard.check(configuration, positions).reasons
    assert "Mo at site 1" in reason
    assert f"S at site {sulphur}" in reason
    assert "closer than" in reason


def test_atoms_too_close_across_the_cell_boundary_fail(card, configuration):
    guard = Guard(GuardSettings(displacement_factor=100.0), card)
    positions = configuration.host.positions + 3 * configuration.host.lattice[0]
    positions[1] = positions[2] + [0.0, 0.0, 1.0] - 2 * configuration.host.lattice[1]
    reasons = guard.check(configuration, positions).reasons
    assert any("come within" in reason for reason in reasons)


def test_an_atom_too_close_to_its_own_image_fails(card, make_host):
    # One W in a cell of 3.19 Å; its covalent radius is 1.62 Å.
    configuration = DefectConfiguration.create(make_host("MoS2", 1), {0: "W", 1: "Vac", 2: "Vac"})
    for fraction, passes in ((0.99, False), (0.98, True)):
        guard = Guard(GuardSettings(min_distance_fraction=fraction), card)
        verdict = guard.check(configuration, configuration.host.positions)
        assert verdict.passed == passes
    reason = "W at site 0 and W at site 0 come within 3.190 Å of each other, closer than 3.208 Å"
    assert Guard(GuardSettings(min_distance_fraction=0.99), card).check(
        configuration, configuration.host.positions
    ).reasons == (reason,)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**20), fraction=st.floats(0.3, 0.95))
def test_the_distance_rule_agrees_with_a_plain_search(make_host, card_for_search, seed, fraction):
    host = make_host("MoS2", 2)
    configuration = DefectConfiguration.create(host, {0: "W", 5: "Vac"})
    positions = host.positions + np.random.default_rng(seed).normal(scale=0.4, size=host.positions.shape)
    guard = Guard(GuardSettings(min_distance_fraction=fraction, displacement_factor=1e6), card_for_search)
    assert guard.check(configuration, positions).passed != plain_overlap(configuration, positions, fraction)


@pytest.fixture(scope="module")
def card_for_search():
    from definet_flows.definet import ModelCard

    return ModelCard(name="x", hosts=(), elements=("Mo", "S", "W"), teacher="", max_displacement_trained=1.0)


def plain_overlap(configuration, positions, fraction):
    sites = [site for site in range(configuration.host.n_sites) if configuration.occupied[site]]
    numbers = configuration.atomic_numbers
    shifts = [
        np.array([a, b, c]) @ configuration.host.lattice for a, b, c in itertools.product((-2, -1, 0, 1, 2), repeat=3)
    ]
    for i, j, shift in itertools.product(sites, sites, shifts):
        distance = np.linalg.norm(positions[j] + shift - positions[i])
        limit = fraction * (covalent_radii[numbers[i]] + covalent_radii[numbers[j]])
        if (i != j or shift.any()) and distance < limit:
            return True
    return False


def test_an_element_outside_the_training_fails_by_name(guard, make_host):
    configuration = DefectConfiguration.create(make_host("MoS2"), {0: "Cr"})
    verdict = guard.check(configuration, configuration.host.positions)
    assert verdict.reasons == ("checkpoint testnet was not trained on Cr (it knows Mo, S, Se, W)",)


@pytest.fixture
def of_mos2(card):
    return card.model_copy(update={"crystals": ("MoS2-187",)})


def test_another_host_of_known_elements_is_refused(of_mos2, make_host):
    configuration = DefectConfiguration.create(make_host("WSe2"), {0: "Mo"})
    verdict = Guard(GuardSettings(), of_mos2).check(configuration, configuration.host.positions)
    assert not verdict.passed
    assert verdict.reasons == ("checkpoint testnet was not trained on the host WSe2-187 (it knows MoS2-187)",)
    allowing = Guard(GuardSettings(other_hosts=True), of_mos2)
    assert allowing.check(configuration, configuration.host.positions).passed


def test_a_host_is_its_crystal_however_the_cell_is_chosen(of_mos2, make_host):
    cell = make_host("MoS2").unit_cell
    reordered = Structure.from_sites(cell[::-1])
    doubled = cell * (2, 1, 1)
    for unit_cell, supercell, vacuum in (
        (cell, (5, 3, 1), 25.0),
        (reordered, (4, 4, 1), None),
        (doubled, (2, 4, 1), 15.0),
    ):
        host = Host.from_structure(unit_cell, supercell, "mine", vacuum=vacuum)
        configuration = DefectConfiguration.create(host, {0: "Vac"})
        assert Guard(GuardSettings(), of_mos2).check(configuration, host.positions).passed


def test_weights_that_do_not_say_what_they_learnt_are_tried_on_any_host(guard, make_host):
    configuration = DefectConfiguration.create(make_host("WSe2"), {0: "Mo"})
    assert guard.check(configuration, configuration.host.positions).passed


def test_the_placeholder_of_an_unknown_element_counts(guard, make_host):
    configuration = DefectConfiguration.create(make_host("hBN"), {0: "Vac"})
    assert "not trained on B, N" in guard.check(configuration, configuration.host.positions).reasons[0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_fail(guard, configuration, value):
    positions = configuration.host.positions.copy()
    positions[3, 0] = value
    verdict = guard.check(configuration, positions)
    assert not verdict.passed
    assert verdict.max_displacement is None
    assert verdict.reasons == ("the predicted coordinates are not finite",)


def test_another_shape_is_refused(guard, configuration):
    with pytest.raises(InputError, match=r"must be \[48, 3\], not \[47, 3\]"):
        guard.check(configuration, configuration.host.positions[1:])


def test_the_hash_follows_every_setting():
    base = GuardSettings()
    others = [{"min_distance_fraction": 0.6}, {"displacement_factor": 2.0}, {"other_hosts": True}]
    assert len({settings.hash for settings in [base, *(GuardSettings(**other) for other in others)]}) == 4
    assert GuardSettings().hash == base.hash
    assert len(base.hash) == 16


@pytest.mark.parametrize(
    "wrong", [{"min_distance_fraction": 1.2}, {"displacement_factor": 0.0}, {"displacment_factor": 2}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        GuardSettings(**wrong)
