from __future__ import annotations

import csv
import json

import pytest

from tests.training.conftest import configurations_of, labelled


@pytest.fixture(scope="module")
def label_file(tmp_path_factory):
    labels = labelled(configurations_of(4, "V_Mo+V_S", "V_Mo+Se_S"))
    return labels.save(tmp_path_factory.mktemp("labels") / "labels.safetensors")


def test_tables_and_figures_are_written(invoke, tiny_checkpoint, label_file, tmp_path):
    reply = invoke("evaluate", tiny_checkpoint, label_file, label_file, "-o", tmp_path / "errors")
    assert reply.exit_code == 0, reply.stderr
    for text in (
        "by host and density",
        "Dummy",
        "distance from the nearest defect",
        "says nothing about new structures",
    ):
        assert text in reply.stdout
    names = {path.name for path in (tmp_path / "errors").iterdir()}
    assert {"evaluation.md", "distances.png", "defect-types.png", "lengths.png"} <= names
    with (tmp_path / "errors" / "evaluation-by-defect-type.csv").open(encoding="utf-8") as file:
        assert {row["defects"] for row in csv.DictReader(file)} == {"V_Mo+V_S", "V_Mo+Se_S"}
    page = (tmp_path / "errors" / "evaluation.md").read_text(encoding="utf-8")
    assert "](lengths.png)" in page


def test_json_goes_to_stdout_alone(invoke, tiny_checkpoint, label_file):
    content = json.loads(invoke("evaluate", tiny_checkpoint, label_file, "--json").stdout)
    assert content["model"]["n_configurations"] == content["dummy"]["n_configurations"] > 0
    assert content["failures"] == {}
    assert {row["cluster in training"] for row in content["tables"]["by exposure"]} <= {"new", "undefined at this size"}


def test_elements_the_checkpoint_does_not_know_are_said(invoke, tiny_checkpoint, tmp_path):
    file = labelled(configurations_of(3, "V_B", host="hBN")).save(tmp_path / "hbn.safetensors")
    reply = invoke("evaluate", tiny_checkpoint, file, "-o", tmp_path / "errors")
    assert reply.exit_code == 0, reply.stderr
    assert "predictions failed. A failed prediction counts as no displacement" in reply.stdout
    assert "was not trained on B, N" in reply.stdout
    assert "was not trained on B, N" in (tmp_path / "errors" / "evaluation.md").read_text(encoding="utf-8")


def test_what_cannot_be_evaluated(invoke, tiny_checkpoint, label_file, tmp_path):
    missing = invoke("evaluate", tiny_checkpoint, tmp_path / "none.safetensors")
    assert (missing.exit_code, "none.safetensors" in missing.stderr) == (2, True)
    config = json.loads((tiny_checkpoint / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.json").write_text(json.dumps(config | {"schema_version": 99}), encoding="utf-8")
    old = invoke("evaluate", tmp_path / "old", label_file)
    assert old.exit_code == 2
    assert "schema version 99" in old.stderr
    (tmp_path / "file").touch()
    blocked = invoke("evaluate", tiny_checkpoint, label_file, "-o", tmp_path / "file")
    assert blocked.exit_code == 2
