from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from definet_flows.definet import CheckpointError
from definet_flows.errors import InputError
from definet_flows.flows import load_campaign
from definet_flows.launch.local import run_campaign
from definet_flows.launch.stages import KILLED
from definet_flows.records import build_savings, open_store

pytestmark = pytest.mark.slow

TIMES = {"last_updated", "wall_seconds", "core_hours", "seconds", "prerelax_seconds"}
TIMES |= {"core_hours_saved", "net_core_hours_saved", "prerelax_core_hours"}
TIMES |= {"sources_hash"}  # it knows when each document was written


def timeless(content):
    if isinstance(content, dict):
        return {name: timeless(entry) for name, entry in content.items() if name not in TIMES}
    return content


def contents(directory):
    """Everything in a store but for times, by kind and key."""
    with open_store(directory, read_only=True) as store:
        kinds = {
            "campaigns": store.campaigns(),
            "relaxations": store.relaxations(positions=True),
            "predictions": store.predictions(positions=True),
            "savings": store.savings(),
        }
        return {
            kind: {one.key: timeless(one.model_dump(mode="json")) for one in records} for kind, records in kinds.items()
        }


def relaxations(directory, **criteria):
    with open_store(directory, read_only=True) as store:
        return {record.key: record for record in store.relaxations(criteria)}


def test_the_records_do_not_depend_on_the_number_of_workers(copper, tmp_path):
    campaign = load_campaign(copper.write_campaign(tmp_path, baseline_fraction="0.5"))
    reports = []
    summaries = [run_campaign(campaign, tmp_path / str(workers), workers, reports.append) for workers in (1, 2)]
    one, two = (contents(tmp_path / str(workers)) for workers in (1, 2))
    assert one == two
    assert len(one["predictions"]) == summaries[0].n_configurations == 12
    assert len(one["savings"]) == len(summaries[0].savings) == summaries[0].n_baseline == 6
    assert len(one["relaxations"]) == summaries[0].n_relaxations == summaries[0].converged == summaries[0].n_run
    assert summaries[0].n_fallbacks == 5
    assert [report.stage for report in reports if report.done == report.total][:5] == [
        *("generate", "model", "host", "prerelax", "relax")
    ]
    assert reports[-1].done == reports[-1].total == summaries[1].n_relaxations


def test_only_what_is_missing_is_run(copper, tmp_path):
    def campaign(recipes, seed=0, **changes):
        copper.write_checkpoint(tmp_path / "tiny", seed=seed)
        listed = f"{{recipes: {json.dumps(recipes)}}}"
        return load_campaign(copper.write_campaign(tmp_path, configurations=listed, **changes))

    first = run_campaign(campaign(["V_Cu", "Al_Cu"], baseline_fraction="0.5"), tmp_path / "run", 1)
    before = relaxations(tmp_path / "run")
    assert (first.n_run, first.n_skipped) == (4, 0)
    again = run_campaign(campaign(["V_Cu", "Al_Cu"], baseline_fraction="0.5"), tmp_path / "run", 1)
    assert (again.n_run, again.n_skipped) == (0, 4)
    more = run_campaign(campaign(["V_Cu", "Al_Cu", "V_Cu+Ni_Cu"]), tmp_path / "run", 2)
    assert (more.n_run, more.n_skipped) == (1 + 5, 4)  # the other baseline, and five refused ones
    another_model = run_campaign(campaign(["V_Cu", "Al_Cu", "V_Cu+Ni_Cu"], seed=1), tmp_path / "run", 2)
    assert (another_model.n_run, another_model.n_skipped) == (2, 8)  # no baseline is paid for twice
    after = relaxations(tmp_path / "run")
    assert {key: after[key] for key in before} == before
    assert len(another_model.savings) == len(more.savings) == 7
    with open_store(tmp_path / "run", read_only=True) as store:
        assert len(build_savings(store)) == 14


def test_the_directory_of_another_campaign_is_left_alone(copper, tmp_path):
    few = {"configurations": "{recipes: [V_Cu]}", "model": "null"}
    run_campaign(load_campaign(copper.write_campaign(tmp_path, **few)), tmp_path / "run", 1)
    before = contents(tmp_path / "run")
    engine = f"{{potential: {copper.EMT}, force_threshold: 0.5, optimizer: FIRE}}"
    lines = "file: Cu.cif\nsupercell: [3, 3, 3]"
    other = load_campaign(copper.write_campaign(tmp_path, name="other", host_lines=lines, engine=engine, **few))
    with pytest.raises(InputError, match="belongs to another campaign") as caught:
        run_campaign(other, tmp_path / "run", 1)
    for difference in (
        "its name is copper, not other",
        "its host is Cu 2x2x2 .32 sites",
        "not Cu 3x3x3 .108 sites",
        "its engine's force_threshold is 0.02, not 0.5",
        "its engine's optimizer is 'BFGS', not 'FIRE'",
    ):
        assert caught.match(difference)
    assert contents(tmp_path / "run") == before


@pytest.mark.usefixtures("in_workers")
def test_misbehaving_relaxations_become_records_and_the_campaign_goes_on(misbehaving, tmp_path):
    recipes = '{recipes: ["V_Cu", "Pt_Cu", "Pd_Cu", "Au_Cu", "Ag_Cu", "V_Cu+Al_Cu"]}'
    campaign = load_campaign(misbehaving(model="null", configurations=recipes))
    summary = run_campaign(campaign, tmp_path / "run", 2)
    found = {record.label: record for record in relaxations(tmp_path / "run").values() if record.n_defects < 2}
    states = {label: record.state for label, record in found.items()}
    converged = dict.fromkeys(("pristine", "V_Cu", "Pd_Cu"), "converged")
    assert states == converged | dict.fromkeys(("Pt_Cu", "Au_Cu", "Ag_Cu"), "failed")
    assert found["Pt_Cu"].reason == KILLED
    assert (found["Pt_Cu"].ionic_steps, found["Pt_Cu"].wall_seconds > 0) == (None, True)
    assert found["Au_Cu"].reason == "the job raised TypeError: a bug"
    assert "diverged" in found["Ag_Cu"].reason
    assert (summary.failed, summary.converged) == (3, summary.n_relaxations - 3)

    unchanged = run_campaign(campaign, tmp_path / "run", 2)
    assert unchanged.n_run == 0
    retried = run_campaign(campaign, tmp_path / "run", 2, retry_failed=True)
    assert (retried.n_run, retried.failed) == (3, 3)
    after = relaxations(tmp_path / "run", state="converged")
    assert after == {key: record for key, record in relaxations(tmp_path / "run").items() if key in after}


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"model": "{checkpoint: nowhere}"}, CheckpointError, "There is no checkpoint 'nowhere'"),
        ({"configurations": "{recipes: [V_Se]}"}, InputError, "Cu has no Se sites"),
        ({"engine": "{potential: no.such.Calculator}"}, InputError, "needs the package no"),
    ],
)
def test_bad_input_stops_before_the_directory_is_taken(copper, tmp_path, changes, error, sentence):
    campaign = load_campaign(copper.write_campaign(tmp_path, **changes))
    with pytest.raises(error, match=sentence) as caught:
        run_campaign(campaign, tmp_path / "run", 1)
    assert caught.value.exit_code == 2
    with open_store(tmp_path / "run", read_only=True) as store:
        assert store.campaigns() == []


def test_workers_are_counted_from_one(copper, tmp_path):
    with pytest.raises(InputError, match="0 workers cannot run anything"):
        run_campaign(load_campaign(copper.write_campaign(tmp_path)), tmp_path / "run", 0)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_campaign_says_how_to_go_on(misbehaving, in_workers, tmp_path, stop):
    path = misbehaving(delay=0.1, model="null")
    command = [sys.executable, str(in_workers / "run.py"), str(path), str(tmp_path / "run"), "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("relax 3 "):
            break
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    done = len(relaxations(tmp_path / "run"))
    assert process.returncode == 130
    assert (
        errors
        == f"Stopped with {done} relaxations on record in {tmp_path / 'run'}; the same command goes on from there.\n"
    )
    before = relaxations(tmp_path / "run")
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"finished {13 - done} {done}" in finished.stdout
    after = relaxations(tmp_path / "run")
    assert {key: after[key] for key in before} == before
