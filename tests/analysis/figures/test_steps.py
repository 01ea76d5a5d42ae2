from __future__ import annotations

import matplotlib as mpl
import pytest
from PIL import Image

from definet_flows.analysis.figures import plot_ionic_steps
from definet_flows.analysis.savings import Threshold, counted_pairs
from definet_flows.errors import InputError
from tests.analysis.savings_records import pair, run


@pytest.fixture
def panels():
    same = run(27, 18)
    records = [pair(i, run(20 + i, 10 + i), run(5, 2)) for i in range(20)]
    records += [
        pair(30, run(33, 18), run(9, 3), same_minimum=False),
        pair(31, same, same, fallback=True, guard_passed=False),
        pair(32, run(25, 18), run(30, None, "failed")),
    ]
    return {0.05: counted_pairs(records, Threshold.COARSE), 0.01: counted_pairs(records)}


def test_the_figure_is_written_large_enough_to_print(panels, tmp_path):
    path = plot_ionic_steps(panels, tmp_path / "steps.png", title="test: model, engine")
    with Image.open(path) as image:
        width, height = image.size
        colours = image.convert("RGB").getcolors(10**6)
    assert width >= 2000
    assert height >= 1800
    assert len(colours) > 3


def test_drawing_changes_no_global_state(panels, tmp_path):
    before = dict(mpl.rcParams)
    plot_ionic_steps(panels, tmp_path / "steps.pdf")
    assert dict(mpl.rcParams) == before


def test_losers_are_marked_and_named(panels, tmp_path):
    path = plot_ionic_steps(panels, tmp_path / "steps.svg")
    drawing = path.read_text(encoding="utf-8")
    for text in ("another minimum", "refused by the guard", "prerelaxed run failed", "median"):
        assert text in drawing


def test_nothing_to_draw_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="baseline_fraction"):
        plot_ionic_steps({0.01: []}, tmp_path / "steps.png")
