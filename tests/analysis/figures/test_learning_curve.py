from __future__ import annotations

import pytest
from PIL import Image

from definet_flows.analysis.figures.learning_curve import plot_learning_curve
from definet_flows.errors import InputError


def rows(losses):
    return [
        {"epoch": float(epoch), "step": 5.0, "train_loss": loss, "validation_loss": 2 * loss, "learning_rate": 1e-3}
        for epoch, loss in enumerate(losses)
    ]


def test_the_best_epoch_is_named(tmp_path):
    path = plot_learning_curve(rows([0.3, 0.1, 0.2]), tmp_path / "curve.svg", title="toy")
    drawing = path.read_text(encoding="utf-8")
    for text in ("toy", "best: 0.2 in epoch 2", "validation, averaged weights", "learning rate"):
        assert text in drawing


def test_it_is_written_whole_over_an_older_one(tmp_path):
    for n_epochs in (1, 40):
        plot_learning_curve(rows([0.3] * n_epochs), tmp_path / "curve.png")
        with Image.open(tmp_path / "curve.png") as image:
            assert image.size[0] >= 2000
    assert [file.name for file in tmp_path.iterdir()] == ["curve.png"]


def test_no_epoch_yet(tmp_path):
    with pytest.raises(InputError, match="No epoch is finished yet"):
        plot_learning_curve([], tmp_path / "curve.png")
