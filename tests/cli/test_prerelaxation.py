from __future__ import annotations

import json

import numpy as np
import pytest
from pymatgen.core import Structure

from definet_flows.defects import (
    DefectConfiguration,
    Host,
    configuration_from_structure,
    enumerate_configurations,
    read_structure,
)

HOST = ("--host", "MoS2", "--supercell", 4, 4, 1, "--vacuum", 15)


@pytest.fixture(scope="module")
def host():
    return Host.from_preset("MoS2", (4, 4, 1), vacuum=15)


@pytest.fixture
def defect_file(host, tmp_path):
    """A vacancy and a substitution as a user would write them: atoms in an order of their own, wrapped, shifted."""
    structure = DefectConfiguration(host, ((5, "W"), (20, "Vac"))).structure()
    order = np.random.default_rng(0).permutation(len(structure))
    shuffled = Structure.from_sites([structure[i] for i in order])
    shuffled.translate_sites(range(len(shuffled)), [0.3, 0.2, 0.0], frac_coords=True, to_unit_cell=True)
    path = tmp_path / "mine.cif"
    shuffled.to(filename=str(path))
    return path


@pytest.mark.parametrize(("file_format", "suffix"), [("cif", ".cif"), ("poscar", ".vasp")])
def test_atoms_move_a_little_and_keep_order_and_cell(
    invoke, defect_file, tiny_checkpoint, tmp_path, file_format, suffix
):
    out = tmp_path / "out"
    reply = invoke(
        "prerelax", *HOST, "--model", tiny_checkpoint, "--format", file_format, defect_file, "-o", out, "--json"
    )
    assert reply.exit_code == 0, reply.stderr
    (row,) = json.loads(reply.stdout)
    assert row["outcome"] == "pre-relaxed"
    before, after = read_structure(defect_file), read_structure(out / f"mine{suffix}")
    assert before.composition == after.composition
    np.testing.assert_allclose(after.lattice.matrix, before.lattice.matrix, atol=1e-5)
    if file_format == "cif":
        assert [site.specie for site in after] == [site.specie for site in before]
        moved = [a.distance(b) for a, b in zip(after, before, strict=True)]
        assert max(moved) == pytest.approx(row["largest displacement (Å)"], abs=1e-3)


def test_a_refused_prediction_leaves_the_file_as_it_was_and_says_so(invoke, host, tiny_checkpoint, tmp_path):
    path = tmp_path / "te.cif"
    DefectConfiguration(host, ((20, "Te"),)).structure().to(filename=str(path))
    reply = invoke("prerelax", *HOST, "--model", tiny_checkpoint, path, "-o", tmp_path / "out", "--json")
    assert reply.exit_code == 0
    (row,) = json.loads(reply.stdout)
    assert "Te" in row["outcome"]
    assert "left as it was" in row["outcome"]
    before, after = read_structure(path), read_structure(tmp_path / "out" / "te.cif")
    np.testing.assert_allclose(after.frac_coords, before.frac_coords, atol=1e-6)
    unguarded = invoke(
        "prerelax", *HOST, "--model", tiny_checkpoint, "--no-guard", path, "-o", tmp_path / "out", "--json"
    )
    assert json.loads(unguarded.stdout)[0]["outcome"] == "pre-relaxed"


def test_a_list_of_configurations_becomes_one_file_each(invoke, host, tiny_checkpoint, tmp_path):
    listed = tmp_path / "pairs.jsonl"
    assert invoke("enumerate", *HOST, "--recipe", "V_Mo+V_S", "-o", listed).exit_code == 0
    out = tmp_path / "out"
    reply = invoke("prerelax", *HOST, "--model", tiny_checkpoint, listed, "-o", out, "--json")
    assert reply.exit_code == 0, reply.stderr
    placements = {one.id: one for one in enumerate_configurations(host, "V_Mo+V_S")}
    assert {path.stem for path in out.iterdir()} == set(placements)
    written = {path.stem: configuration_from_structure(host, read_structure(path)).id for path in out.iterdir()}
    assert all(name == found for name, found in written.items())
    another_cell = ("--host", "MoS2", "--supercell", 5, 5, 1, "--vacuum", 15)
    refused = invoke("prerelax", *another_cell, "--model", tiny_checkpoint, listed, "-o", out)
    assert refused.exit_code == 2
    listed.write_text("")
    assert "lists no configuration" in invoke("prerelax", *HOST, listed, "-o", out).stderr


def test_several_files_come_in_one_table(invoke, defect_file, tiny_checkpoint, tmp_path):
    second = tmp_path / "second.cif"
    second.write_bytes(defect_file.read_bytes())
    reply = invoke("prerelax", *HOST, "--model", tiny_checkpoint, defect_file, second, "-o", tmp_path / "out")
    assert reply.exit_code == 0
    assert "mine.cif" in reply.stdout
    assert "second.cif" in reply.stdout


def test_files_that_would_overwrite_one_another_are_refused(invoke, defect_file, tiny_checkpoint, tmp_path):
    other = tmp_path / "b" / "mine.cif"
    other.parent.mkdir()
    other.write_bytes(defect_file.read_bytes())
    model = ("--model", tiny_checkpoint)
    assert invoke("prerelax", *HOST, *model, defect_file, other, "-o", tmp_path / "out").exit_code == 2
    onto_itself = invoke("prerelax", *HOST, *model, defect_file, "-o", defect_file.parent)
    assert onto_itself.exit_code == 2
    assert "overwrite" in onto_itself.stderr
