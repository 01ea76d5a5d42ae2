"""Whatever a user hands over that cannot be used gets one clear sentence and exit code 2."""

from __future__ import annotations

import json
import shutil

import pytest
from pymatgen.core import Lattice, Structure

from definet_flows.defects import DefectConfiguration, Host, read_structure

ENUMERATE = ("enumerate", "--host", "MoS2", "--supercell", 4, 4, 1, "--vacuum", 15)
PRERELAX = ("prerelax", "--host", "MoS2", "--supercell", 4, 4, 1, "--vacuum", 15)


@pytest.fixture
def refusal(invoke):
    """Run a command that must end with exit code 2 and one sentence; returns that sentence."""

    def run(*arguments):
        reply = invoke(*arguments)
        assert reply.exit_code == 2, reply.output
        last = reply.stderr.splitlines()[-1]
        assert last.startswith("Error: ")
        return last

    return run


@pytest.fixture
def vacancy_file(tmp_path):
    path = tmp_path / "vacancy.cif"
    host = Host.from_preset("MoS2", (4, 4, 1), vacuum=15)
    DefectConfiguration(host, ((20, "Vac"),)).structure().to(filename=str(path))
    return path


def test_an_unreadable_structure_file(shell, tmp_path):
    path = tmp_path / "broken.cif"
    path.write_text("this is no structure\n")
    reply = shell("enumerate", "--host", path, "--supercell", 2, 2, 1, "--recipe", "V_S")
    assert reply.returncode == 2
    assert reply.stderr.startswith("Error: ")
    assert reply.stderr.count("\n") == 1
    assert "broken.cif" in reply.stderr


def test_an_empty_structure_file(refusal, tmp_path):
    path = tmp_path / "empty.cif"
    path.touch()
    sentence = refusal("enumerate", "--host", path, "--supercell", 2, 2, 1, "--recipe", "V_S")
    assert "empty.cif" in sentence
    assert "is empty" in sentence


def test_a_missing_structure_file(refusal, tmp_path):
    assert "no.cif" in refusal("enumerate", "--host", tmp_path / "no.cif", "--supercell", 2, 2, 1, "--recipe", "V_S")


def test_overlapping_atoms(refusal, tmp_path):
    path = tmp_path / "overlap.vasp"
    Structure(Lattice.cubic(4), ["Mg", "Mg", "O"], [[0, 0, 0], [0.01, 0, 0], [0.5, 0.5, 0.5]]).to(
        filename=str(path), fmt="poscar"
    )
    assert "overlap" in refusal("enumerate", "--host", path, "--supercell", 2, 2, 2, "--recipe", "V_O")


def test_a_host_without_a_supercell(refusal, tmp_path):
    path = tmp_path / "bulk.vasp"
    Structure(Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(filename=str(path), fmt="poscar")
    assert "--supercell" in refusal("enumerate", "--host", path, "--recipe", "V_O")


@pytest.mark.parametrize(
    ("arguments", "saying"),
    [
        ((*ENUMERATE, "--recipe", "V_Xx"), "Xx"),
        ((*ENUMERATE, "--recipe", "V_Se"), "Se"),
        ((*ENUMERATE, "--recipe", "V-S"), "V-S"),
        ((*ENUMERATE, "--recipe", "S_i"), "S_i"),
        ((*ENUMERATE, "--recipe", "+".join(["V_Mo"] * 17)), ("17", "16")),
        ((*ENUMERATE,), "--recipe"),
        ((*ENUMERATE, "--preset", "low-densty"), "low-density"),
        ((*ENUMERATE, "--recipe", "V_S", "--min-distance", -1), "Distance limits"),
        ((*ENUMERATE, "--recipe", "V_S", "--count-only", "--max-distance", 3), "--count-only"),
        (("enumerate", "--host", "MoS3", "--recipe", "V_S"), "MoS2, WSe2"),
        (("enumerate", "--host", "hBN", "--supercell", 0, 4, 1, "--recipe", "V_B"), "upercell"),
        (("enumerate", "--host", "hBN", "--supercell", 1.5, 4, 1, "--recipe", "V_B"), "--supercell"),
        (("enumerate", "--host", "hBN", "--supercell-matrix", "1 1 0 1 1 0 0 0 1", "--recipe", "V_B"), "singular"),
        (("enumerate", "--host", "hBN", "--supercell-matrix", "1.5 1 0 0 1 0 0 0 1", "--recipe", "V_B"), "integer"),
        (("enumerate", "--host", "hBN", "--supercell-matrix", "1 1 0", "--recipe", "V_B"), "nine"),
        (("sample", "--host", "MoS2", "--vacuum", 15), "--preset high-density"),
        (("sample", "--host", "MoS2", "--substitute", "Mo:W", "--concentration", 0.05), "Mo=W,Vac"),
        (("sample", "--host", "MoS2", "--preset", "high-density", "--concentration", 0.9), "concentration"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(map(str, value))[-40:],
)
def test_hosts_and_recipes_that_make_no_sense(invoke, arguments, saying):
    reply = invoke(*arguments)
    assert reply.exit_code == 2, reply.output
    for word in (saying,) if isinstance(saying, str) else saying:
        assert word in reply.stderr


def test_a_structure_of_another_cell_is_refused_by_name(refusal, vacancy_file, tiny_checkpoint, tmp_path):
    wrong_size = ("prerelax", "--host", "MoS2", "--supercell", 5, 5, 1, "--vacuum", 15, "--model", tiny_checkpoint)
    sentence = refusal(*wrong_size, vacancy_file, "-o", tmp_path / "out")
    assert "vacancy.cif" in sentence
    assert "--supercell" in sentence


def test_a_pristine_structure_has_nothing_to_prerelax(refusal, tiny_checkpoint, tmp_path):
    path = tmp_path / "pristine.cif"
    Host.from_preset("MoS2", (4, 4, 1), vacuum=15).structure.to(filename=str(path))
    sentence = refusal(*PRERELAX, "--model", tiny_checkpoint, path, "-o", tmp_path / "out")
    assert "pristine.cif" in sentence
    assert "no defect" in sentence


def test_an_ambiguous_match_is_refused_by_name(refusal, vacancy_file, tiny_checkpoint, tmp_path):
    structure = read_structure(vacancy_file)
    structure.append("S", structure.cart_coords[0] + [1.0, 0.6, 1.0], coords_are_cartesian=True)
    path = tmp_path / "interstitial.cif"
    structure.to(filename=str(path))
    assert "interstitial.cif" in refusal(*PRERELAX, "--model", tiny_checkpoint, path, "-o", tmp_path / "out")


def test_a_checkpoint_that_is_not_there(refusal, vacancy_file, tmp_path):
    assert "definet-nothing" in refusal(*PRERELAX, "--model", "definet-nothing", vacancy_file, "-o", tmp_path / "out")


@pytest.mark.parametrize("command", ["prerelax", "models show"])
@pytest.mark.parametrize("damage", ["truncated", "tampered", "no weights"])
def test_a_damaged_checkpoint(invoke, vacancy_file, tiny_checkpoint, tmp_path, command, damage):
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_checkpoint, folder)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    if damage == "truncated":
        weights.write_bytes(content[:-100])
    elif damage == "tampered":
        content[-4] ^= 1
        weights.write_bytes(content)
    else:
        weights.unlink()
    shown = ("models", "show", folder)
    reply = (
        invoke(*shown)
        if command == "models show"
        else invoke(*PRERELAX, "--model", folder, vacancy_file, "-o", tmp_path / "out")
    )
    assert reply.exit_code == 2
    assert "damaged" in reply.stderr


def test_an_absent_device(refusal, vacancy_file, tiny_checkpoint, tmp_path):
    arguments = (*PRERELAX, "--model", tiny_checkpoint, "--device", "abacus", vacancy_file, "-o", tmp_path / "out")
    sentence = refusal(*arguments)
    assert "abacus" in sentence
    assert "cpu" in sentence


def test_an_output_that_cannot_be_made(refusal, tmp_path):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "list.jsonl"
    assert "cannot be made" in refusal(
        "enumerate", "--host", "hBN", "--supercell", 3, 3, 1, "--recipe", "V_B", "-o", target
    )


def test_results_of_a_folder_that_holds_none(refusal, tmp_path):
    assert "holds no results" in refusal("results", tmp_path)
    assert "holds no results" in refusal("report", tmp_path)


def test_a_file_that_is_no_training_file(refusal, tmp_path):
    assert "none.yaml" in refusal("train", tmp_path / "none.yaml", "-o", tmp_path / "out")
    path = tmp_path / "train.yaml"
    path.write_text(json.dumps({"name": "x", "labels": ["a.safetensors"], "batchsize": 3}))
    sentence = refusal("train", path, "-o", tmp_path / "out")
    assert "train.yaml" in sentence
    assert "batchsize" in sentence
    assert "batch_size" in sentence


def test_a_setting_that_makes_no_sense(shell, monkeypatch, vacancy_file, tmp_path):
    monkeypatch.setenv("DEFINET_FLOWS_CHECKPOINT", "")
    reply = shell(*PRERELAX, vacancy_file, "-o", tmp_path / "out")
    assert reply.returncode == 2
    assert "DEFINET_FLOWS_CHECKPOINT" in reply.stderr
