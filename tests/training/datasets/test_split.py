from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from definet_flows.defects import low_density_recipes
from definet_flows.errors import InputError
from definet_flows.training.config import SplitSettings
from definet_flows.training.datasets.split import split_by_cluster
from tests.training.conftest import configurations_of

EVERYTHING = [c for size in (3, 4, 5) for c in configurations_of(size, *low_density_recipes("MoS2"))]


def shares(split):
    return {"training": split.training, "validation": split.validation, "test": split.test}


@given(
    st.sets(st.integers(0, len(EVERYTHING) - 1), min_size=60, max_size=300),
    st.integers(0, 1000),
    st.sampled_from([(0.1, 0.1), (0.2, 0.3), (0.15, 0.0)]),
)
def test_no_cluster_crosses_shares_and_singles_are_always_trained_on(chosen, seed, parts):
    configurations = [EVERYTHING[i] for i in sorted(chosen)]
    settings = SplitSettings(seed=seed, validation=parts[0], test=parts[1])
    split = split_by_cluster(configurations, settings)
    everyone = sorted(position for share in shares(split).values() for position in share)
    assert everyone == list(range(len(configurations)))
    met = defaultdict(set)
    for name, share in shares(split).items():
        for position in share:
            configuration = configurations[position]
            met[configuration.cluster_id or configuration.placement_id].add(name)
            assert name == "training" or configuration.n_defects > 1
    assert all(len(names) == 1 for names in met.values())
    assert split_by_cluster(configurations, settings) == split


def test_shares_come_out_as_asked():
    split = split_by_cluster(EVERYTHING, SplitSettings())
    assert len(split.validation) == pytest.approx(0.1 * len(EVERYTHING), abs=3)
    assert len(split.test) == pytest.approx(0.1 * len(EVERYTHING), abs=3)
    labels = {EVERYTHING[position].label for position in split.test}
    assert len(labels) > 5, "many types are in the test share"


def test_the_same_cluster_at_two_sizes_stays_together():
    pairs = [*configurations_of(4, "V_Mo+V_S"), *configurations_of(5, "V_Mo+V_S")]
    shared = {c.cluster_id for c in pairs[:5]} & {c.cluster_id for c in pairs[5:]} - {None}
    assert shared, "the example must have clusters at both sizes"
    for seed in range(20):
        split = split_by_cluster(pairs, SplitSettings(seed=seed, validation=0.3, test=0.3))
        share_of = {position: name for name, share in shares(split).items() for position in share}
        for cluster in shared:
            assert len({share_of[i] for i, c in enumerate(pairs) if c.cluster_id == cluster}) == 1


def test_another_seed_is_another_split():
    first, second = (split_by_cluster(EVERYTHING, SplitSettings(seed=seed)) for seed in (0, 1))
    assert first.test != second.test
    assert first.hash != second.hash


def test_the_hash_is_of_placements_in_shares():
    settings = SplitSettings(test=0)
    configurations = list(configurations_of(5, "V_Mo+V_S", "V_S"))
    split = split_by_cluster(configurations, settings)
    assert split.hash == split_by_cluster(configurations, settings).hash
    assert split.hash != split_by_cluster(configurations[:-1], settings).hash
    assert split.test == ()


@pytest.mark.parametrize(
    ("recipes", "settings", "share"),
    [
        (("V_S", "W_Mo"), SplitSettings(), "validation"),
        (("V_S", "W_Mo"), SplitSettings(test=0), "validation"),
        (("V_Mo+V_S",), SplitSettings(validation=0.99, test=0), "training"),
    ],
)
def test_an_empty_share_is_refused(recipes, settings, share):
    configurations = configurations_of(4, *recipes)[:2]
    with pytest.raises(
        InputError, match=f"The {share} share of 2 labels is empty; give more labels or change the split"
    ):
        split_by_cluster(configurations, settings)
