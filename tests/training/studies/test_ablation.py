from __future__ import annotations

import numpy as np
import pytest

from definet_flows.errors import InputError
from definet_flows.training.failures import LossNotFinite
from definet_flows.training.studies.ablation import ARMS, ablation, arm_network
from tests.training.studies.conftest import network


def test_the_arms_are_the_papers():
    """Vanilla without both modules, then one after the other; each auxiliary off alone; markers and placeholders unseen."""
    switches = ("placeholders", "marker_gate", "coordinate_update", "global_node", "vector_activation")
    found = {arm: tuple(getattr(arm_network(network(global_node=False), arm), s) for s in switches) for arm in ARMS}
    yes, no = True, False
    assert list(found.values()) == [
        (yes, no, no, yes, yes),
        (yes, yes, no, yes, yes),
        (yes, yes, yes, yes, yes),
        (yes, yes, yes, no, yes),
        (yes, yes, yes, yes, no),
        (no, no, yes, yes, yes),
    ]
    assert {arm_network(network(), arm).features for arm in ARMS} == {8}


def test_means_and_spreads_over_seeds(config, untrained, tmp_path):
    study = ablation(config, tmp_path / "out", seeds=[0, 1, 2])
    rows, runs = study.tables["arms"], study.tables["runs"]
    assert [row["network"] for row in rows] == ["Dummy", *ARMS]
    assert len(runs) == 3 * len(ARMS)
    for row in rows[1:]:
        values = [run["MAE (Å)"] for run in runs if run["network"] == row["network"]]
        assert len(set(values)) == 3
        assert row["MAE (Å)"] == pytest.approx(np.mean(values))
        assert row["MAE ± (Å)"] == pytest.approx(np.std(values, ddof=1))
        assert (row["seeds"], row["seeds failed"], row["failed"]) == (3, 0, 0)
    assert {split.hash for _, _, split, _ in untrained.calls} == {untrained.calls[0][2].hash}, "the split has no seed"
    parameters = {row["network"]: row["parameters"] for row in rows[1:]}
    assert parameters["Vanilla"] < parameters["+ defect-aware message passing"]
    assert parameters["without global node"] < parameters["+ defect-aware coordinate update"]


def test_one_seed_has_no_spread_and_a_failed_arm_keeps_its_row(config, untrained, tmp_path):
    untrained.failing = "vanilla-seed-0", LossNotFinite("the loss is no number")
    rows = ablation(config, tmp_path / "out").tables["arms"]
    assert rows[1] == {"network": "Vanilla", "seeds": 0, "seeds failed": 1, "reason": "the loss is no number"}
    assert rows[3]["MAE ± (Å)"] is None
    assert rows[0]["MAE (Å)"] > 0


def test_seeds_are_needed(config, tmp_path):
    with pytest.raises(InputError, match="at least one seed"):
        ablation(config, tmp_path, seeds=[])
