from __future__ import annotations

import logging
import re

import numpy as np
import pytest

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.errors import InputError
from definet_flows.training.datasets.labels import LabelError, LabelSet, centred_displacements
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.datasets.sources import read_source
from definet_flows.training.datasets.split import SplitSettings, split_labels
from definet_flows.training.datasets.twodmd import TEACHER
from tests.training.datasets.twodmd_tree import pulled, write_csv, write_sample, write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Both sections, three hosts, MoS2 in both."""
    return write_tree(tmp_path_factory.mktemp("twodmd"), low=("MoS2",), high=("MoS2", "hBN"), high_unit_c=20.0)


@pytest.fixture
def own(tmp_path):
    """A low-density section to spoil: six samples."""
    return write_tree(tmp_path, per_host=6, seed=1)


def expected(placement):
    configuration = DefectConfiguration.create(placement.host, dict(placement.defects))
    return configuration, centred_displacements(configuration, placement.host.positions + pulled(configuration))


@pytest.mark.parametrize(("density", "name"), [("low", "MoS2"), ("high", "MoS2"), ("high", "hBN")])
def test_labels_are_those_of_the_canonical_configuration(tree, density, name):
    (labels,) = read_source(tree.folder(density, name))
    assert labels.density == density
    assert labels.teacher == TEACHER
    wanted = dict(expected(placement) for placement in tree.placements[density, name].values())
    assert set(labels.configurations) == set(wanted)
    for configuration, label in zip(labels.configurations, labels.displacements, strict=True):
        np.testing.assert_allclose(label, wanted[configuration], atol=5e-5)
        assert (label[~configuration.occupied] == 0).all()


def test_the_root_may_be_everything_a_section_or_one_host(tree, tmp_path):
    whole = read_source(tree.root)
    assert [(labels.host.name, labels.density) for labels in whole] == [
        ("MoS2", "low"),
        ("MoS2", "high"),
        ("hBN", "high"),
    ]
    sections = tmp_path / "unpacked"
    sections.mkdir()
    (sections / "low_density").symlink_to(tree.root)
    assert [len(labels) for labels in read_source(sections)] == [len(labels) for labels in whole]
    (only,) = read_source(tree.folder("high", "hBN"))
    assert only.content_hash == whole[2].content_hash


def test_hosts_are_those_of_the_presets_and_differ_between_the_sections(tree):
    low, high, _ = read_source(tree.root)
    assert high.host.unit_cell.lattice.c == pytest.approx(20)
    assert high.host.vacuum == pytest.approx(16.87, abs=0.01)
    assert low.host.vacuum == pytest.approx(11.75, abs=0.01)
    assert low.host != high.host
    assert low.host.family == high.host.family


def test_low_density_ids_are_those_of_the_preset_host(own):
    (labels,) = read_source(own.root)
    assert labels.host == Host.from_preset("MoS2", (4, 4, 1))


def test_unit_cells_of_the_high_density_section_may_have_the_c_of_the_low_one(tmp_path):
    for c, folder in ((None, "own"), (20.0, "stretched")):
        (tmp_path / folder).mkdir()
        write_tree(tmp_path / folder, low=(), high=("WSe2",), per_host=2, high_unit_c=c)
    own, stretched = (read_source(tmp_path / folder)[0] for folder in ("own", "stretched"))
    np.testing.assert_allclose(own.host.positions, stretched.host.positions, atol=1e-5)
    np.testing.assert_allclose(own.displacements, stretched.displacements, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "supercell"), [("GaSe", (3, 3, 1)), ("InSe", (3, 3, 1)), ("BP", (3, 3, 1)), ("WSe2", (3, 4, 1))]
)
def test_every_host_of_the_database_is_read(tmp_path, name, supercell):
    tree = write_tree(tmp_path, low=(), high=(name,), supercell=supercell, per_host=2)
    (labels,) = read_source(tmp_path)
    assert labels.host.name == name
    assert set(labels.configurations) == {expected(p)[0] for p in tree.placements["high", name].values()}


def test_the_csv_files_are_a_split_to_be_had_on_request(own, tmp_path):
    (labels,) = read_source(own.root)
    share_of = dict(zip(labels.configurations, labels.given_shares, strict=True))
    for number, placement in enumerate(own.placements["low", "MoS2"].values()):
        assert share_of[expected(placement)[0]] == ("training", "validation", "test")[number % 3]
    again = LabelSet.load(labels.save(tmp_path / "low.safetensors"))
    assert (again.given_shares, again.density) == (labels.given_shares, "low")
    split = split_labels(LabelPool((again,)), SplitSettings(given=True))
    assert [len(share) for share in (split.training, split.validation, split.test)] == [2, 2, 2]


def test_without_csv_files_every_pair_is_read(tree):
    (labels,) = read_source(tree.folder("high", "hBN"))
    assert len(labels) == 10
    assert labels.given_shares is None


def test_ids_that_no_csv_lists_are_not_read(own):
    for share in ("val", "test"):
        (own.folder("low", "MoS2") / f"{share}.csv").unlink()
    (labels,) = read_source(own.root)
    assert labels.given_shares == ("training", "training")


def cif(tree, number, kind):
    return tree.cifs("low", "MoS2") / f"low{number:04d}_{kind}.cif"


def without_partner(tree):
    cif(tree, 2, "relaxed").unlink()


def without_unrelaxed(tree):
    cif(tree, 2, "unrelaxed").unlink()


def without_either(tree):
    without_partner(tree)
    without_unrelaxed(tree)


def with_other_atoms(tree):
    text = cif(tree, 2, "relaxed").read_text()
    cif(tree, 2, "relaxed").write_text(
        text.replace(" S  S1 ", " O  S1 ") if " S  S1 " in text else re.sub(r"\n +S +S", r"\n  O  S", text, count=1)
    )


def with_another_cell(tree):
    text = cif(tree, 2, "relaxed").read_text()
    cif(tree, 2, "relaxed").write_text(re.sub(r"_cell_length_a +\S+", "_cell_length_a 12.9", text))


def with_nan(tree):
    text = cif(tree, 2, "relaxed").read_text()
    cif(tree, 2, "relaxed").write_text(re.sub(r"\d\.\d+(  \d\.\d+  1\n)", r"nan\1", text, count=1))


def cut(tree):
    text = cif(tree, 2, "unrelaxed").read_text()
    cif(tree, 2, "unrelaxed").write_text(text[: text.index("_atom_site_fract_x")])


def emptied(tree):
    cif(tree, 2, "relaxed").write_text("")


def binary(tree):
    cif(tree, 2, "relaxed").write_bytes(bytes(range(256)) * 20)


def repeated(tree):
    """The placement of the first sample somewhere else in the cell, relaxed differently."""
    first = tree.placements["low", "MoS2"]["low0000"]
    host = first.host
    moved = DefectConfiguration(host, tuple(sorted((int(host.permutations[7][s]), new) for s, new in first.defects)))
    write_sample(tree.cifs("low", "MoS2"), "low0002", moved, np.random.default_rng(0))
    text = cif(tree, 2, "relaxed").read_text()
    cif(tree, 2, "relaxed").write_text(re.sub(r"(0\.\d)\d{7}(  1\n)", r"\g<1>5000000\2", text, count=1))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_partner, "low0002: The sample has no low0002_relaxed.cif"),
        (without_unrelaxed, "low0002: The sample has no low0002_unrelaxed.cif"),
        (without_either, "low0002: The sample has no low0002_unrelaxed.cif and no low0002_relaxed.cif"),
        (with_other_atoms, "low0002: The relaxed structure has other atoms than the unrelaxed one"),
        (with_another_cell, "low0002: The relaxed cell differs from the unrelaxed one by"),
        (with_nan, "low0002: The relaxed structure has coordinates that are not finite numbers"),
        (cut, "low0002_unrelaxed.cif cannot be read as a structure"),
        (emptied, "low0002_relaxed.cif is empty"),
        (binary, "low0002_relaxed.cif cannot be read as a structure"),
        (repeated, "low0002: It is the configuration of .*low0000 with another relaxed structure"),
    ],
)
def test_a_bad_sample_ends_the_reading_or_is_listed_and_left_out(own, caplog, spoil, message):
    spoil(own)
    with pytest.raises(LabelError, match=message) as refusal:
        read_source(own.root)
    assert "With --skip-bad such samples are listed and left out" in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    (labels,) = read_source(own.root, skip_bad=True)
    spoilt = expected(own.placements["low", "MoS2"]["low0002"])[0]
    assert len(labels) == 5
    assert spoilt not in labels.configurations
    (listed,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert listed.startswith("1 bad samples left out:\n  ")
    assert re.search(message, listed)


def test_a_file_cut_anywhere_is_never_a_silent_sample(own):
    whole = cif(own, 2, "relaxed").read_text()
    for length in range(0, len(whole) - 1, 293):
        cif(own, 2, "relaxed").write_text(whole[:length])
        with pytest.raises(LabelError, match="low0002"):
            read_source(own.root)


def test_an_equivalent_sample_that_agrees_is_taken_once(own):
    first = own.placements["low", "MoS2"]["low0000"]
    host = first.host
    moved = DefectConfiguration(host, tuple(sorted((int(host.permutations[7][s]), new) for s, new in first.defects)))
    assert moved != first
    write_sample(own.cifs("low", "MoS2"), "low0002", moved, np.random.default_rng(0))
    (labels,) = read_source(own.root)
    assert len(labels) == 5


def twice(folder):
    write_csv(folder / "test.csv", ["low0002", "low0000"])


def other_column(folder):
    write_csv(folder / "val.csv", ["low0001"], column="material_id")


def no_rows(folder):
    write_csv(folder / "val.csv", [])


def no_text(folder):
    (folder / "val.csv").write_bytes(b"\xff\xfe\x00" * 30)


def no_structures(folder):
    for file in folder.glob("**/*.c*"):
        file.unlink()


def no_unit_cell(folder):
    (folder.parent / "MoS2.cif").unlink()


def damaged_unit_cell(folder):
    (folder.parent / "MoS2.cif").write_text("data_")


def unknown_host(folder):
    folder.rename(folder.parent / "NbS2_500")


def another_unit_cell(folder):
    text = (folder.parent / "MoS2.cif").read_text()
    (folder.parent / "MoS2.cif").write_text(text.replace("3.19032000", "3.6"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (twice, "test.csv lists low0000, which train.csv lists too; keep one of them"),
        (other_column, "val.csv has no column atoms_id; its columns are , material_id, energy"),
        (no_rows, "val.csv lists no samples; remove the file to read without its split"),
        (no_text, "val.csv is not a csv file"),
        (no_structures, "CIF_POSCAR holds no ID_unrelaxed.cif; check that the data set was unpacked"),
        (no_unit_cell, "The host of .*MoS2 is not known: put its unit cell, MoS2.cif, into"),
        (damaged_unit_cell, "MoS2.cif cannot be read as a structure"),
        (unknown_host, "The host of .*NbS2_500 is not known: put its unit cell, NbS2.cif, into"),
        (another_unit_cell, "The cells in .*CIF_POSCAR .* are no multiple of the unit cell of MoS2"),
    ],
)
def test_a_data_set_that_is_not_as_published(own, spoil, message):
    spoil(own.folder("low", "MoS2"))
    with pytest.raises(InputError, match=message):
        read_source(own.root)


def test_another_host_in_the_same_layout_needs_its_unit_cell_only(own):
    own.folder("low", "MoS2").rename(own.root / "mine")
    (own.root / "MoS2.cif").rename(own.root / "mine.cif")
    (labels,) = read_source(own.root)
    assert (labels.host.name, len(labels)) == ("mine", 6)


def test_when_all_samples_are_bad(own):
    for file in own.cifs("low", "MoS2").glob("*_relaxed.cif"):
        file.unlink()
    with pytest.raises(LabelError, match="has no sample that can be used; 6 were looked at"):
        read_source(own.root, skip_bad=True)
    for file in own.cifs("low", "MoS2").glob("*.cif"):
        file.write_text("data_")
    with pytest.raises(LabelError, match=r"None of the structures in .* can be read"):
        read_source(own.root, skip_bad=True)
