from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from definet_flows.defects import DefectConfiguration, write_configurations
from definet_flows.defects.equivalence import canonical_images
from definet_flows.errors import InputError
from definet_flows.records import open_store
from definet_flows.training.config import TrainingConfig, load_training_config
from definet_flows.training.datasets.labels import LabelError, LabelSet, centred_displacements
from definet_flows.training.datasets.pool import LabelPool, same_structure
from definet_flows.training.datasets.sources import load_labels, read_source
from tests import copper
from tests.training.conftest import TEACHER, configurations_of, host_of, labelled

PAIRS = {size: configurations_of(size, "V_Mo+V_S", "V_S") for size in (4, 5)}


@pytest.fixture
def files(tmp_path):
    """Label sets of two sizes."""
    return [str(labelled(PAIRS[size]).save(tmp_path / f"{size}.safetensors")) for size in (4, 5)]


def config(files, **options):
    return TrainingConfig(name="toy", labels=tuple(files), **options)


def held_out(tmp_path, configurations):
    return (str(write_configurations(configurations, tmp_path / "held_out.jsonl")),)


def test_sources_are_read_in_order(files):
    pool = load_labels(config(files))
    assert pool.configurations == [*PAIRS[4], *PAIRS[5]]
    assert pool.teachers == [TEACHER]
    assert [labels.host for labels in pool.sets] == [host_of(4), host_of(5)]


def test_subsets_of_a_pool(files):
    pool = load_labels(config(files))
    n_small = len(PAIRS[4])
    chosen = pool.subset([0, 2, n_small + 1])
    assert chosen.configurations == [PAIRS[4][0], PAIRS[4][2], PAIRS[5][1]]
    assert len(pool.subset([n_small]).sets) == 1, "empty sets are dropped"
    assert pool.subset([0]).content_hash != pool.content_hash
    assert LabelPool(pool.sets).content_hash == pool.content_hash


def test_held_out_clusters_are_dropped_at_every_size(files, tmp_path, caplog):
    (shared, *_) = {c.cluster_id for c in PAIRS[4]} & {c.cluster_id for c in PAIRS[5] if c.n_defects == 2} - {None}
    at_another_size = [c for c in configurations_of(7, "V_Mo+V_S") if c.cluster_id == shared]
    with caplog.at_level(logging.INFO):
        pool = load_labels(config(files, held_out=held_out(tmp_path, at_another_size)))
    assert shared not in {c.cluster_id for c in pool.configurations}
    assert {c.host.n_cells for c in pool.configurations} == {16, 25}
    dropped = len(PAIRS[4]) + len(PAIRS[5]) - len(pool.configurations)
    assert dropped == 2
    assert "2 labels left out because their clusters are held out" in caplog.text


def test_every_reading_of_a_held_out_configuration_is_dropped(files, tmp_path):
    """Without a cluster of its own it takes along whatever it can be read as, and only that."""
    (undefined, *others) = [c for c in PAIRS[4] if c.cluster_id is None]
    pool = load_labels(config(files, held_out=held_out(tmp_path, [undefined])))
    dropped = {*PAIRS[4], *PAIRS[5]} - set(pool.configurations)
    assert undefined in dropped
    assert dropped == {c for c in (*PAIRS[4], *PAIRS[5]) if c.possible_cluster_ids & undefined.possible_cluster_ids}
    assert any(c.host.n_cells == 25 for c in dropped)
    assert set(pool.configurations) >= set(others), "undefined clusters are not all the same cluster"


def test_a_label_of_which_one_reading_is_held_out_is_dropped(files, tmp_path):
    (undefined, *_) = [c for c in PAIRS[4] if c.cluster_id is None]
    defined = [c for c in configurations_of(7, "V_Mo+V_S") if c.cluster_id in undefined.possible_cluster_ids]
    pool = load_labels(config(files, held_out=held_out(tmp_path, defined[:1])))
    assert undefined not in pool.configurations


def test_held_out_lists_apply_to_every_crystal(files, tmp_path):
    other = [DefectConfiguration.create(host_of(4, "WSe2"), {0: "Vac", 20 + i: "Vac"}) for i in range(4)]
    wse2 = labelled(other).save(tmp_path / "wse2.safetensors")
    lists = (*held_out(tmp_path, PAIRS[4][:1]), str(write_configurations(other[:1], tmp_path / "wse2.jsonl")))
    pool = load_labels(config([*files, str(wse2)], held_out=lists))
    assert {c.host.name for c in pool.configurations} == {"MoS2", "WSe2"}
    assert not {other[0], PAIRS[4][0]} & set(pool.configurations)


def test_a_configuration_of_two_sources_is_learnt_once(files, tmp_path, caplog):
    again = labelled(PAIRS[4]).subset(range(3))
    same = again.save(tmp_path / "same.safetensors")
    pool = load_labels(config([*files, str(same)]))
    assert pool.configurations == [*PAIRS[4], *PAIRS[5]]
    other = replace(again, displacements=again.displacements + 0.1).save(tmp_path / "other.safetensors")
    with pytest.raises(
        LabelError, match=r"is labelled twice, with different relaxed structures; keep one. With --skip-bad"
    ):
        load_labels(config([*files, str(other)]))
    pool = load_labels(config([*files, str(other)], skip_bad=True))
    assert pool.configurations == [*PAIRS[4], *PAIRS[5]]
    assert "3 bad samples left out:" in caplog.text


def test_a_label_seen_from_two_sides_is_one_structure():
    """A symmetric placement relaxed without its symmetry is the same relaxation after any operation that keeps it."""
    configuration = next(c for c in PAIRS[4] if c.n_defects == 1)
    label = np.random.default_rng(0).normal(size=(48, 3))
    sides = canonical_images(configuration, label)[1]
    assert len(sides) > 1
    assert all(same_structure(configuration, label, side) for side in sides)
    assert not same_structure(configuration, label, label + np.array([0.06, 0, 0]))


def test_nothing_left(files, tmp_path):
    everything = held_out(tmp_path, [*PAIRS[4], *PAIRS[5]])
    with pytest.raises(LabelError, match="Every label belongs to a held-out cluster"):
        load_labels(config(files, held_out=everything))


def test_a_held_out_list_of_another_crystal_is_refused(files, tmp_path):
    other = [DefectConfiguration.create(host_of(4, "WSe2"), {0: "Vac", 20: "Vac"})]
    with pytest.raises(InputError, match="belongs to another crystal than MoS2"):
        load_labels(config(files, held_out=held_out(tmp_path, other)))


def test_a_learning_curve_grows_one_set(files):
    sizes = [3, 5, 9, 1000]
    pools = [{c.id for c in load_labels(config(files, max_labels=n)).configurations} for n in sizes]
    assert [len(pool) for pool in pools] == [3, 5, 9, len(PAIRS[4]) + len(PAIRS[5])]
    assert pools[0] < pools[1] < pools[2] < pools[3]
    assert {c.id for c in load_labels(config(files, max_labels=3, seed=1)).configurations} != pools[0]


def test_labels_of_two_teachers_are_not_mixed(files, tmp_path):
    other = labelled(PAIRS[4], TEACHER | {"force_threshold": 0.002}).save(tmp_path / "other.safetensors")
    with pytest.raises(
        LabelError, match="MoS2-187 come from 2 different engine settings; take those of one teacher at a time"
    ):
        load_labels(config([*files, str(other)]))


def test_each_crystal_may_have_a_teacher_of_its_own(files, tmp_path):
    other = labelled(configurations_of(3, "V_Se", host="WSe2"), TEACHER | {"potential": "push"})
    pool = load_labels(config([*files, str(other.save(tmp_path / "other.safetensors"))]))
    assert [teacher["potential"] for teacher in pool.teachers] == ["pull", "push"]


def test_how_a_teacher_came_to_its_minima_does_not_matter(files, tmp_path):
    stiffer = labelled(PAIRS[4], TEACHER | {"initial_hessian": 45.0, "max_steps": 900})
    pool = load_labels(config([files[1], str(stiffer.save(tmp_path / "stiffer.safetensors"))]))
    assert len(pool) == len(PAIRS[4]) + len(PAIRS[5])


def test_a_force_weight_needs_force_constants(files, tmp_path):
    with pytest.raises(LabelError, match="force_weight needs labels with force constants"):
        load_labels(config(files, force_weight=0.1))
    plain = LabelSet.load(files[0])
    constants = np.zeros((3, 3, 48, 3), np.float32)
    kept = LabelSet(plain.host, plain.configurations, plain.displacements, TEACHER, constants)
    pool = load_labels(config([str(kept.save(tmp_path / "kept.safetensors"))], force_weight=0.1))
    assert pool.sets[0].force_constants is not None


def test_missing_labels_are_named(tmp_path):
    with pytest.raises(LabelError, match=r"There is no label set .*nowhere.safetensors"):
        load_labels(config([str(tmp_path / "nowhere.safetensors")]))


@pytest.fixture
def campaign(tmp_path):
    """A campaign directory with converged, unconverged and failed runs, and a pristine one."""
    changes = [{0: "Vac"}, {0: "Al"}, {0: "Vac", 1: "Al"}, {0: "Ni"}]
    configurations = [copper.configuration(one) for one in changes]
    records = [copper.record(configurations[0], shift=0.1 * np.arange(31))]
    records += [copper.record(configurations[0], copper.prediction(configurations[0]), shift=0.2 * np.arange(31))]
    records += [copper.record(configurations[0], charge=1, shift=0.3)]  # which no network could be told of
    records += [copper.record(configurations[1], copper.prediction(configurations[1]))]
    records += [copper.record(configurations[2], converged=False), copper.record(configurations[3], error="it burst")]
    with open_store(tmp_path / "run") as store:
        store.add_relaxations(records)
        store.put_campaign(copper.campaign_record())
    return tmp_path / "run", configurations


def test_a_campaign_directory_teaches_its_converged_runs(campaign):
    """Each configuration once; where both starts ended, the run that no model has touched."""
    directory, configurations = campaign
    (labels,) = read_source(directory)
    assert labels.teacher == copper.ENGINE.physics
    assert set(labels.configurations) == set(configurations[:2])
    row = labels.configurations.index(configurations[0])
    unrelaxed = copper.relaxation(configurations[0], shift=0.1 * np.arange(31))
    expected = centred_displacements(configurations[0], unrelaxed.positions)
    np.testing.assert_allclose(labels.displacements[row], expected, atol=1e-6)


def test_a_database_teaches_what_a_directory_does(campaign, mongo_address, tmp_path):
    with open_store(campaign[0], read_only=True) as source, open_store(mongo_address) as target:
        for one in source.campaigns():
            target.put_campaign(one)
        target.add_relaxations(source.relaxations(positions=True))
    (tmp_path / "store.yaml").write_text(f"type: MongoStore\nuri: {mongo_address}\n", encoding="utf-8")
    expected = load_labels(config([str(campaign[0])])).content_hash
    (tmp_path / "train.yaml").write_text(f"name: toy\nlabels: ['{mongo_address}']\n", encoding="utf-8")
    assert load_labels(load_training_config(tmp_path / "train.yaml")).content_hash == expected
    assert load_labels(config([str(tmp_path / "store.yaml")])).content_hash == expected


def test_a_campaign_without_converged_runs(tmp_path):
    with open_store(tmp_path / "run") as store:
        store.add_relaxations([copper.record(copper.configuration(), converged=False)])
    with pytest.raises(LabelError, match="holds no converged relaxation to learn from; run the campaign first"):
        read_source(tmp_path / "run")


def test_a_folder_that_is_no_campaign(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        read_source(tmp_path / "empty")
