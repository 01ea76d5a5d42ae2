"""A small study: synthetic labels, a network that trains in a second, and trainings that are not trainings at all."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch

from definet_flows.definet import DefiNet, DefiNetConfig, save_checkpoint
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.epochs import COLUMNS
from definet_flows.training.provenance import model_card
from definet_flows.training.studies import variants
from tests.training.conftest import configurations_of, labelled

RECIPES = ("V_S", "V_Mo", "V_Mo+V_S", "V_S+V_S", "W_Mo+V_S", "V_Mo+Se_S", "Se_S+V_S")


@functools.cache
def pool_of(*densities):
    """Labels of 4×4 MoS2 as low density, and of 3×3 as high."""
    sets = {"low": labelled(configurations_of(4, *RECIPES)), "high": labelled(configurations_of(3, *RECIPES))}
    return LabelPool(tuple(replace(sets[density], density=density) for density in densities))


@pytest.fixture
def config(tmp_path):
    """A training on the low-density labels."""
    return config_of(tmp_path, "low")


def config_of(folder, *densities, **options):
    files = [labels.save(folder / f"{labels.density}.safetensors") for labels in pool_of(*densities).sets]
    defaults = {
        "name": "toy",
        "labels": tuple(map(str, files)),
        "network": {"features": 8, "n_layers": 1, "n_radial": 4},
        "split": {"validation": 0.2, "test": 0.2},
        "batch_size": 4,
        "learning_rate": 0.01,
        "ema_decay": 0.5,
        "max_epochs": 2,
        "device": "cpu",
        "threads": 1,
    }
    return TrainingConfig.model_validate(defaults | options)


@pytest.fixture
def untrained(monkeypatch):
    """Stands in for training: writes the network as it starts, says how it was called, and fails where it is told to."""
    calls = []

    def fit(config, pool, split, output_dir, resume=False):
        calls.append((output_dir.parent.name, config, split, resume))
        if fit.failing and fit.failing[0] == output_dir.parent.name:
            raise fit.failing[1]
        torch.manual_seed(config.seed)
        save_checkpoint(output_dir, DefiNet(config.network), model_card(config, pool, split, {}))
        logs = output_dir / "training"
        logs.mkdir(exist_ok=True)
        rows = [",".join(["0", str(10 * (epoch + 1)), "1", "1", "1"]) for epoch in range(config.max_epochs)]
        (logs / "metrics.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", encoding="utf-8")
        return output_dir

    fit.failing = None
    fit.calls = calls
    monkeypatch.setattr(variants, "fit_checkpoint", fit)
    return fit


def network(**options):
    return DefiNetConfig(features=8, n_layers=1, n_radial=4, **options)
