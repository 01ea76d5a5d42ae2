from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from definet_flows.defects import low_density_recipes
from definet_flows.errors import InputError
from definet_flows.training.datasets.labels import SHARES, LabelSet
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.datasets.split import Split, SplitSettings, related, split_labels
from tests.training.conftest import TEACHER, configurations_of, host_of

EVERYTHING = [c for size in (3, 4, 5) for c in configurations_of(size, *low_density_recipes("MoS2"))]


def pool_of(configurations, density=None, given_shares=None):
    """Labels without displacements, one set for each host."""
    of_host = defaultdict(list)
    for configuration in configurations:
        of_host[configuration.host].append(configuration)
    return LabelPool(
        tuple(
            LabelSet(
                host,
                tuple(members),
                np.zeros((len(members), host.n_sites, 3), np.float32),
                TEACHER,
                None,
                density,
                given_shares,
            )
            for host, members in of_host.items()
        )
    )


def split_configurations(configurations, settings):
    return split_labels(pool_of(configurations), settings)


def shares(split):
    return {share: getattr(split, share) for share in SHARES}


@settings(max_examples=40)
@given(
    st.sets(st.integers(0, len(EVERYTHING) - 1), min_size=60, max_size=300),
    st.integers(0, 1000),
    st.sampled_from([(0.1, 0.1), (0.2, 0.3), (0.15, 0.0)]),
)
def test_no_cluster_crosses_shares_and_singles_are_always_trained_on(chosen, seed, parts):
    configurations = [EVERYTHING[i] for i in sorted(chosen)]
    settings = SplitSettings(seed=seed, validation=parts[0], test=parts[1])
    split = split_configurations(configurations, settings)
    everyone = sorted(position for share in shares(split).values() for position in share)
    assert everyone == list(range(len(configurations)))
    met = defaultdict(set)
    for name, share in shares(split).items():
        for position in share:
            configuration = configurations[position]
            for key in configuration.possible_cluster_ids | {configuration.placement_id}:
                met[key].add(name)
            assert name == "training" or configuration.n_defects > 1
    assert all(len(names) == 1 for names in met.values())
    assert split_configurations(configurations, settings) == split


def test_shares_come_out_as_asked():
    split = split_configurations(EVERYTHING, SplitSettings())
    assert len(split.validation) == pytest.approx(0.1 * len(EVERYTHING), abs=3)
    assert len(split.test) == pytest.approx(0.1 * len(EVERYTHING), abs=3)
    labels = {EVERYTHING[position].label for position in split.test}
    assert len(labels) > 5, "many types are in the test share"


def test_the_same_cluster_at_two_sizes_stays_together():
    pairs = [*configurations_of(4, "V_Mo+V_S"), *configurations_of(5, "V_Mo+V_S")]
    shared = {c.cluster_id for c in pairs[:5]} & {c.cluster_id for c in pairs[5:]} - {None}
    assert shared, "the example must have clusters at both sizes"
    for seed in range(20):
        split = split_configurations(pairs, SplitSettings(seed=seed, validation=0.3, test=0.3))
        share_of = {position: name for name, share in shares(split).items() for position in share}
        for cluster in shared:
            assert len({share_of[i] for i, c in enumerate(pairs) if c.cluster_id == cluster}) == 1


def test_another_seed_is_another_split():
    first, second = (split_configurations(EVERYTHING, SplitSettings(seed=seed)) for seed in (0, 1))
    assert first.test != second.test
    assert first.hash != second.hash


def test_the_hash_is_of_configurations_in_shares():
    settings = SplitSettings(test=0)
    configurations = list(configurations_of(5, "V_Mo+V_S", "V_S"))
    split = split_configurations(configurations, settings)
    assert split.hash == split_configurations(configurations, settings).hash
    assert split.hash != split_configurations(configurations[:-1], settings).hash
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
        split_configurations(configurations, settings)


def test_readings_that_meet_keep_configurations_together():
    """A tied pair and the defined clusters of another size that it can be read as are one group."""
    small, large = configurations_of(4, "V_Mo+V_S"), configurations_of(7, "V_Mo+V_S")
    together = [*small, *large]
    groups = related(together)
    assert sorted(position for group in groups for position in group) == list(range(len(together)))
    (tied, *_) = [c for c in small if c.cluster_id is None]
    (group,) = [group for group in groups if together.index(tied) in group]
    relatives = {c for c in large if c.possible_cluster_ids & tied.possible_cluster_ids}
    assert relatives
    assert relatives <= {together[i] for i in group}
    assert [sorted(together[i].id for i in g) for g in groups] == [
        sorted(together[::-1][i].id for i in g) for g in related(together[::-1])
    ], "the order of the groups is that of their content"


def test_every_host_and_density_is_divided_alike():
    """A crystal of few labels is divided in the same proportions as one of many."""
    many = pool_of(configurations_of(5, "V_Mo+V_S+V_S", "W_Mo+V_S+V_S"), "low")
    other = [c for c in EVERYTHING if c.host.n_cells == 16 and c.n_defects == 3]
    wse2 = pool_of(_in_wse2(other)[:40], "low")
    dense = pool_of(other[:30], "high")
    pool = LabelPool(many.sets + wse2.sets + dense.sets)
    split = split_labels(pool, SplitSettings())
    everyone, tested = Counter(pool.strata), Counter(pool.strata[i] for i in split.test)
    assert len(everyone) == 3
    for stratum, count in everyone.items():
        assert tested[stratum] == pytest.approx(0.1 * count, abs=2)


def _in_wse2(configurations):
    from definet_flows.defects import DefectConfiguration

    names = {"W": "Mo", "Se": "S", "Vac": "Vac"}
    host = host_of(4, "WSe2")
    return [DefectConfiguration.create(host, {s: names[new] for s, new in c.defects}) for c in configurations]


def test_the_split_of_a_data_set_is_taken_when_asked_for(caplog):
    configurations = configurations_of(5, "V_Mo+V_S")[:6]
    given = ("test", "training", "validation", "training", "test", "training")
    pool = pool_of(configurations, given_shares=given)
    split = split_labels(pool, SplitSettings(given=True))
    assert shares(split) == {"training": (1, 3, 5), "validation": (2,), "test": (0, 4)}
    assert split_labels(pool, SplitSettings(validation=0.3)) != split, "by default labels are dealt anew"
    doubled = LabelPool((*pool.sets, replace(pool.sets[0], given_shares=given[::-1])))
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        split_labels(doubled, SplitSettings(given=True))
    assert "parts 6 groups of equivalent configurations" in caplog.text
    with pytest.raises(InputError, match="Not all labels came with a split of their own"):
        split_labels(LabelPool((*pool.sets, *pool_of(configurations).sets)), SplitSettings(given=True))


def test_a_saved_split_is_the_same_split(tmp_path):
    pool = pool_of(EVERYTHING)
    split = split_labels(pool, SplitSettings(seed=3))
    file = split.save(tmp_path / "split.json")
    assert Split.load(file, pool) == split
    assert split_labels(pool, SplitSettings(file=str(file))) == split
    backwards = pool_of(EVERYTHING[::-1])
    again = Split.load(file, backwards)
    assert again.hash == split.hash
    configurations = backwards.configurations
    assert {configurations[i] for i in again.test} == {EVERYTHING[i] for i in split.test}
    some = Split.load(file, pool.subset(range(50)))
    assert sum(len(share) for share in shares(some).values()) == 50


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: "{", "is not a split"),
        (lambda _: "[]", "is not a split"),
        (lambda content: json.dumps({"hash": content["hash"]}), "is not a split"),
        (lambda content: json.dumps(content | {"schema_version": 99}), "has split schema 99, this version reads 1"),
        (lambda content: json.dumps(content | {"test": content["validation"]}), "was changed after it was written"),
        (lambda content: json.dumps(content | {"test": 3}), "is not a split"),
    ],
)
def test_files_that_are_no_split(tmp_path, change, message):
    pool = pool_of(EVERYTHING[:60])
    file = split_labels(pool, SplitSettings()).save(tmp_path / "split.json")
    file.write_text(change(json.loads(file.read_text(encoding="utf-8"))), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        Split.load(file, pool)


def test_a_saved_split_of_other_labels(tmp_path):
    file = split_labels(pool_of(EVERYTHING[:60]), SplitSettings()).save(tmp_path / "split.json")
    with pytest.raises(InputError, match=r"split.json says nothing of .* use the labels it was made for"):
        Split.load(file, pool_of(EVERYTHING[:61]))
    with pytest.raises(InputError, match="cannot be read"):
        Split.load(tmp_path / "none.json", pool_of(EVERYTHING[:60]))


def test_two_splits_at_once_are_refused():
    with pytest.raises(ValueError, match="two different splits"):
        SplitSettings(given=True, file="split.json")
