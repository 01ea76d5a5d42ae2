from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from definet_flows.analysis.figures.errors import plot_categories, plot_lengths
from definet_flows.analysis.figures.studies import PLOTS

CATEGORIES = [
    {"defects": f"V_S{i}", "Dummy": 0.1, "model": 0.01 * (i + 1) if i else None} for i in range(12)
]  # fmt: skip
STUDIES = {
    "data-efficiency": [
        {"fraction": 0.0, "predictor": "Dummy", "training labels": 0, "MAE (Å)": 0.1},
        {"fraction": 0.5, "predictor": "toy", "training labels": 20, "MAE (Å)": 0.02},
        {"fraction": 0.7, "predictor": "toy", "training labels": 28, "reason": "the loss is no number"},
        {"fraction": 1.0, "predictor": "toy", "training labels": 40, "MAE (Å)": 0.01},
    ],
    "ablation": [
        {"network": "Dummy", "MAE (Å)": 0.1},
        {"network": "Vanilla", "seeds": 2, "MAE (Å)": 0.03, "MAE ± (Å)": 0.001},
        {"network": "whole", "seeds": 1, "MAE (Å)": 0.01, "MAE ± (Å)": None},
        {"network": "lost", "seeds": 0, "reason": "the loss is no number"},
    ],
    "transfer": [
        {"tested on": test, "trained on": trained, "MAE (Å)": 0.01 if test == trained else 0.05}
        for test in ("low", "high")
        for trained in ("nothing (Dummy)", "low", "high")
    ],
    "rivals": [
        {"method": "Dummy", "role": None, "MAE (Å)": 0.1, "s per structure": 1e-5},
        {"method": "CHGNet to 0.01 eV/Å", "role": "teacher of the labels", "MAE (Å)": 0.0, "s per structure": 10.0},
        {"method": "M3GNet", "structures": 0, "reason": "skipped: no package carries its weights"},
    ],
}


def colours_of(path):
    with Image.open(path) as image:
        assert image.size[0] >= 1400, "large enough to print"
        return len(image.convert("RGB").getcolors(10**6))


def test_categories_with_and_without_values(tmp_path):
    assert colours_of(plot_categories(CATEGORIES, "defects", ["Dummy", "model"], tmp_path / "types.png")) > 3


def test_lengths(tmp_path):
    counts = np.zeros((10, 10), dtype=int)
    counts[3, 4] = 7
    assert colours_of(plot_lengths(np.geomspace(1e-3, 1, 11), counts, tmp_path / "lengths.png")) > 10


@pytest.mark.parametrize("name", PLOTS)
def test_every_study_is_drawn_failed_rows_and_all(name, tmp_path):
    before = dict(mpl.rcParams)
    drawing = PLOTS[name](STUDIES[name], tmp_path / f"{name}.svg").read_text(encoding="utf-8")
    assert "MAE" in drawing
    assert "Dummy" in drawing
    assert "the loss is no number" not in drawing
    assert dict(mpl.rcParams) == before
    assert colours_of(PLOTS[name](STUDIES[name], tmp_path / f"{name}.png")) > 3
