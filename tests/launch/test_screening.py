"""One campaign file with several hosts, and one with several charges, on one machine."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from definet_flows.analysis.results import campaign_results
from definet_flows.engines.vasp.outputs.physics import charge_of
from definet_flows.engines.vasp.outputs.runs import read_run
from definet_flows.errors import InputError
from definet_flows.flows import load_campaign, load_campaigns
from definet_flows.launch.local import run_campaign, run_campaigns
from definet_flows.launch.summary import total_of
from definet_flows.records import build_savings, open_store
from tests.vasp_standin.potcars import write_potcars

pytestmark = pytest.mark.slow

STANDIN = Path(__file__).resolve().parents[1] / "vasp_standin"
SMALL, LARGE, WIDE = "[2, 2, 2]", "[3, 3, 3]", "[3, 3, 2]"


def entry(supercell, own=""):
    return f"{{file: Cu.cif, supercell: {supercell}{own and ', '}{own}}}"


OWN = "configurations: {recipes: [Al_Cu, Ni_Cu]}"


def stored(directory):
    with open_store(directory, read_only=True) as store:
        return list(store.relaxations()), list(store.predictions()), store.campaigns()


@pytest.fixture
def several(copper, tmp_path):
    """Write a file of these hosts and read it."""

    def write(*hosts, **changes):
        entries = {"hosts": f"[{', '.join(hosts)}]", "configurations": "{recipes: [V_Cu, Al_Cu]}"} | changes
        return load_campaigns(copper.write_campaign(tmp_path, **entries))

    return write


def test_hosts_share_a_directory_and_another_one_extends_it(several, tmp_path):
    reports = []
    members = several(entry(SMALL), entry(LARGE, OWN))
    summaries = run_campaigns(members, tmp_path / "run", 1, reports.append)
    assert [one.name for one in summaries] == ["copper/Cu-2x2x2", "copper/Cu-3x3x3"]
    assert {one.member for one in reports} == {"Cu-2x2x2", "Cu-3x3x3"}
    # The pristine supercell, then both starts; nickel, which the network does not know, has one.
    assert [one.n_relaxations for one in summaries] == [5, 4]
    assert [len(one.savings) for one in summaries] == [2, 2]
    total = total_of("copper", summaries)
    assert (total.n_configurations, total.n_run, total.converged, len(total.savings)) == (4, 9, 9, 4)
    before = {one.key: one for one in stored(tmp_path / "run")[0]}

    more = run_campaigns(several(entry(WIDE), entry(SMALL), entry(LARGE, OWN)), tmp_path / "run", 1)
    assert [one.n_run for one in more] == [5, 0, 0]
    relaxations, predictions, campaigns = stored(tmp_path / "run")
    assert {one.key: one for one in relaxations if one.key in before} == before
    assert Counter(one.campaign for one in relaxations) == {
        "copper/Cu-2x2x2": 5,
        "copper/Cu-3x3x3": 4,
        "copper/Cu-3x3x2": 5,
    }
    assert len(predictions) == 6
    assert {one.settings["screening"] for one in campaigns} == {"copper"}
    with open_store(tmp_path / "run", read_only=True) as store:
        whole, alone = campaign_results(store), campaign_results(store, "copper/Cu-3x3x3")
    assert whole.campaign.name == "copper"
    assert [len(one.savings) for one in whole.members] == [2, 2, 2]  # by name
    assert (len(whole.savings), len(whole.relaxations)) == (6, 14)
    assert (len(alone.savings), len(alone.relaxations), alone.members) == (2, 4, [])


def test_what_is_no_host_of_the_same_campaign_is_refused(several, copper, tmp_path):
    few = {"configurations": "{recipes: [V_Cu]}", "model": "null"}
    run_campaigns(several(entry(SMALL), **few), tmp_path / "run", 1)
    alone = load_campaign(copper.write_campaign(tmp_path, **few))
    with pytest.raises(InputError, match="belongs to another campaign: its name is copper/Cu-2x2x2, not copper"):
        run_campaign(alone, tmp_path / "run", 1)
    other = several(entry(LARGE), engine=f"{{potential: {copper.EMT}, force_threshold: 0.5}}", **few)
    with pytest.raises(InputError, match=r"its engine's force_threshold is 0\.02, not 0\.5"):
        run_campaigns(other, tmp_path / "run", 1)
    with pytest.raises(InputError, match="its name is copper/Cu-2x2x2, not silver/Cu-2x2x2"):
        run_campaigns(several(entry(SMALL), name="silver", **few), tmp_path / "run", 1)
    assert len(stored(tmp_path / "run")[0]) == 2


@pytest.mark.parametrize(
    ("faulty", "sentence"),
    [
        (entry(LARGE, "configurations: {recipes: [V_Se]}"), r"copper/Cu-3x3x3: Cu has no Se sites"),
        (entry(LARGE, "configurations: {preset: low-density}"), r"copper/Cu-3x3x3: "),
        (entry(LARGE, "model: {checkpoint: nowhere}"), r"copper/Cu-3x3x3: There is no checkpoint 'nowhere'"),
        ("{file: absent.cif, supercell: [2, 2, 2]}", r"copper/absent-2x2x2: .*absent\.cif"),
    ],
)
def test_a_host_that_cannot_be_run_is_named_before_any_is_run(several, tmp_path, faulty, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        run_campaigns(several(entry(SMALL), faulty), tmp_path / "run", 1)
    assert caught.value.exit_code == 2
    with open_store(tmp_path / "run") as store:
        assert (store.campaigns(), list(store.relaxations())) == ([], [])


def test_every_charge_is_relaxed_from_the_one_prediction_of_the_neutral_cell(copper, tmp_path, monkeypatch):
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(write_potcars(tmp_path / "potcars", ["Cu_pv", "Al"])))
    engine = (
        f"{{name: vasp, vasp_cmd: '{sys.executable} {STANDIN}', kpoints: [2, 2, 2], max_steps: 40, poll_seconds: 0.1}}"
    )
    changes = {"engine": engine, "configurations": "{recipes: [V_Cu]}", "charges": "[0, -1]"}
    summary = run_campaign(load_campaign(copper.write_campaign(tmp_path, **changes)), tmp_path / "run", 2)
    assert (summary.n_relaxations, summary.converged) == (5, 5)
    relaxations, predictions, _ = stored(tmp_path / "run")
    assert [(one.charge, one.passed) for one in predictions] == [(0, True)]
    charged = [one for one in relaxations if one.charge]
    assert {(one.start, one.charge, one.charge_outside_training, one.charge_correction) for one in charged} == {
        ("unrelaxed", -1, True, "bulk"),
        ("prerelaxed", -1, True, "bulk"),
    }
    runs = [read_run(Path(one.details.directory)).first for one in charged]
    assert [charge_of(run) for run in runs] == [-1, -1]
    assert len({run.incar["NELECT"] for run in runs}) == 1
    with open_store(tmp_path / "run", read_only=True) as store:
        savings = {one.charge: one for one in build_savings(store)}
    assert savings.keys() == {0, -1}
    assert (savings[0].charge_outside_training, savings[-1].charge_outside_training) == (False, True)
    assert savings[-1].unrelaxed.key != savings[0].unrelaxed.key
