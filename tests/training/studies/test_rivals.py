from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from definet_flows.defects import VACANCY, DefectConfiguration, Host
from definet_flows.definet import DefiNet, DefiNetConfig, ModelCard, save_checkpoint
from definet_flows.engines import ForceFieldEngine
from definet_flows.errors import InputError
from definet_flows.training.datasets.labels import LabelSet, centred_displacements
from definet_flows.training.studies import methods
from definet_flows.training.studies.rivals import rivals
from definet_flows.training.studies.trials import one_thread

EMT = "ase.calculators.emt.EMT"
TEACHER = ForceFieldEngine(potential=EMT, force_threshold=0.01, relax_host=False)


@pytest.fixture(scope="module")
def copper():
    half = 3.61 / 2
    cell = Structure(Lattice([[0, half, half], [half, 0, half], [half, half, 0]]), ["Cu"], [[0, 0, 0]])
    return Host.from_structure(cell, (3, 3, 3), "Cu", dimensionality=3)


@pytest.fixture(scope="module")
def labels(copper, tmp_path_factory):
    """Four EMT relaxations, as a file."""
    defects = [{0: "Ag"}, {0: VACANCY}, {0: "Ag", 1: VACANCY}, {0: "Ag", 4: "Ag"}]
    configurations = [DefectConfiguration.create(copper, changed) for changed in defects]
    relaxed = [(c, TEACHER.relax(c).positions) for c in configurations]
    return LabelSet.of(relaxed, TEACHER.physics).save(tmp_path_factory.mktemp("labels") / "copper.safetensors")


@pytest.fixture(scope="module")
def network(tmp_path_factory, labels):
    """Make a checkpoint that has seen the first label."""

    def make(name, seed, elements=("Ag", "Cu"), **options):
        torch.manual_seed(seed)
        seen = LabelSet.load(labels).configurations[0]
        card = ModelCard(
            name=name,
            hosts=("Cu",),
            elements=elements,
            teacher=EMT,
            max_displacement_trained=1.0,
            configuration_ids=frozenset({seen.placement_id}),
        )
        folder = tmp_path_factory.mktemp("models") / name
        save_checkpoint(folder, DefiNet(DefiNetConfig(features=8, n_layers=1, n_radial=4, **options)), card)
        return str(folder)

    return make


def by_method(study):
    return {row["method"]: row for row in study.tables["methods"]}


def test_the_same_structures_for_every_method(network, labels, tmp_path):
    implicit = network("implicit", 1, placeholders=False, marker_gate=False)
    study = rivals(
        network("ours", 0),
        [labels],
        tmp_path,
        networks={"defect-implicit": implicit},
        potentials=[EMT, "m3gnet"],
        thresholds=[0.01, 0.5],
    )
    rows = by_method(study)
    assert list(rows) == [
        "Dummy", "bonds by covalent radii", "DefiNet", "defect-implicit", f"{EMT} to 0.01 eV/Å", f"{EMT} to 0.5 eV/Å", "M3GNet",
    ]  # fmt: skip
    assert {row["structures"] for row in rows.values()} == {3, 0}, "the one that was trained on is left out"
    tight, loose = rows[f"{EMT} to 0.01 eV/Å"], rows[f"{EMT} to 0.5 eV/Å"]
    assert tight["role"] == loose["role"] == "teacher of the labels"
    assert tight["MAE (Å)"] < 1e-5
    assert loose["MAE (Å)"] > tight["MAE (Å)"]
    assert loose["force evaluations"] < tight["force evaluations"]
    assert rows["M3GNet"]["reason"].startswith("skipped: no package carries its weights")
    unseen = LabelSet.load(labels).subset([1, 2, 3])
    errors = np.concatenate(
        [label[c.occupied].ravel() for c, label in zip(unseen.configurations, unseen.displacements, strict=True)]
    )
    assert rows["Dummy"]["MAE (Å)"] == pytest.approx(abs(errors).mean(), rel=1e-5)
    assert all(row["s per structure"] > 0 for row in rows.values() if row["structures"])
    assert "3 of 4 labelled structures (Cu 27 sites)" in study.notes[0]


def test_what_was_measured_is_not_measured_again(network, labels, tmp_path, monkeypatch):
    ours = network("ours", 0)
    arguments = {"potentials": [EMT], "thresholds": [0.01]}
    first = rivals(ours, [labels], tmp_path, **arguments)
    log = tmp_path / "trials.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    assert len(lines) == 4 * 3
    log.write_text("".join(lines[:-1]) + lines[-1][:30])  # killed while it wrote

    calls = []
    relax = ForceFieldEngine.relax
    monkeypatch.setattr(ForceFieldEngine, "relax", lambda *a: calls.append(a) or relax(*a))
    again = rivals(ours, [labels], tmp_path, **arguments)
    lost = json.loads(lines[-1])["evaluations"] is not None
    assert len(calls) == int(lost)
    for row, before in zip(again.tables["methods"], first.tables["methods"], strict=True):
        assert row["MAE (Å)"] == pytest.approx(before["MAE (Å)"])


def test_a_draw_is_repeatable_and_a_count(network, labels, tmp_path):
    arguments = {"potentials": [EMT], "thresholds": [0.5], "count": 2, "include_seen": True}
    study = rivals(network("ours", 0), [labels], tmp_path, **arguments)
    assert {row["structures"] for row in study.tables["methods"]} == {2}
    lines = (tmp_path / "trials.jsonl").read_text()
    rivals(network("ours", 0), [labels], tmp_path, **arguments)
    assert (tmp_path / "trials.jsonl").read_text() == lines


def test_failures_count_as_no_displacement(network, labels, tmp_path, monkeypatch):
    """A network without silver, and a potential that gives up after two steps."""
    monkeypatch.setattr(methods, "ForceFieldEngine", lambda **options: ForceFieldEngine(max_steps=2, **options))
    blind = network("blind", 0, elements=("Cu",))
    rows = by_method(rivals(blind, [labels], tmp_path, potentials=[EMT], thresholds=[0.01], include_seen=True))
    assert rows["DefiNet"]["failed"] == 3
    assert "3 × checkpoint blind was not trained on Ag" in rows["DefiNet"]["reason"]
    stopped = rows[f"{EMT} to 0.01 eV/Å"]
    assert stopped["failed"] >= 3
    assert "not converged after 2 force evaluations" in stopped["reason"]
    assert stopped["MAE (Å)"] < rows["Dummy"]["MAE (Å)"], "its last positions count"


def test_a_potential_that_is_not_installed_is_a_row(network, labels, tmp_path):
    arguments = {"potentials": ["nowhere.calculators.Potential"], "include_seen": True}
    rows = by_method(rivals(network("ours", 0), [labels], tmp_path, **arguments))
    assert (
        "skipped: Potential nowhere.calculators.Potential needs the package"
        in rows["nowhere.calculators.Potential"]["reason"]
    )
    assert rows["nowhere.calculators.Potential"]["structures"] == 0


def test_what_cannot_be_compared(network, labels, tmp_path):
    ours = network("ours", 0)
    with pytest.raises(InputError, match="There is no potential 'chgnett'; choose CHGNet"):
        rivals(ours, [labels], tmp_path, potentials=["chgnett"])
    with pytest.raises(InputError, match="above 0 eV/Å"):
        rivals(ours, [labels], tmp_path, thresholds=[0.0])
    with pytest.raises(InputError, match=r"The rival twin=.* are compared already"):
        rivals(ours, [labels], tmp_path, networks={"twin": ours})
    only_seen = LabelSet.load(labels).subset([0]).save(tmp_path / "seen.safetensors")
    with pytest.raises(InputError, match=r"None of the 1 structures is new to every checkpoint; .* --include-seen"):
        rivals(ours, [only_seen], tmp_path)
    another = replace(LabelSet.load(labels), teacher=TEACHER.physics | {"force_threshold": 0.05})
    with pytest.raises(InputError, match="2 different engine settings; take those of one teacher at a time"):
        rivals(ours, [labels, another.save(tmp_path / "another.safetensors")], tmp_path)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_positions_without_a_guess_are_the_hosts(labels):
    configuration = LabelSet.load(labels).configurations[1]
    still = methods.DoNothing().guess(configuration).positions
    assert np.abs(centred_displacements(configuration, still)).max() == 0


def test_bonds_by_covalent_radii_lengthen_around_a_larger_atom(copper):
    """Cordero radii: 1.45 Å of Ag, 1.32 Å of Cu; a bond between them is 2.77/2.64 of the one between two Cu."""
    substituted = DefectConfiguration.create(copper, {0: "Ag"})
    moved = methods.ScaledBonds().guess(substituted).positions - copper.positions
    distances = np.linalg.norm(moved, axis=1)
    bond = 3.61 / np.sqrt(2)
    assert sorted(distances)[-12:] == pytest.approx([bond * (2.77 / 2.64 - 1)] * 12)
    assert sorted(distances)[:-12] == pytest.approx([0.0] * 15)


def test_a_vacancy_has_no_radius(copper):
    vacancy = DefectConfiguration.create(copper, {0: VACANCY})
    assert np.array_equal(methods.ScaledBonds().guess(vacancy).positions, copper.positions)
