from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from definet_flows import settings
from definet_flows.definet import (
    CheckpointError,
    DefiNet,
    DefiNetConfig,
    ModelCard,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from definet_flows.definet.checkpoint import SCHEMA_VERSION, content_hash
from definet_flows.errors import InputError


@pytest.fixture
def model():
    torch.manual_seed(0)
    return DefiNet(DefiNetConfig(features=8, n_radial=8, n_layers=1))


@pytest.fixture
def folder(tmp_path, model, card):
    save_checkpoint(tmp_path / "net", model, card)
    return tmp_path / "net"


def rewrite_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(folder):
    """The sentence with which a folder is refused."""
    with pytest.raises(CheckpointError) as raised:
        load_checkpoint(folder)
    (sentence,) = str(raised.value).splitlines()
    return sentence if sentence.endswith(".") and raised.value.exit_code == 2 else ""


def test_a_saved_checkpoint_comes_back(folder, model, card):
    checkpoint = load_checkpoint(folder)
    assert checkpoint.config == model.config
    assert checkpoint.card == card
    assert not checkpoint.model.training
    saved = model.state_dict()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in checkpoint.model.state_dict().items())
    assert all(parameter.requires_grad for parameter in checkpoint.model.parameters())


def test_the_folder_holds_three_files_and_no_code(folder):
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "MODEL_CARD.md"}
    config = json.loads((folder / "config.json").read_text())
    assert set(config) == {"schema_version", "content_hash", "network", "card"}
    assert config["schema_version"] == SCHEMA_VERSION


def test_saving_twice_gives_the_same_bytes(folder, tmp_path, model, card):
    save_checkpoint(tmp_path / "again", model, card)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_float64_weights_stay_float64(tmp_path, model, card):
    save_checkpoint(tmp_path / "net", model.double(), card)
    assert load_checkpoint(tmp_path / "net").model.lin_comb.weight.dtype == torch.float64


def test_the_hash_follows_weights_network_and_what_the_guard_reads_but_no_other_words(tmp_path, model, card):
    first = save_checkpoint(tmp_path / "a", model, card)
    assert save_checkpoint(tmp_path / "b", model, card.model_copy(update={"name": "other"})) == first
    assert load_checkpoint(tmp_path / "a").content_hash == first
    weights = model.state_dict()
    assert content_hash(model.config.model_copy(update={"radial_cutoff": 20.0}), weights, card) != first
    assert content_hash(model.config, weights, card.model_copy(update={"max_displacement_trained": 9.0})) != first
    assert content_hash(model.config, weights, card.model_copy(update={"crystals": ("MoS2-187",)})) != first
    with torch.no_grad():
        model.lin_comb.bias[3] += 1e-6
    assert content_hash(model.config, model.state_dict(), card) != first


def test_the_model_card_tells_people_what_config_json_tells_programs(tmp_path, model, card):
    told = card.model_copy(
        update={
            "metrics": {"new_coordinate_mae_A": 0.0031},
            "intended_use": "Starts of relaxations.",
            "remarks": ("The teacher is free for all.",),
            "limits": ("Not for charged defects.",),
            "displacement_quantiles": {"0.99": 0.21},
            "training_sizes": ("4x4x1", "5x5x1"),
            "cluster_ids": {"c1", "c2"},
            "configuration_ids": {"a", "b", "c"},
        }
    )
    identity = save_checkpoint(tmp_path, model, told)
    text = (tmp_path / "MODEL_CARD.md").read_text()
    assert text.startswith("# testnet\n")
    for fact in [
        identity,
        "Starts of relaxations.",
        "The teacher is free for all.",
        "MoS2",
        "Mo, S, Se, W",
        "random numbers",
        "0.300 Å",
        "0.0031",
        "Not for charged defects.",
        "0.21",
        "4x4x1, 5x5x1",
        "2, every reading",
        "MIT",
    ]:
        assert fact in text


def test_a_card_refuses_unknown_keys(card):
    with pytest.raises(ValueError, match="Extra inputs"):
        ModelCard(**card.model_dump(), lisence="MIT")


def test_truncated_weights_are_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "model.safetensors is truncated or damaged" in refusal(folder)


def test_a_file_that_is_no_safetensors_is_refused(folder):
    (folder / "model.safetensors").write_bytes(b"not a tensor in sight")
    assert "truncated or damaged" in refusal(folder)


def test_empty_weights_are_refused(folder):
    (folder / "model.safetensors").write_bytes(b"")
    assert "truncated or damaged" in refusal(folder)


def test_one_flipped_bit_is_refused(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert "was altered: its contents hash to" in refusal(folder)


def test_an_edited_network_is_refused(folder):
    network = json.loads((folder / "config.json").read_text())["network"]
    rewrite_config(folder, network={**network, "graph_radius": 7.0})
    assert "was altered" in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_refused(folder, name):
    (folder / name).unlink()
    assert f"is not a checkpoint: it has no {name}" in refusal(folder)


def test_the_readable_card_may_be_missing(folder):
    identity = load_checkpoint(folder).content_hash
    (folder / "MODEL_CARD.md").unlink()
    assert load_checkpoint(folder).content_hash == identity


@pytest.mark.parametrize("text", ["{", "", "\udc80"])
def test_config_that_is_no_json_is_refused(folder, text):
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "cannot be read as JSON" in refusal(folder)


@pytest.mark.parametrize("content", ["[]", "{}", '{"schema_version": 99}'])
def test_another_schema_is_refused(folder, content):
    (folder / "config.json").write_text(content)
    wanted = json.loads(content).get("schema_version") if content != "[]" else None
    assert f"schema version {wanted}, and this version of definet-flows reads 1" in refusal(folder)


@pytest.mark.parametrize(
    ("key", "place"), [("network", "network.n_heads"), ("card", "card.n_heads")], ids=["network", "card"]
)
def test_an_unknown_key_is_refused_by_name(folder, key, place):
    part = json.loads((folder / "config.json").read_text())[key]
    rewrite_config(folder, **{key: {**part, "n_heads": 4}})
    assert f"bad entry '{place}'" in refusal(folder)


def test_a_missing_part_is_refused_by_name(folder):
    rewrite_config(folder, card=None)
    assert "bad entry 'card'" in refusal(folder)


def test_tensors_that_do_not_fit_are_named(folder):
    weights = load_file(folder / "model.safetensors")
    weights["lin_comb.wait"] = weights.pop("lin_comb.weight")
    save_file(weights, folder / "model.safetensors")
    assert re.search(r"2 tensors .*: lin_comb.wait, lin_comb.weight", refusal(folder))


def test_another_width_is_refused(folder):
    network = json.loads((folder / "config.json").read_text())["network"]
    rewrite_config(folder, network={**network, "features": 16})
    assert re.search(r"tensors .* of another shape than config.json says: .*, \.\.\.", refusal(folder))


def test_half_precision_is_refused(folder):
    weights = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors")
    assert "holds float16 tensors" in refusal(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder, value):
    weights = load_file(folder / "model.safetensors")
    weights["lin_comb.bias"][2] = value
    save_file(weights, folder / "model.safetensors")
    assert re.search("Weight lin_comb.bias of .* is not finite", refusal(folder))


def test_a_diverged_model_is_not_saved(tmp_path, model, card):
    with torch.no_grad():
        model.lin_comb.bias[0] = float("nan")
    with pytest.raises(CheckpointError, match="not finite"):
        save_checkpoint(tmp_path / "net", model, card)
    assert not (tmp_path / "net").exists()


def test_a_failed_write_leaves_the_old_checkpoint(folder, model, card, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("definet_flows.definet.checkpoint.save", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            save_checkpoint(folder, model, card)
    assert load_checkpoint(folder).card == card


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A models folder in place of the shipped one."""
    models = tmp_path / "models"
    monkeypatch.setattr("definet_flows.definet.checkpoint.models_directory", lambda: models)
    monkeypatch.delenv("DEFINET_FLOWS_MODELS_DIR", raising=False)
    settings.settings.cache_clear()
    yield models
    settings.settings.cache_clear()


def test_a_shipped_checkpoint_is_found_by_name(shipped, model, card):
    save_checkpoint(shipped / "one", model, card)
    (shipped / "not-a-checkpoint").mkdir()
    assert list_checkpoints() == {"one": shipped / "one"}
    assert find_checkpoint("one") == shipped / "one"
    assert load_checkpoint("one").card == card


def test_your_own_models_come_first(shipped, tmp_path, model, card, monkeypatch):
    save_checkpoint(shipped / "one", model, card)
    save_checkpoint(tmp_path / "own" / "one", model, card)
    monkeypatch.setenv("DEFINET_FLOWS_MODELS_DIR", str(tmp_path / "own"))
    settings.settings.cache_clear()
    assert find_checkpoint("one") == tmp_path / "own" / "one"


def test_an_unknown_name_is_refused_with_the_names_that_exist(shipped, model, card):
    for name in ("one", "two"):
        save_checkpoint(shipped / name, model, card)
    with pytest.raises(InputError, match=r"no checkpoint 'three'; .* one of these names: one, two\."):
        load_checkpoint("three")


def test_without_any_checkpoint_the_message_says_so(shipped):
    with pytest.raises(CheckpointError, match="none is installed"):
        find_checkpoint("one")


def test_a_folder_is_taken_as_it_is(folder):
    assert find_checkpoint(folder) == folder
    assert find_checkpoint(str(folder)) == folder


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    assert "is not a checkpoint: it has no config.json" in refusal(tmp_path)
