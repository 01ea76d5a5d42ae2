from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from definet_flows.defects import Host, enumerate_configurations, low_density_recipes, read_configurations
from definet_flows.training.datasets.held_out import draw_stratified
from tests.training.conftest import host_of

ROOT = Path(__file__).parents[3]
MOS2 = ROOT / "workflows" / "mos2"
SIZES = (5, 6, 8)


@pytest.fixture(scope="module")
def committed():
    host = Host.from_preset("MoS2", (1, 1, 1), vacuum=15)
    return {
        (name, size): read_configurations(MOS2 / f"{name}-{size}x{size}.jsonl", host)
        for name in ("new", "seen")
        for size in SIZES
    }


def test_the_committed_draw_is_that_of_its_script(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("draw_held_out", ROOT / "benchmarks" / "draw_held_out.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "TARGET", tmp_path)
    script.main()
    assert "new-8x8.jsonl: 26 configurations of 13 types" in capsys.readouterr().out
    drawn = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    assert len(drawn) == 2 * len(SIZES)
    assert drawn == {name: (MOS2 / name).read_text(encoding="utf-8") for name in drawn}


def test_new_clusters_are_pairwise_distinct_and_enough(committed):
    new = [c for size in SIZES for c in committed["new", size]]
    clusters = [c.cluster_id for c in new]
    assert None not in clusters
    assert len(clusters) == len(set(clusters)) >= 30
    assert len(committed["new", 8]) >= 8
    assert all(c.n_defects > 1 for c in new), "single defects must be trained on"


def test_every_type_of_two_or_more_defects_is_drawn_evenly(committed):
    types = {label for label in low_density_recipes("MoS2") if "+" in label}
    for size, times in ((5, 1), (6, 1), (8, 2)):
        assert Counter(c.label for c in committed["new", size]) == dict.fromkeys(types, times)


def test_seen_clusters_exist_at_a_training_size_and_are_not_held_out(committed):
    new = {c.cluster_id for size in SIZES for c in committed["new", size]}
    seen = [c for size in SIZES for c in committed["seen", size]]
    assert new.isdisjoint({c.cluster_id for c in seen})
    trained = {
        c.cluster_id
        for size in (4, 5, 7)
        for recipe in ("V_Mo+V_S", "Se_S+Se_S", "V_S")
        for c in enumerate_configurations(host_of(size), recipe)
    }
    assert {c.cluster_id for c in seen if c.label in {"V_Mo+V_S", "Se_S+Se_S", "V_S"}} <= trained


def test_draws_are_seeded_and_avoid_what_is_taken():
    hosts, recipes = {host_of(5): 2, host_of(4): 1}, ["V_Mo+V_S", "V_S+V_S", "V_S"]
    first, again, other = (draw_stratified(hosts, recipes, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert Counter((c.host.n_cells, c.label) for c in first) == {
        (25, "V_Mo+V_S"): 2,
        (25, "V_S+V_S"): 2,
        (16, "V_Mo+V_S"): 1,
        (16, "V_S+V_S"): 1,
    }
    clusters = {c.cluster_id for c in first}
    assert len(clusters) == 6
    assert clusters.isdisjoint({c.cluster_id for c in draw_stratified(hosts, recipes, 1, taken=clusters)})
