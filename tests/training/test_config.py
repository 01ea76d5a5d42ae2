from __future__ import annotations

from pathlib import Path

import pytest

from definet_flows.errors import InputError
from definet_flows.training.config import TrainingConfig, load_training_config

GOOD = "name: toy\nlabels: [labels.safetensors]\n"


def written(tmp_path, text):
    (tmp_path / "train.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "train.yaml"


def test_paths_are_relative_to_the_file(tmp_path):
    config = load_training_config(written(tmp_path, GOOD + "held_out: [new.jsonl, /absolute/old.jsonl]\n"))
    assert config.labels == (str(tmp_path / "labels.safetensors"),)
    assert config.held_out == (str(tmp_path / "new.jsonl"), "/absolute/old.jsonl")


def test_a_checkpoint_beside_the_file_is_meant_before_one_of_that_name(tmp_path):
    (tmp_path / "mine").mkdir()
    for named, found in (("mine", str(tmp_path / "mine")), ("definet-mos2-chgnet", "definet-mos2-chgnet")):
        assert load_training_config(written(tmp_path, GOOD + f"start_from: {named}\n")).start_from == found


def test_precision_may_be_written_as_a_number(tmp_path):
    for text, precision in (("32", "32"), ("64", "64"), ("bf16-mixed", "bf16-mixed")):
        assert load_training_config(written(tmp_path, GOOD + f"precision: {text}\n")).precision == precision


def test_a_saved_split_lies_beside_the_file(tmp_path):
    config = load_training_config(written(tmp_path, GOOD + "split: {file: split.json}\n"))
    assert config.split.file == str(tmp_path / "split.json")


def test_defaults_are_the_papers(tmp_path):
    config = load_training_config(written(tmp_path, GOOD))
    assert (config.network.features, config.network.n_radial, config.network.n_layers) == (512, 128, 4)
    assert (config.learning_rate, config.plateau_factor, config.plateau_patience) == (1e-4, 0.8, 5)
    assert (config.ema_decay, config.batch_size, config.gradient_clip) == (0.999, 24, 150.0)
    assert (config.split.validation, config.split.test) == (0.1, 0.1)
    assert config.force_weight == 0


def test_the_shipped_training_file_is_valid():
    config = load_training_config(Path(__file__).parents[2] / "workflows" / "mos2" / "train.yaml")
    assert config.name == "definet-mos2-chgnet"
    assert config.held_out
    assert all(Path(file).is_file() for file in config.held_out)


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("", "the file", "valid dictionary"),
        ("- a\n- b\n", "the file", "valid dictionary"),
        ("labels: [a]\n", "name", "Field required"),
        (GOOD + "precision: 16\n", "precision", "'32', 'bf16-mixed', '16-mixed' or '64'"),
        (GOOD + "devices: 0\n", "devices", "greater than or equal to 1"),
        (GOOD + "accumulate: 0\n", "accumulate", "greater than or equal to 1"),
        (GOOD + "steps_per_epoch: 0\n", "steps_per_epoch", "greater than or equal to 1"),
        (GOOD + "seed: -1\n", "seed", "greater than or equal to 0"),
        (GOOD + "learning_rat: 0.1\n", "learning_rat", "Extra inputs are not permitted"),
        (GOOD + "learning_rate: -1\n", "learning_rate", "greater than 0"),
        (GOOD + "schedule: step\n", "schedule", "'plateau' or 'cosine'"),
        (GOOD + "network: {featurs: 8}\n", "network.featurs", "Extra inputs"),
        (GOOD + "network: {features: many}\n", "network.features", "valid integer"),
        (GOOD + "split: {validation: 0.6, test: 0.5}\n", "split", "must leave something to train on"),
        (GOOD + "split: {validation: 0}\n", "split.validation", "greater than 0"),
        (GOOD + "max_labels: 2\n", "max_labels", "greater than or equal to 3"),
    ],
)
def test_errors_name_file_and_field(tmp_path, text, field, message):
    with pytest.raises(InputError) as caught:
        load_training_config(written(tmp_path, text))
    told = str(caught.value)
    assert told.startswith(f"Training file {tmp_path / 'train.yaml'}, {field}: ")
    assert message in told
    fields = f"; the fields are {', '.join(TrainingConfig.model_fields)}."
    assert told.endswith(fields) == (field == "learning_rat")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"missing.yaml cannot be read \(No such file"):
        load_training_config(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match=r"is not YAML: .*line 1"):
        load_training_config(written(tmp_path, "name: [toy\n"))
    (tmp_path / "train.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not text"):
        load_training_config(tmp_path / "train.yaml")
