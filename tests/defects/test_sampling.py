from __future__ import annotations

from collections import Counter

import pytest

from definet_flows.defects import VACANCY, count_configurations, sample_configurations
from definet_flows.errors import InputError

OPTIONS = {"Mo": ["W", VACANCY], "S": ["Se", VACANCY]}


def test_a_seed_gives_the_same_configurations(mos2):
    first, again, other = (sample_configurations(mos2, OPTIONS, [0.04, 0.1], 5, seed=seed) for seed in (1, 1, 2))
    assert [c.id for c in first] == [c.id for c in again]
    assert {c.id for c in first}.isdisjoint(c.id for c in other)


def test_concentrations_are_rounded_to_whole_defects(mos2):
    sampled = sample_configurations(mos2, OPTIONS, [0.02, 0.05, 0.107], 2)
    assert [c.n_defects for c in sampled] == [2, 2, 4, 4, 8, 8]


def test_no_type_exceeds_the_cap(mos2):
    sampled = sample_configurations(mos2, OPTIONS, [0.1], 30, max_fraction_per_type=0.03)
    most = [max(count for _, count in c.recipe.counts) for c in sampled]
    assert max(most) == 2 == int(0.03 * mos2.n_sites)


def test_the_cap_can_be_filled_to_the_last_defect(mos2):
    """Two of each of the four types is all there is room for, wherever the draw begins."""
    for configuration in sample_configurations(mos2, OPTIONS, [8 / 75], 10, max_fraction_per_type=2 / 75):
        assert sorted(count for _, count in configuration.recipe.counts) == [2, 2, 2, 2]


def test_every_site_and_species_is_drawn(mos2):
    sampled = sample_configurations(mos2, OPTIONS, [0.1], 100)
    types = Counter(str(defect) for c in sampled for defect, count in c.recipe.counts for _ in range(count))
    assert set(types) == {"V_Mo", "W_Mo", "V_S", "Se_S"}
    assert types["V_S"] + types["Se_S"] == pytest.approx(2 * (types["V_Mo"] + types["W_Mo"]), rel=0.25)


def test_configurations_are_distinct_and_all_can_be_had(make_host):
    host = make_host("MoS2", (3, 3, 1))
    everything = count_configurations(host, "V_S+V_S")
    sampled = sample_configurations(host, {"S": [VACANCY]}, [2 / 27], everything)
    assert len({c.id for c in sampled}) == everything
    with pytest.raises(InputError, match=r"gave \d+ distinct configurations with 2 defects, not 60; ask for fewer"):
        sample_configurations(host, {"S": [VACANCY]}, [2 / 27], 60)


@pytest.mark.parametrize(
    ("options", "concentration", "message"),
    [
        ({"Te": [VACANCY]}, 0.1, "Te is not in MoS2; name species among Mo, S"),
        ({}, 0.1, "no substitution is given for MoS2"),
        ({"S": []}, 0.1, "no substitution is given for MoS2"),
        ({"S": ["S"]}, 0.1, "S_S changes nothing"),
        ({"S": ["Qq"]}, 0.1, "'Qq' is not an element"),
        ({"Mo": ["W"]}, 0.5, "1 to 25 are possible"),
        ({"Mo": ["W"]}, 0.001, "is 0 of 75 sites"),
        ({"Mo": ["W"]}, -0.1, "1 to 25 are possible"),
        ({"Mo": ["W"]}, float("nan"), "A concentration of nan"),
        ({"Mo": ["W"]}, float("inf"), "A concentration of inf"),
    ],
)
def test_impossible_requests(mos2, options, concentration, message):
    with pytest.raises(InputError, match=message):
        sample_configurations(mos2, options, [concentration], 1)


def test_a_cap_that_forbids_everything(mos2):
    with pytest.raises(InputError, match="under the cap"):
        sample_configurations(mos2, OPTIONS, [0.1], 1, max_fraction_per_type=0.001)
