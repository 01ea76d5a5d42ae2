from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from definet_flows.definet import DefiNet, DefiNetConfig, ModelCard, Prerelaxer, load_checkpoint, save_checkpoint
from definet_flows.errors import InputError
from definet_flows.training.datasets.labels import centred_displacements
from definet_flows.training.datasets.sources import LabelPool
from definet_flows.training.evaluation import defect_type, evaluate, evaluate_pool, evaluate_sets
from tests.defects.brute_force import shortest_distance
from tests.training.conftest import configurations_of, labelled, relaxed

CONFIGURATIONS = {3: configurations_of(3, "V_Mo+V_S"), 4: configurations_of(4, "W_Mo+Se_S")}
SEEN = CONFIGURATIONS[3][0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return checkpoint_of(tmp_path_factory, ("Mo", "S", "Se", "W"))


@pytest.fixture(scope="module")
def without_dopants(tmp_path_factory):
    return checkpoint_of(tmp_path_factory, ("Mo", "S"))


def checkpoint_of(tmp_path_factory, elements):
    torch.manual_seed(0)
    card = ModelCard(
        name="toy",
        hosts=("MoS2",),
        elements=elements,
        teacher="pull",
        max_displacement_trained=0.1,
        cluster_ids=frozenset({SEEN.cluster_id}),
        configuration_ids=frozenset({SEEN.placement_id}),
    )
    where = tmp_path_factory.mktemp("checkpoints") / "toy"
    save_checkpoint(where, DefiNet(DefiNetConfig(features=8, n_layers=1, n_radial=4)), card)
    return where


@pytest.fixture(scope="module")
def pool():
    low, high = (labelled(configurations) for configurations in CONFIGURATIONS.values())
    return LabelPool((replace(low, density="low"), replace(high, density="high")))


def component_errors(predicted):
    """Every component of every real atom's error, from the positions before they became labels."""
    errors = []
    for configuration, displacements in predicted:
        target = centred_displacements(configuration, relaxed(configuration))
        errors += (displacements - target)[configuration.occupied].ravel().tolist()
    return np.array(errors)


def raw_predictions(folder, pool):
    return [
        (p.configuration, p.positions - p.configuration.host.positions)
        for labels in pool.sets
        for p in Prerelaxer(folder, device="cpu", guard=None).predict(labels.configurations)
    ]


def test_model_and_dummy_against_plain_sums(folder, pool):
    found = evaluate_pool(load_checkpoint(folder), pool, "cpu")
    predictions = raw_predictions(folder, pool)
    assert found["model"]["MAE_angstrom"] == pytest.approx(abs(component_errors(predictions)).mean(), rel=1e-4)
    still = [(c, np.zeros((c.host.n_sites, 3))) for c in pool.configurations]
    assert found["dummy"]["MAE_angstrom"] == pytest.approx(abs(component_errors(still)).mean(), rel=1e-4)
    assert found["dummy"]["A3_angstrom"] > found["dummy"]["A6_angstrom"] > found["dummy"]["MAE_angstrom"]
    assert found["model"].keys() == found["dummy"].keys()
    assert found["model"]["n_configurations"] == len(pool.configurations)


def test_densities_hosts_and_exposures_are_told_apart(folder, pool):
    evaluation = evaluate_sets(load_checkpoint(folder), pool.sets, "cpu")
    rows = evaluation.rows("host", "density")
    assert [(row["density"], row["predictor"]) for row in rows] == [
        ("high", "model"), ("high", "Dummy"), ("low", "model"), ("low", "Dummy"),
    ]  # fmt: skip
    for labels in pool.sets:
        (model,) = [r for r in rows if r["density"] == labels.density and r["predictor"] == "model"]
        part = LabelPool((labels,))
        assert model["MAE (Å)"] == pytest.approx(abs(component_errors(raw_predictions(folder, part))).mean(), rel=1e-4)
        assert model["configurations"] == len(labels)
    exposures = {row["exposure"]: row["configurations"] for row in evaluation.rows("exposure")}
    assert exposures == Counter(load_checkpoint(folder).card.exposure(c) for c in pool.configurations)
    assert exposures["same_size"] == 1
    types = evaluation.rows("defects")
    assert {row["defects"] for row in types} == {"V_Mo+V_S", "W_Mo+Se_S"}
    assert sum(row["configurations"] for row in types if row["predictor"] == "Dummy") == len(pool.configurations)


def test_rings_around_the_nearest_defect(folder, pool):
    rows = evaluate_sets(load_checkpoint(folder), pool.sets, "cpu").ring_rows()
    column = "distance from the nearest defect (Å)"
    inner = next(row for row in rows if row[column] == "2 to 3")
    errors, atoms = 0.0, 0
    for configuration in pool.configurations:
        host = configuration.host
        target = centred_displacements(configuration, relaxed(configuration))
        for site in np.flatnonzero(configuration.occupied):
            nearest = min(
                shortest_distance(host.lattice, host.positions[site], host.positions[defect])
                for defect in configuration.defect_sites
            )
            if 2 < nearest <= 3:
                errors, atoms = errors + abs(target[site]).sum(), atoms + 1
    assert inner["atoms"] == atoms
    assert inner["Dummy MAE (Å)"] == pytest.approx(errors / (3 * atoms), rel=1e-4)
    assert sum(row["atoms"] for row in rows) == sum(int(c.occupied.sum()) for c in pool.configurations)
    parts = evaluate_sets(load_checkpoint(folder), pool.sets, "cpu").ring_rows("density")
    assert sum(row["atoms"] for row in parts if row[column] == "2 to 3") == inner["atoms"]
    assert {row["density"] for row in parts} == {"low", "high"}


def test_many_defects_are_named_by_their_concentration():
    (configuration, *_) = configurations_of(3, "V_Mo+V_S+V_S")
    assert defect_type(configuration) == "V_Mo+V_S+V_S"
    crowded = type(configuration).create(configuration.host, {0: "W", 4: "W", 9: "Se", 18: "Se"})
    assert defect_type(crowded) == "14.8% of the sites"


def test_from_files(folder, pool, tmp_path):
    files = [labels.save(tmp_path / f"{labels.density}.safetensors") for labels in pool.sets]
    found = evaluate(folder, files[0], device="cpu")
    assert found.summary() == evaluate_pool(load_checkpoint(folder), LabelPool(pool.sets[:1]), "cpu")
    both = evaluate(folder, files, device="cpu")
    assert both.summary() == evaluate_pool(load_checkpoint(folder), pool, "cpu")
    assert {group.density for group in both.groups} == {"low", "high"}


def test_a_prediction_that_is_not_finite_counts_as_no_displacement(folder, pool):
    broken = load_checkpoint(folder)
    with torch.no_grad():
        for parameter in broken.model.parameters():
            parameter.fill_(float("nan"))
    found = evaluate_sets(broken, pool.sets, "cpu")
    assert found.summary()["model"] == found.summary()["dummy"]
    assert found.total().failed == len(pool.configurations)


def test_elements_that_training_never_met_are_failures(without_dopants, pool):
    found = evaluate_sets(load_checkpoint(without_dopants), pool.sets, "cpu")
    rows = {row["density"]: row for row in found.rows("density") if row["predictor"] == "model"}
    assert (rows["low"]["failed"], rows["high"]["failed"]) == (0, len(CONFIGURATIONS[4]))
    (reason,) = found.failures
    assert "was not trained on Se, W" in reason
    (dummy,) = [r for r in found.rows("density") if r["density"] == "high" and r["predictor"] == "Dummy"]
    assert rows["high"]["MAE (Å)"] == dummy["MAE (Å)"]


def test_what_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(InputError, match="There is no label set"):
        evaluate(folder, tmp_path / "labels.safetensors")
    with pytest.raises(InputError, match="nowhere"):
        evaluate(tmp_path / "nowhere", labelled(CONFIGURATIONS[3]).save(tmp_path / "labels.safetensors"))
