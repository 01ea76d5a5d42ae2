from __future__ import annotations

import json

import pytest
import yaml

from tests.training.studies.conftest import config_of

pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")


@pytest.fixture(scope="module")
def training_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    content = config_of(folder, "high", max_epochs=50).model_dump(mode="json", exclude_unset=True)
    content["network"] = {"features": 8, "n_layers": 1, "n_radial": 4}
    (folder / "train.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder / "train.yaml"


def test_data_efficiency_leaves_tables_and_a_figure(invoke, training_file, tmp_path):
    arguments = ("study", "data-efficiency", training_file, "-o", tmp_path, "--fraction", 0.5, "--fraction", 1)
    reply = invoke(*arguments, "--max-epochs", 1, "--budget", "passes")
    assert reply.exit_code == 0, reply.stderr
    assert "1 of 2: fraction-0.5" in reply.stderr
    assert f"Written: {tmp_path / 'data-efficiency.md'}" in reply.stdout
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert names == {"data-efficiency.md", "data-efficiency.png", "data-efficiency-by-number-of-labels.csv"}
    again = invoke(*arguments, "--max-epochs", 1, "--budget", "passes", "--json")
    rows = json.loads(again.stdout)["tables"]["by number of labels"]
    assert [row.get("epochs") for row in rows] == [None, 1, 1]
    assert again.stderr.count("finished before") == 2
    changed = invoke(*arguments, "--max-epochs", 2, "--budget", "passes")
    assert changed.exit_code == 2
    assert "other settings, labels or budget" in changed.stderr


def test_rivals_leave_tables_and_a_figure(invoke, training_file, tiny_checkpoint, tmp_path):
    labels = training_file.parent / "high.safetensors"
    arguments = ("study", "rivals", tiny_checkpoint, labels, "-o", tmp_path)
    reply = invoke(*arguments, "--potential", "M3GNet", "--fmax", 0.05, "--count", 2)
    assert reply.exit_code == 0, reply.stderr
    assert "M3GNet: skipped: no package carries its weights" in reply.stdout
    assert {"rivals.md", "rivals.png", "rivals-methods.csv", "trials.jsonl"} == {p.name for p in tmp_path.iterdir()}
    unknown = invoke(*arguments, "--potential", "chgnett")
    assert unknown.exit_code == 2
    assert "no potential 'chgnett'" in unknown.stderr
    wrong = invoke(*arguments, "--rival", tiny_checkpoint)
    assert wrong.exit_code == 2
    assert "is not NAME=MODEL" in wrong.stderr


def test_one_density_cannot_be_transferred(invoke, training_file, tmp_path):
    reply = invoke("study", "transfer", training_file, "-o", tmp_path, "--by", "density")
    assert reply.exit_code == 2
    assert "these have: high" in reply.stderr


@pytest.mark.parametrize("command", ["data-efficiency", "ablation", "transfer", "rivals"])
def test_help_has_an_example(invoke, command):
    assert f"Example: definet-flows study {command}" in " ".join(invoke("study", command, "--help").stdout.split())


def test_a_training_file_that_is_not_there(invoke, tmp_path):
    reply = invoke("study", "ablation", tmp_path / "none.yaml", "-o", tmp_path / "out")
    assert reply.exit_code == 2
    assert "none.yaml cannot be read" in reply.stderr
