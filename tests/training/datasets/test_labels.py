from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from definet_flows.defects import DefectConfiguration, Host, HostReference
from definet_flows.errors import InputError
from definet_flows.training.datasets.labels import LabelError, LabelSet, centred_displacements
from tests.training.conftest import TEACHER, configurations_of, host_of, labelled, relaxed

CONFIGURATIONS = configurations_of(4, "V_S", "W_Mo+V_S", "V_Mo+V_S+Se_S")[:12]


@pytest.fixture
def labels():
    return labelled(CONFIGURATIONS)


def test_a_label_is_the_displacement_with_zero_mean_over_real_atoms(labels):
    for configuration, label in zip(CONFIGURATIONS, labels.displacements, strict=True):
        moved = relaxed(configuration) - configuration.host.positions
        occupied = configuration.occupied
        np.testing.assert_allclose(label[occupied], moved[occupied] - moved[occupied].mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(label[occupied].mean(axis=0), 0, atol=1e-6)
        assert (label[~occupied] == 0).all()


def test_a_rigid_shift_is_no_displacement():
    configuration = CONFIGURATIONS[-1]
    there = centred_displacements(configuration, relaxed(configuration))
    shifted = relaxed(configuration) + np.array([0.3, -2, 0.1])
    np.testing.assert_allclose(centred_displacements(configuration, shifted), there, atol=1e-12)


def test_displacements_are_from_the_engines_pristine_sites():
    reference = HostReference("pull", "0" * 16, ((0, 0, 0), (0, 0, -0.2), (0, 0, 0.2)), 0.3, 0.0)
    host = host_of(4).with_reference(reference)
    configuration = DefectConfiguration.create(host, {0: "W"})
    np.testing.assert_allclose(centred_displacements(configuration, host.positions), 0, atol=1e-12)


def test_save_and_load(tmp_path, labels):
    again = LabelSet.load(labels.save(tmp_path / "labels.safetensors"))
    assert (again.host, again.configurations, again.teacher) == (labels.host, labels.configurations, TEACHER)
    assert np.array_equal(again.displacements, labels.displacements)
    assert again.displacements.dtype == np.float32
    assert again.content_hash == labels.content_hash
    assert again.force_constants is None


def test_whoever_the_umask_lets_may_read_it(tmp_path, labels):
    (tmp_path / "other").touch()
    assert labels.save(tmp_path / "labels.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_force_constants_and_references_are_kept(tmp_path):
    reference = HostReference("pull", "0" * 16, ((0, 0, 0), (0, 0, -0.2), (0, 0, 0.2)), 0.3, 0.0)
    host = host_of(4).with_reference(reference)
    constants = np.random.default_rng(0).normal(size=(3, 3, host.n_sites, 3)).astype(np.float32)
    configuration = DefectConfiguration.create(host, {0: "Vac", 20: "V"})
    plain = LabelSet.of([(configuration, host.positions)], TEACHER)
    kept = LabelSet(host, plain.configurations, plain.displacements, TEACHER, constants)
    again = LabelSet.load(kept.save(tmp_path / "labels.safetensors"))
    assert again.host.reference == reference
    assert np.array_equal(again.force_constants, constants)
    assert again.subset([0]).force_constants is not None
    assert again.configurations[0].label == configuration.label, "vanadium is no vacancy"


def test_the_density_and_the_given_split_are_kept(tmp_path, labels):
    shares = ("training", "test", *("validation",) * (len(labels) - 2))
    marked = replace(labels, density="high", given_shares=shares)
    again = LabelSet.load(marked.save(tmp_path / "labels.safetensors"))
    assert (again.density, again.given_shares) == ("high", shares)
    assert (again.subset([2, 1]).density, again.subset([2, 1]).given_shares) == ("high", ("validation", "test"))
    assert again.content_hash == labels.content_hash, "what is learnt is the same"


@pytest.mark.parametrize(
    "entry", [{"density": "medium"}, {"given_shares": ["training"]}, {"given_shares": ["train"] * 12}]
)
def test_densities_and_shares_that_do_not_exist_are_refused(tmp_path, labels, entry):
    header = {"schema_version": 1, "host": labels.host.to_dict(), "teacher": TEACHER, **entry}
    with pytest.raises(LabelError, match=r"The density or the shares in .* are none that this version knows"):
        LabelSet.load(edited(tmp_path / "labels.safetensors", labels, header))


def test_the_hash_is_of_configurations_labels_and_teacher(labels):
    other_teacher = LabelSet(labels.host, labels.configurations, labels.displacements, TEACHER | {"rattle": 0.1})
    hashes = {
        labels.content_hash,
        other_teacher.content_hash,
        labels.subset(range(len(labels) - 1)).content_hash,
        labels.subset(range(len(labels) - 1, -1, -1)).content_hash,
        LabelSet(labels.host, labels.configurations, labels.displacements + 0.001, TEACHER).content_hash,
    }
    assert len(hashes) == 5
    assert labelled(CONFIGURATIONS).content_hash == labels.content_hash


def test_subsets_keep_the_order_asked_for(labels):
    some = labels.subset([5, 2])
    assert some.configurations == (CONFIGURATIONS[5], CONFIGURATIONS[2])
    assert np.array_equal(some.displacements, labels.displacements[[5, 2]])
    assert len(some) == 2


def test_labels_of_nothing_or_of_several_hosts_are_refused():
    with pytest.raises(LabelError, match="no relaxed configuration to learn from"):
        LabelSet.of([], TEACHER)
    mixed = [CONFIGURATIONS[0], configurations_of(3, "V_S")[0]]
    with pytest.raises(LabelError, match="several hosts; make one label set per host supercell"):
        labelled(mixed)


@pytest.mark.parametrize("positions", [np.zeros((3, 3)), np.full((48, 3), np.nan), np.zeros(144)])
def test_positions_that_do_not_fit_are_refused(positions):
    with pytest.raises(LabelError, match=r"relaxed positions of V_S in MoS2 .* are not \[48, 3\] finite numbers"):
        centred_displacements(CONFIGURATIONS[0], positions)


def edited(path, labels, header=None, **tensors):
    """The file of a label set with some of its content replaced."""
    labels.save(path)
    content = {"schema_version": 1, "host": labels.host.to_dict(), "teacher": TEACHER} if header is None else header
    save_file(load_file(path) | tensors, path, metadata={"definet_flows": json.dumps(content)})
    return path


def test_files_that_are_no_label_set(tmp_path, labels):
    with pytest.raises(LabelError, match="There is no label set"):
        LabelSet.load(tmp_path / "none.safetensors")
    whole = labels.save(tmp_path / "labels.safetensors").read_bytes()
    for name, content in (("cut", whole[:-100]), ("short", whole[:20]), ("empty", b""), ("text", b"no labels")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LabelError, match=f"{name} is not a label set or is damaged"):
            LabelSet.load(tmp_path / name)
    save_file({"weights": np.zeros(3)}, tmp_path / "weights.safetensors")
    with pytest.raises(LabelError, match="is not a label set"):
        LabelSet.load(tmp_path / "weights.safetensors")


@pytest.mark.parametrize("header", [{}, {"schema_version": 99}])
def test_other_schemas_are_refused(tmp_path, labels, header):
    with pytest.raises(LabelError, match=r"has label schema .* this version reads 1; make it anew"):
        LabelSet.load(edited(tmp_path / "labels.safetensors", labels, header))


def test_a_label_set_without_its_host(tmp_path, labels):
    with pytest.raises(InputError, match="not the record of a host"):
        LabelSet.load(edited(tmp_path / "labels.safetensors", labels, {"schema_version": 1}))


@pytest.mark.parametrize(
    "tensors",
    [
        {"displacements": np.zeros((12, 47, 3), np.float32)},
        {"displacements": np.zeros((11, 48, 3), np.float32)},
        {"displacements": np.full((12, 48, 3), np.nan, np.float32)},
        {"defect_sites": np.full((12, 3), 48, np.int32)},
        {"defect_species": np.zeros((12, 2), np.uint8)},
    ],
)
def test_tensors_that_do_not_fit_the_host_are_refused(tmp_path, labels, tensors):
    with pytest.raises(LabelError, match="do not fit their host MoS2"):
        LabelSet.load(edited(tmp_path / "labels.safetensors", labels, **tensors))


def test_labels_of_every_supercell_shape(tmp_path):
    host = Host.from_preset("BP", ((1, 1, 0), (-1, 2, 0), (0, 0, 1)))
    labels = labelled([DefectConfiguration.create(host, {0: "N", 5: "Vac"})])
    assert LabelSet.load(labels.save(tmp_path / "bp.safetensors")).configurations == labels.configurations
