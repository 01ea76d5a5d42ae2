from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from definet_flows.defects import Host, enumerate_configurations
from definet_flows.errors import InputError
from definet_flows.jobs.selection import Selection, draw_fraction, select

RECIPES = ("V_S", "V_S+V_S", "V_Mo+V_S", "W_Mo+V_S")


@pytest.fixture(scope="module")
def candidates():
    host = Host.from_preset("MoS2", (5, 5, 1), vacuum=15)
    return [one for recipe in RECIPES for one in enumerate_configurations(host, recipe)]


def ids(configurations):
    return [one.id for one in configurations]


def is_new(configuration):
    return int(configuration.id, 16) % 3 == 0


@given(seed=st.integers(0, 1000), count=st.integers(1, 20), new=st.integers(0, 4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_draw_repeats_itself_in_any_order_and_grows_by_addition(candidates, seed, count, new):
    wanted = Selection(count=count, seed=seed, min_new_clusters=min(new, count))
    drawn = select(candidates, wanted, is_new)
    assert len(drawn) == len(set(ids(drawn))) == count
    assert ids(drawn) == [one for one in ids(candidates) if one in set(ids(drawn))]
    shuffled = random.Random(seed).sample(candidates, len(candidates))
    assert set(ids(select(shuffled, wanted, is_new))) == set(ids(drawn))
    assert sum(map(is_new, drawn)) >= wanted.min_new_clusters
    larger = select(candidates, wanted.model_copy(update={"count": count + 3}), is_new)
    assert set(ids(drawn)) < set(ids(larger))


def test_seeds_draw_differently(candidates):
    draws = {frozenset(ids(select(candidates, Selection(count=6, seed=seed), is_new))) for seed in range(5)}
    assert len(draws) == 5


def test_strata_are_drawn_evenly_until_they_are_empty(candidates):
    supply = Counter(one.label for one in candidates)
    counts = Counter(one.label for one in select(candidates, Selection(count=12, seed=1), is_new))
    short = [label for label in supply if supply[label] < 4]
    assert all(counts[label] == supply[label] for label in short)
    others = [counts[label] for label in supply if label not in short]
    assert max(others) - min(others) <= 1


def test_without_strata_every_candidate_counts_the_same(candidates):
    supply = Counter(one.label for one in candidates)
    seeds = range(60)
    draws = [select(candidates, Selection(count=5, seed=seed, stratify=None), is_new) for seed in seeds]
    counts = Counter(one.label for drawn in draws for one in drawn)
    for label, size in supply.items():
        assert counts[label] == pytest.approx(5 * len(seeds) * size / len(candidates), abs=30)


def test_everything_can_be_drawn(candidates):
    assert ids(select(candidates, Selection(count=len(candidates)), is_new)) == ids(candidates)


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        (Selection(count=10_000), r"select.count asks for 10000 configurations but the campaign has \d+"),
        (Selection(count=5, min_new_clusters=6), r"select.min_new_clusters \(6\) is more than select.count \(5\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(candidates, selection, sentence):
    with pytest.raises(InputError, match=sentence):
        select(candidates, selection, is_new)


def test_too_few_new_clusters_are_counted(candidates):
    with pytest.raises(InputError, match="clusters new to the checkpoint but the campaign has 0"):
        select(candidates, Selection(count=5, min_new_clusters=1), lambda _: False)


@given(fraction=st.floats(0, 1), seed=st.integers(0, 100))
def test_a_fraction_is_rounded_up_and_grows_by_addition(fraction, seed):
    identities = [f"{number:016x}" for number in range(37)]
    drawn = draw_fraction(identities, fraction, seed)
    assert fraction * 37 - 1e-6 <= len(drawn) < fraction * 37 + 1
    assert drawn == sorted(drawn)
    assert set(drawn) <= set(draw_fraction(identities, min(1, fraction + 0.1), seed))


def test_a_fraction_of_thirty_is_not_fooled_by_rounding():
    assert len(draw_fraction([str(number) for number in range(30)], 0.1, 0)) == 3
