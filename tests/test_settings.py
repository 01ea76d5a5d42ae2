from __future__ import annotations

from pathlib import Path

import pytest

from definet_flows.errors import InputError
from definet_flows.settings import Settings, models_directory, settings, workflows_directory


@pytest.fixture(autouse=True)
def _read_again():
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_environment_overrides_the_default_checkpoint(monkeypatch, tmp_path):
    monkeypatch.setenv("DEFINET_FLOWS_CHECKPOINT", "mine")
    monkeypatch.setenv("DEFINET_FLOWS_MODELS_DIR", str(tmp_path))
    assert settings().checkpoint == "mine"
    assert settings().models_dir == tmp_path


def test_an_unusable_value_is_named_with_its_variable(monkeypatch):
    monkeypatch.setenv("DEFINET_FLOWS_CHECKPOINT", "")
    with pytest.raises(InputError, match="DEFINET_FLOWS_CHECKPOINT"):
        settings()


def test_settings_do_not_change_while_a_process_runs():
    assert settings() is settings()
    assert Settings.model_config["frozen"]


def test_a_checkout_finds_what_ships_beside_the_package():
    root = Path(__file__).resolve().parents[1]
    assert models_directory() == root / "models"
    assert workflows_directory() == root / "workflows"
