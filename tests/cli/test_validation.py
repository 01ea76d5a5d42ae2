from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def campaign(copper, tmp_path):
    """A campaign whose model is to be measured on a handful of pairs."""
    return copper.write_campaign(tmp_path, configurations='{recipes: ["V_Cu+Al_Cu"]}')


@pytest.mark.slow
def test_a_model_is_measured_and_the_tables_say_what_came_out(invoke, copper, campaign, tmp_path):
    reply = invoke("validate", campaign, "--dir", tmp_path / "run", "--workers", 1)
    assert reply.exit_code == 0, reply.output
    assert "PARTIAL" not in reply.stdout
    for words in (
        "held-out configurations of copper",
        "V_Cu+Al_Cu",
        "2 defects",
        "Cu 2×2×2",
        "Saved per held-out configuration",
    ):
        assert words in reply.stdout
    assert "Labels" not in reply.stdout, "nothing was labelled, and the file says nothing of what the network cost"
    looked = invoke("validate", campaign, "--dir", tmp_path / "run", "--look", "--json")
    told = json.loads(looked.stdout)
    assert (told["partial"], told["pairs"], told["planned"]) == (False, 5, 5)
    assert {row["clusters"] for row in told["rows"]} >= {"undefined at this size"}
    drawn = [Path(file) for file in told["figures"]]
    assert [file.name for file in drawn] == ["steps.png", "supercells.png", "core-hours.png"]
    assert all(file.stat().st_size > 5000 for file in drawn)
    copper.write_campaign(tmp_path, configurations='{recipes: ["V_Cu+Al_Cu"]}', validation="{paid_core_hours: 2.5}")
    charged = invoke("validate", campaign, "--dir", tmp_path / "run", "--look").stdout
    assert "Labels and trainings of the network, from the campaign file: 2.5 core-hours." in charged
    assert any(words in charged for words in ("pays for itself after", "does not pay"))


@pytest.mark.parametrize(
    ("changes", "saying"),
    [
        ({"model": "null"}, "there is no network to validate"),
        ({"validation": "{training: train.yaml, held_out: {files: [none.jsonl]}}", "model": "null"}, "none.jsonl"),
    ],
)
def test_what_cannot_be_validated(invoke, copper, tmp_path, changes, saying):
    path = copper.write_campaign(tmp_path, **changes)
    reply = invoke("validate", path, "--dir", tmp_path / "run")
    assert reply.exit_code == 2
    assert saying in reply.stderr
    assert len(reply.stderr.strip().splitlines()) == 1


def test_there_is_nothing_to_look_at_yet(invoke, campaign, tmp_path):
    reply = invoke("validate", campaign, "--dir", tmp_path / "run", "--look")
    assert reply.exit_code == 2
    assert "nothing has been validated there yet" in reply.stderr
    assert not (tmp_path / "run").exists()
