from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from definet_flows.analysis.figures import (
    pairs_table,
    plot_core_hours,
    plot_formation,
    plot_ionic_steps,
    plot_parity,
    plot_savings,
    plot_shells,
    plot_supercells,
)
from definet_flows.analysis.figures.tables import ATOM_COLUMNS, LEFT_OUT, PAIR_COLUMNS
from definet_flows.analysis.results import CampaignResults
from definet_flows.analysis.savings import Outcome
from definet_flows.errors import InputError
from tests import copper
from tests.analysis.savings_records import HOST, pair, run

PAIR_PLOTS = [plot_ionic_steps, plot_supercells, plot_core_hours, plot_savings]


def results(records):
    campaign = copper.campaign_record("test", physics={"force_threshold": 0.01})
    return CampaignResults(campaign, [], [], records)


@pytest.fixture(scope="module")
def pairs():
    """Twenty winners in two supercells and a loser of each kind."""
    same, wide = (
        run(27, 18),
        HOST.model_copy(update={"supercell_matrix": ((8, 0, 0), (0, 8, 0), (0, 0, 1)), "n_sites": 192}),
    )
    records = [pair(i, run(20 + i, 10 + i), run(5, 2), host=wide if i % 2 else HOST) for i in range(20)]
    records += [
        pair(30, run(33, 18), run(9, 3), same_minimum=False),
        pair(31, same, same, fallback=True, guard_passed=False),
        pair(32, run(25, 18), run(30, None, "failed")),
        pair(33, run(25, 18), run(90, None, "unconverged")),
        pair(34, run(90, None, "unconverged"), run(9, 3)),
        pair(35, run(25, 18, core_hours=None), run(9, 3)),
    ]
    return pairs_table([results(records)])


@pytest.fixture(scope="module")
def atoms():
    generator = np.random.default_rng(0)
    relaxed = generator.normal(0, 0.05, (60, 3))
    values = np.hstack([relaxed, relaxed + generator.normal(0, 0.01, (60, 3))])
    named = {"campaign": "c", "configuration_id": "a", "label": "V_S", "element": "S", "other_minimum": False}
    table = pd.DataFrame([named] * 60).assign(site=range(60), distance_angstrom=np.linspace(2, 9, 60))
    table[list(ATOM_COLUMNS[-6:])] = values
    table.loc[:5, ["configuration_id", "other_minimum"]] = ["b", True]
    table.attrs[LEFT_OUT] = {"refused by the guard": 3}
    return table


@pytest.fixture(scope="module")
def formation():
    rows = [
        {"configuration_id": f"{label}{k}", "label": label, "distance_angstrom": distance, "limit": limit}
        for label in ("V_S", *(f"V_S+X{number}_S" for number in range(24)))
        for k, distance in enumerate([np.nan] if label == "V_S" else [2.4, 5.5])
        for limit in ("Mo-rich", "S-rich")
    ]
    table = pd.DataFrame(rows).assign(formation_energy_ev=np.linspace(-1, 5, len(rows)))
    table.attrs[LEFT_OUT] = {"did not converge": 2}
    return table


def drawn(plot, table, path):
    """Text of a figure as SVG."""
    return plot(table, path, title="test: model, engine").read_text(encoding="utf-8")


def test_the_table_counts_as_the_savings_table_does(pairs):
    assert list(pairs) == list(PAIR_COLUMNS)
    assert sorted(pairs["threshold_ev_per_angstrom"].unique()) == [0.01, 0.05]
    fine = pairs[pairs["threshold_ev_per_angstrom"] == 0.01].set_index("configuration_id")
    failed, refused, unknown = (fine.loc[f"{number:016x}"] for number in (32, 31, 35))
    assert (failed["unrelaxed_steps"], failed["prerelaxed_steps"]) == (25, 55)
    assert failed["saved_fraction"] == pytest.approx(1 - 55 / 25)
    assert (refused["outcome"], refused["saved_fraction"]) == ("refused by the guard", 0)
    assert np.isnan(unknown["unrelaxed_core_hours"])
    assert set(fine["supercell"]) == {"6×6×1", "8×8×1"}


@pytest.mark.parametrize("plot", PAIR_PLOTS)
def test_figures_of_pairs_are_large_enough_to_print_and_change_no_global_state(plot, pairs, tmp_path):
    before = dict(mpl.rcParams)
    with Image.open(plot(pairs, tmp_path / "figure.png")) as image:
        width, height = image.size
        colours = image.convert("RGB").getcolors(10**6)
    assert width >= 2000
    assert height >= 900
    assert len(colours) > 3
    assert plot(pairs, tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("plot", [plot_ionic_steps, plot_supercells, plot_savings])
def test_every_kind_of_loser_is_marked_and_named(plot, pairs, tmp_path):
    drawing = drawn(plot, pairs, tmp_path / "figure.svg")
    for outcome in set(Outcome) - {Outcome.SAME_MINIMUM}:
        assert outcome.value in drawing
    assert "test: model, engine" in drawing


def test_supercells_are_named_in_the_order_of_their_size(pairs, tmp_path):
    drawing = drawn(plot_supercells, pairs, tmp_path / "figure.svg")
    assert drawing.index("108 sites") < drawing.index("192 sites")


def test_savings_below_the_axis_stand_in_its_first_bar(pairs, tmp_path):
    drawing = drawn(plot_savings, pairs, tmp_path / "figure.svg")
    assert "≤ −100%" in drawing
    assert "prerelaxed run failed (1)" in drawing
    winners = pairs[pairs["saved_fraction"] > 0.5]
    assert "≤" not in drawn(plot_savings, winners, tmp_path / "winners.svg")


def test_core_hours_tell_lost_runs_predictions_and_what_is_not_known(pairs, tmp_path):
    drawing = drawn(plot_core_hours, pairs, tmp_path / "figure.svg")
    for text in ("lost, and its unrelaxed run", "predictions", "Not drawn: 1 pairs", "% saved"):
        assert text in drawing
    assert "labels and training" not in drawing
    charged = plot_core_hours(pairs, tmp_path / "charged.svg", training_core_hours=40.0).read_text(encoding="utf-8")
    assert "labels and training" in charged


def test_displacements_tell_other_minima_and_what_is_left_out(atoms, tmp_path):
    drawing = drawn(plot_parity, atoms, tmp_path / "parity.svg")
    assert "in another minimum (1 configurations)" in drawing
    assert "Configurations not drawn: 3 refused by the guard." in drawing
    shells = drawn(plot_shells, atoms, tmp_path / "shells.svg")
    assert "pristine coordinates (Dummy)" in shells
    assert "over 6" in shells
    assert "3 refused by the guard" in shells


def test_formation_energies_stand_at_their_distances_limit_by_limit(formation, tmp_path):
    drawing = drawn(plot_formation, formation, tmp_path / "formation.svg")
    for text in ("Mo-rich", "S-rich", "one", "did not converge", "of other defects"):
        assert text in drawing
    drawing = drawn(plot_formation, formation.dropna(), tmp_path / "pairs.svg")
    assert "one\ndefect" not in drawing


@pytest.mark.parametrize(
    ("plot", "complaint"),
    [
        *[(plot, "baseline_fraction") for plot in (plot_ionic_steps, plot_supercells, plot_savings)],
        (plot_core_hours, "No pair of runs tells its core-hours"),
        (plot_parity, "No configuration has both a prediction"),
        (plot_shells, "No configuration has both a prediction"),
        (plot_formation, "No formation energy is known"),
    ],
)
def test_nothing_to_draw_says_what_to_do(plot, complaint, pairs, atoms, formation, tmp_path):
    table = formation if plot is plot_formation else atoms if plot in {plot_parity, plot_shells} else pairs
    with pytest.raises(InputError, match=complaint):
        plot(table.iloc[:0], tmp_path / "figure.png")
