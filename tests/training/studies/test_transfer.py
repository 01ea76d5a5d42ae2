from __future__ import annotations

import itertools

import numpy as np
import pytest

from definet_flows.errors import InputError
from definet_flows.training.studies.study import labels_of
from definet_flows.training.studies.transfer import by_density, by_distance, nearest_pair, transfer
from tests.defects.brute_force import shortest_distance
from tests.training.conftest import configurations_of
from tests.training.studies.conftest import config_of, pool_of


def test_the_nearest_pair_is_found_across_cell_edges():
    for configuration in configurations_of(4, "V_Mo+V_S+V_S")[::9]:
        host = configuration.host
        pairs = itertools.combinations(configuration.defect_sites, 2)
        expected = min(shortest_distance(host.lattice, host.positions[a], host.positions[b]) for a, b in pairs)
        assert nearest_pair(configuration) == pytest.approx(expected, abs=1e-6)


def test_densities_are_told_apart():
    pool = pool_of("low", "high")
    groups, note = by_density(pool)
    low = len(pool.sets[0])
    assert groups == {"low": frozenset(range(low)), "high": frozenset(range(low, len(pool)))}
    assert "MoS2" in note


@pytest.mark.parametrize("density", ["low", "high"])
def test_one_density_alone_cannot_be_transferred(density):
    with pytest.raises(InputError, match=f"of low and of high density; these have: {density}. .* --by distance"):
        by_density(pool_of(density))


def test_the_median_distance_divides_clusters_of_low_density():
    pool = pool_of("low", "high")
    groups, note = by_distance(pool, None)
    configurations = pool.configurations
    clusters = {i for i, c in enumerate(configurations) if c.n_defects > 1 and i < len(pool.sets[0])}
    assert groups["short"] | groups["long"] == clusters
    distances = {i: nearest_pair(configurations[i]) for i in clusters}
    limit = np.median(list(distances.values()))
    assert groups["short"] == {i for i in clusters if distances[i] <= limit + 1e-6}
    assert f"up to {limit:.2f} Å" in note
    assert by_distance(pool, 3.5)[0]["short"] == {i for i in clusters if distances[i] <= 3.5}


def test_distances_that_do_not_divide():
    with pytest.raises(InputError, match=r"on one side of 99.00 Å; give a threshold between"):
        by_distance(pool_of("low"), 99.0)
    with pytest.raises(InputError, match="two or more defects at low density; there are none"):
        by_distance(pool_of("high"), None)


def test_both_ways_with_the_dummy_and_the_model_of_the_same_domain(untrained, tmp_path):
    config = config_of(tmp_path, "low", "high")
    study = transfer(config, tmp_path / "out")
    pool, split = labels_of(config)
    assert list(study.tables) == ["by density", "by distance"]
    for kind, names in (("density", ["low", "high"]), ("distance", ["short", "long"])):
        rows = study.tables[f"by {kind}"]
        assert [(r["tested on"], r["trained on"]) for r in rows] == [
            (test, trained) for test in names for trained in ("nothing (Dummy)", *names)
        ]
        for row in rows:
            assert row.get("domain") in {None, "in" if row["tested on"] == row["trained on"] else "out"}
        assert len({row["configurations"] for row in rows if row["tested on"] == names[0]}) == 1
    for name, used, shares, _ in untrained.calls:
        kind, group = name.split("-")
        members = (by_density(pool) if kind == "density" else by_distance(pool, None))[0][group]
        assert set(shares.training) == set(split.training) & members
        assert not set(shares.training) & set(split.test)
        assert used.steps_per_epoch


def test_too_few_labels_are_counted(untrained, tmp_path):
    config = config_of(tmp_path, "low", split={"validation": 0.2, "test": 0.05})
    pool, split = labels_of(config)
    tested = [nearest_pair(pool.configurations[i]) for i in split.test]
    with pytest.raises(
        InputError, match=r"'long' by distance has \d+ labels to train on, \d+ to validate and 0 to test"
    ):
        transfer(config, tmp_path / "out", ["distance"], threshold=max(tested))
