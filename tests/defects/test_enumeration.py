from __future__ import annotations

from collections import Counter
from itertools import combinations_with_replacement

import numpy as np
import pytest

from definet_flows.defects import (
    Host,
    Recipe,
    count_configurations,
    enumerate_configurations,
    low_density_recipes,
)
from definet_flows.errors import InputError
from tests.defects import brute_force
from tests.defects.conftest import CUBIC_OF_PRIMITIVE, RECTANGULAR, SQRT3

CASES = [
    ("MoS2", (3, 3, 1), "V_Mo"),
    ("MoS2", (3, 3, 1), "V_S+V_S"),
    ("MoS2", (3, 3, 1), "W_Mo+V_S+Se_S"),
    ("MoS2", (3, 3, 1), "V_Mo+V_S+V_S+Se_S"),
    ("MoS2", (3, 3, 1), "W_Mo+W_Mo+Se_S+Se_S"),
    ("MoS2", (3, 3, 1), "Se_S+Se_S+Se_S+Se_S"),
    ("MoS2", (3, 2, 1), "V_Mo+W_Mo+V_S"),
    ("MoS2", SQRT3, "V_Mo+V_S+Se_S"),
    ("MoS2", RECTANGULAR, "V_Mo+V_S+V_S"),
    ("MoS2", ((2, 4, 0), (2, 0, 0), (0, 0, 1)), "V_Mo+V_S"),  # left-handed
    ("MoS2", ((3, 0, 0), (6, 3, 0), (0, 0, 1)), "V_S+V_S+V_S"),  # the 3×3 cell, sheared
    ("WSe2", (3, 3, 1), "Mo_W+S_Se+S_Se"),
    ("hBN", (3, 3, 1), "V_B+C_N+C_N"),
    ("hBN", (4, 4, 1), "V_B+V_N"),
    ("GaSe", (2, 2, 1), "In_Ga+V_Ga+V_Se+V_Se"),
    ("InSe", (2, 2, 1), "V_In+V_In+S_Se"),
    ("BP", (3, 2, 1), "N_P+N_P+V_P"),
    ("BP", ((1, 1, 0), (-1, 2, 0), (0, 0, 1)), "V_P+V_P"),
    ("MgO", (2, 2, 2), "V_Mg+V_O+V_O"),
    ("MgO", (3, 3, 3), "V_Mg+Ca_Mg"),
    ("MgO", CUBIC_OF_PRIMITIVE, "V_Mg+V_O+N_O"),
    ("CdTe", (2, 2, 2), "V_Cd+Te_Cd+Cd_Te"),
    ("CdTe", (3, 3, 2), "V_Cd+V_Te"),
    ("diamond", (2, 2, 2), "V_C+N_C+N_C"),
    ("diamond", (3, 3, 3), "V_C+N_C"),
    ("triclinic", (2, 2, 1), "V_Si+V_O+N_O"),
    ("triclinic", ((1, 1, 0), (0, 2, 1), (0, 0, 2)), "V_O+V_O"),
]


@pytest.fixture(scope="module")
def oracle_permutations():
    """Permutations of a host's sites found by brute force on its coordinates, once per host."""
    found = {}

    def find(host):
        if host.fingerprint not in found:
            found[host.fingerprint] = brute_force.site_permutations(host.lattice, host.nominal_positions, host.species)
        return found[host.fingerprint]

    return find


@pytest.mark.parametrize(("name", "supercell"), dict.fromkeys((name, cell) for name, cell, _ in CASES))
def test_permutations_are_those_found_on_coordinates(make_host, oracle_permutations, name, supercell):
    host = make_host(name, supercell)
    assert np.array_equal(oracle_permutations(host), host.permutations)
    assert np.array_equal(host.permutations[0], np.arange(host.n_sites))


@pytest.mark.parametrize(("name", "supercell", "recipe"), CASES)
def test_enumeration_agrees_with_brute_force(make_host, oracle_permutations, name, supercell, recipe):
    host = make_host(name, supercell)
    n_kinds = len(set(recipe.split("+")))
    rows = brute_force.placements(host.species, recipe)
    expected = brute_force.count_by_fixed_points(oracle_permutations(host), rows, n_kinds)
    configurations = list(enumerate_configurations(host, recipe))
    assert len(configurations) == len({c.id for c in configurations}) == expected
    assert count_configurations(host, recipe) == expected
    assert len(rows) == brute_force.n_placements(host.species, recipe) == sum(c.multiplicity for c in configurations)
    assert {c.label for c in configurations} == {Recipe.parse(recipe).label(host.species)}


@pytest.mark.parametrize(
    ("name", "supercell", "recipe"),
    [
        ("MoS2", (3, 3, 1), "V_Mo+V_S+Se_S"),
        ("hBN", (3, 3, 1), "C_B+C_B+V_N"),
        ("BP", (3, 2, 1), "N_P+N_P+V_P"),
        ("CdTe", (2, 2, 2), "V_Cd+Te_Cd+Cd_Te"),
        ("diamond", (2, 2, 2), "N_C+N_C+N_C"),
    ],
)
def test_every_orbit_has_one_configuration_of_its_size(make_host, oracle_permutations, name, supercell, recipe):
    host = make_host(name, supercell)
    kinds = sorted(set(recipe.split("+")))
    rows = brute_force.placements(host.species, recipe)
    orbit = brute_force.orbits(oracle_permutations(host), rows, len(kinds))
    sizes = Counter(orbit.tolist())
    row_of = {tuple(row): i for i, row in enumerate(rows.tolist())}
    met = {}
    for configuration in enumerate_configurations(host, recipe):
        names = {site: f"{'V' if new == 'Vac' else new}_{host.species[site]}" for site, new in configuration.defects}
        row = tuple(sorted(site * len(kinds) + kinds.index(name) for site, name in names.items()))
        met[int(orbit[row_of[row]])] = configuration.multiplicity
    assert met == sizes


def test_mos2_8x8_has_768_site_permutations_and_5933_low_density_configurations(make_host):
    host = make_host("MoS2", (8, 8, 1))
    assert host.permutations.shape == (768, 192)
    recipes = low_density_recipes("MoS2")
    counts = {recipe: count_configurations(host, recipe) for recipe in recipes}
    assert sum(counts.values()) == 5933
    enumerated = {recipe: list(enumerate_configurations(host, recipe)) for recipe in recipes}
    assert {recipe: len(found) for recipe, found in enumerated.items()} == counts
    assert len({c.id for found in enumerated.values() for c in found}) == 5933
    for recipe, found in enumerated.items():
        assert sum(c.multiplicity for c in found) == brute_force.n_placements(host.species, recipe)


@pytest.mark.parametrize(("size", "pairs"), [(3, 26), (4, 40)])
def test_distinct_pairs_in_hexagonal_boron_nitride(make_host, size, pairs):
    host = make_host("hBN", (size, size, 1))
    kinds = ["V_B", "V_N", "C_B", "C_N"]
    found = sum(len(list(enumerate_configurations(host, "+".join(p)))) for p in combinations_with_replacement(kinds, 2))
    assert found == pairs
    assert sum(count_configurations(host, kind) for kind in kinds) == 4


@pytest.mark.slow
def test_16x16_triples_agree_with_their_count(make_host):
    host = make_host("MoS2", (16, 16, 1))
    assert count_configurations(host, "W_Mo+V_S+Se_S") == 22_051
    assert sum(1 for _ in enumerate_configurations(host, "W_Mo+V_S+Se_S")) == 22_051


@pytest.mark.parametrize(
    ("name", "supercell", "recipe", "low", "high"),
    [
        ("MoS2", (4, 4, 1), "V_Mo+V_S+Se_S", 3.0, 5.5),
        ("MoS2", (4, 4, 1), "V_S+V_S+V_S", None, 4.6),
        ("MoS2", (4, 4, 1), "V_S+V_S", 5.0, None),
        ("MoS2", ((4, 0, 0), (8, 4, 0), (0, 0, 1)), "V_S+V_S", 4.0, 6.0),
        ("hBN", ((3, 1, 0), (-1, 4, 0), (0, 0, 1)), "C_B+C_N", 1.0, 3.2),
        ("BP", (3, 3, 1), "N_P+N_P", 2.0, 4.0),
        ("CdTe", (2, 2, 2), "V_Cd+Cd_Te", 0.0, 5.0),
        ("triclinic", ((1, 1, 0), (0, 2, 1), (0, 0, 2)), "V_O+V_Si", None, 3.5),
    ],
)
def test_distance_limits_filter_the_raw_enumeration(make_host, name, supercell, recipe, low, high):
    host = make_host(name, supercell)

    def keeps(configuration):
        sites = [host.nominal_positions[site] for site, _ in configuration.defects]
        pairs = [(a, b) for i, a in enumerate(sites) for b in sites[:i]]
        distances = [brute_force.shortest_distance(host.lattice, a, b) for a, b in pairs]
        return min(distances) >= (low or 0) - 1e-6 and max(distances) <= (high or np.inf) + 1e-6

    everything = list(enumerate_configurations(host, recipe))
    expected = {c.id for c in everything if keeps(c)}
    assert 0 < len(expected) < len(everything), "the limits must bite"
    assert {c.id for c in enumerate_configurations(host, recipe, low, high)} == expected


def test_limits_that_leave_nothing_between_them(mos2):
    for low, high in ((5.0, 3.0), (-1.0, None), (float("nan"), 3.0)):
        with pytest.raises(InputError, match="Distance limits"):
            enumerate_configurations(mos2, "V_S+V_S", low, high)


def test_limits_that_no_pair_meets(mos2):
    assert list(enumerate_configurations(mos2, "V_Mo+V_S", 50.0, 60.0)) == []


@pytest.mark.parametrize("of", [enumerate_configurations, count_configurations])
def test_recipes_that_the_host_cannot_hold(make_host, of):
    host = make_host("MoS2", (2, 2, 1))
    with pytest.raises(InputError, match=r"MoS2 has no Te sites .* its species are Mo, S"):
        of(host, "V_Te")
    with pytest.raises(InputError, match=r"needs 5 Mo sites but MoS2 has 4; use a larger supercell"):
        of(host, "+".join(["V_Mo"] * 3 + ["W_Mo"] * 2))


def test_all_sites_of_a_sublattice(make_host):
    host = make_host("MoS2", (2, 2, 1))
    (only,) = enumerate_configurations(host, "+".join(["W_Mo"] * 4))
    assert only.multiplicity == 1 == count_configurations(host, "+".join(["W_Mo"] * 4))


def test_enumeration_is_streamed(make_host):
    stream = enumerate_configurations(make_host("MoS2", (12, 12, 1)), "V_Mo+V_S+Se_S+W_Mo+V_S")
    assert next(stream).n_defects == 5, "millions would follow"


def test_a_recipe_is_the_same_in_any_order(mos2):
    first, second = (
        [c.id for c in enumerate_configurations(mos2, recipe)] for recipe in ("V_Mo+V_S+Se_S", "Se_S+V_Mo+V_S")
    )
    assert first == second


def test_every_host_enumerates_at_its_published_size():
    for name in ("WSe2", "GaSe", "InSe", "BP", "hBN"):
        host = Host.from_preset(name, vacuum=15.0)
        recipe = "V_" + host.species[0] + "+V_" + host.species[-1]
        found = list(enumerate_configurations(host, recipe))
        assert len(found) == count_configurations(host, recipe)
        assert sum(c.multiplicity for c in found) == brute_force.n_placements(host.species, recipe)
