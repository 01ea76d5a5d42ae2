from __future__ import annotations

import json
import shutil


def test_a_model_card_is_shown_for_people_and_programs(invoke, tiny_checkpoint):
    shown = invoke("models", "show", tiny_checkpoint)
    assert shown.stdout.startswith("# tiny")
    content = json.loads(invoke("models", "show", tiny_checkpoint, "--json").stdout)
    assert content["card"]["elements"] == ["Mo", "S", "Se", "W"]
    assert content["network"]["features"] == 8
    assert len(content["content_hash"]) == 16


def test_one_damaged_checkpoint_does_not_hide_the_others(shell, monkeypatch, tiny_checkpoint, tmp_path):
    shutil.copytree(tiny_checkpoint, tmp_path / "good")
    shutil.copytree(tiny_checkpoint, tmp_path / "bad")
    (tmp_path / "bad" / "model.safetensors").write_bytes(b"")
    monkeypatch.setenv("DEFINET_FLOWS_MODELS_DIR", str(tmp_path))
    rows = {row["name"]: row for row in json.loads(shell("models", "list", "--json").stdout)}
    assert rows["good"]["hosts"] == "MoS2"
    assert rows["bad"]["teacher"].startswith("unusable")


def test_labels_that_are_not_there(invoke, tiny_checkpoint, tmp_path):
    reply = invoke("evaluate", tiny_checkpoint, tmp_path / "none.safetensors")
    assert reply.exit_code == 2
    assert "none.safetensors" in reply.stderr


def test_weights_of_the_authors_code_are_imported(shell, tmp_path):
    import torch

    from definet_flows.definet import DefiNet, DefiNetConfig

    torch.save(DefiNet(DefiNetConfig(features=8, n_layers=2)).state_dict(), tmp_path / "model.pt")
    done = shell(
        "models", "import", tmp_path / "model.pt", "-o", tmp_path / "theirs", "--element", "Mo", "--element", "S"
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(shell("models", "show", tmp_path / "theirs", "--json").stdout)
    assert shown["network"]["radial_cutoff"] == 30.0
    assert shown["card"]["elements"] == ["Mo", "S"]
    refused = shell("models", "import", folder_without_weights(tmp_path), "-o", tmp_path / "no")
    assert refused.returncode == 2
    assert "read safely" in refused.stderr


def folder_without_weights(tmp_path):
    (tmp_path / "notes.pt").write_text("not weights")
    return tmp_path / "notes.pt"
