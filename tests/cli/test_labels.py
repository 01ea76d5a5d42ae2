from __future__ import annotations

import json

import numpy as np
import pytest
from ase.io import write

from definet_flows.training.datasets.labels import LabelSet
from tests.training.datasets.test_relaxations import HOST, PLACEMENTS, pairs
from tests.training.datasets.twodmd_tree import write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("twodmd"), high=("hBN",), per_host=4)


def test_a_data_set_becomes_one_file_per_host_and_density(invoke, tree, tmp_path):
    reply = invoke("labels", "import", tree.root, "-o", tmp_path / "labels", "--json")
    assert reply.exit_code == 0, reply.stderr
    files = sorted(file.name for file in (tmp_path / "labels").iterdir())
    assert files == ["MoS2-4x4x1-low.safetensors", "hBN-4x4x1-high.safetensors"]
    low, high = json.loads(reply.stdout)
    assert (low["labels"], low["density"], low["teacher"], low["supercell"]) == (4, "low", "vasp", "4x4x1")
    assert low["given_split"] == {"training": 2, "validation": 1, "test": 1}
    assert high["types"] == {"9.4% defects": 4}
    labels = LabelSet.load(tmp_path / "labels" / files[0])
    lengths = np.linalg.norm(labels.displacements, axis=-1)
    assert low["displacements_angstrom"]["largest"] == pytest.approx(lengths.max())
    again = invoke("labels", "import", tree.root, "-o", tmp_path / "labels")
    assert again.exit_code == 2
    assert "MoS2-4x4x1-low.safetensors is there already; name another folder" in again.stderr


def test_label_sets_are_shown_for_people(invoke, tree, tmp_path):
    invoke("labels", "import", tree.root, "-o", tmp_path)
    reply = invoke("labels", "show", *sorted(tmp_path.glob("*.safetensors")))
    assert reply.exit_code == 0, reply.stderr
    table = reply.stdout.splitlines()
    assert any(line.split()[1:6] == ["MoS2", "4x4x1", "low", "vasp", "4"] for line in table if "safetensors" in line)
    assert any(line.split() == ["hBN", "high", "9.4%", "defects", "4"] for line in table)
    folder = invoke("labels", "show", tmp_path, "--json")
    assert [one["host"] for one in json.loads(folder.stdout)] == ["MoS2", "hBN"]


def test_a_bad_sample_stops_the_import_or_is_listed_at_its_end(invoke, tmp_path):
    tree = write_tree(tmp_path / "source", per_host=4)
    (tree.cifs("low", "MoS2") / "low0001_relaxed.cif").write_text("")
    reply = invoke("labels", "import", tree.root, "-o", tmp_path / "labels")
    assert reply.exit_code == 2
    assert "low0001_relaxed.cif is empty" in reply.stderr
    assert "--skip-bad" in reply.stderr
    assert not (tmp_path / "labels").exists()
    reply = invoke("labels", "import", tree.root, "-o", tmp_path / "labels", "--skip-bad", "--json")
    assert reply.exit_code == 0
    assert json.loads(reply.stdout)[0]["labels"] == 3
    assert "1 bad samples left out:" in reply.stderr
    assert "low0001_relaxed.cif is empty" in reply.stderr


def test_files_of_relaxations_are_imported_onto_a_named_host(invoke, tmp_path):
    write(tmp_path / "pairs.xyz", pairs(), format="extxyz")
    host = ("--host", "MoS2", "--supercell", 4, 4, 1, "--vacuum", 15)
    reply = invoke("labels", "import", tmp_path / "pairs.xyz", "-o", tmp_path, *host, "--teacher", "PBE", "--json")
    assert reply.exit_code == 0, reply.stderr
    assert json.loads(reply.stdout)[0]["teacher"] == "PBE"
    labels = LabelSet.load(tmp_path / "MoS2-4x4x1.safetensors")
    assert labels.host == HOST
    assert len(labels) == len(PLACEMENTS)
    refused = invoke("labels", "import", tmp_path / "pairs.xyz", "-o", tmp_path / "more")
    assert refused.exit_code == 2
    assert "--host" in refused.stderr


def test_sources_that_are_not_there(invoke, tmp_path):
    for command in (("import", tmp_path / "none", "-o", tmp_path), ("show", tmp_path / "none.safetensors")):
        reply = invoke("labels", *command)
        assert reply.exit_code == 2
        assert "There is no label set" in reply.stderr
