from __future__ import annotations

from collections import Counter

import pytest

from definet_flows.errors import InputError
from definet_flows.training.studies.efficiency import data_efficiency, nested_order
from definet_flows.training.studies.study import labels_of
from tests.training.studies.conftest import config_of, pool_of


def test_smaller_training_sets_are_parts_of_larger_ones_and_spread_evenly():
    pool = pool_of("low", "high")
    training = list(range(0, len(pool), 2))
    order = nested_order(pool, training, seed=0)
    assert sorted(order) == training
    whole = Counter(pool.strata[i] for i in training)
    for count in (4, 10, 17):
        part = Counter(pool.strata[i] for i in order[:count])
        for stratum, n in whole.items():
            assert part[stratum] == pytest.approx(n * count / len(training), abs=1)
    assert nested_order(pool, training, seed=1) != order


def test_one_row_per_fraction_under_the_dummys(config, untrained, tmp_path):
    study = data_efficiency(config, tmp_path / "out", fractions=[1, 0.5], budget="passes")
    (rows,) = study.tables.values()
    pool, split = labels_of(config)
    assert [row["fraction"] for row in rows] == [0, 0.5, 1]
    assert [row["training labels"] for row in rows] == [0, round(len(split.training) / 2), len(split.training)]
    assert {row["configurations"] for row in rows} == {len(split.test)}
    half, whole = (set(split.training) for _, _, split, _ in untrained.calls)
    assert half < whole
    for _, _, used, _ in untrained.calls:
        assert (used.validation, used.test) == (split.validation, split.test)
    assert f"{len(pool)} relaxations of MoS2 (low density) by pull" in study.notes[0]
    assert "passes over its own labels" in study.notes[1]


@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")
def test_real_trainings_of_equal_length_resume(tmp_path):
    config = config_of(tmp_path, "high")
    study = data_efficiency(config, tmp_path / "out", fractions=[0.4, 1])
    rows = study.tables["by number of labels"]
    assert rows[1]["steps"] == rows[2]["steps"] > 0
    assert rows[1]["epochs"] == rows[2]["epochs"] == 2
    assert all(row["seconds"] > 0 for row in rows[1:] if "seconds" in row)
    assert data_efficiency(config, tmp_path / "out", fractions=[0.4, 1]) == study


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ([0.001], "leaves none; give larger fractions"),
        ([0.5, 1.5], "1.5 is not a fraction"),
        ([0], "0 is not a fraction"),
    ],
)
def test_fractions_that_cannot_be(config, tmp_path, fractions, message):
    with pytest.raises(InputError, match=message):
        data_efficiency(config, tmp_path / "out", fractions)


def test_a_study_needs_something_to_test_on(tmp_path):
    with pytest.raises(InputError, match=r"needs a test share; set split.test"):
        data_efficiency(config_of(tmp_path, "high", split={"validation": 0.2, "test": 0}), tmp_path / "out")
    with pytest.raises(InputError, match="remove start_from"):
        data_efficiency(config_of(tmp_path, "high", start_from="definet-mos2-chgnet"), tmp_path / "out")
