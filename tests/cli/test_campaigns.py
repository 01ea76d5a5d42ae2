from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time

import pytest

from definet_flows.cli.campaigns import _Lines, campaign_file, pace
from definet_flows.errors import InputError
from definet_flows.launch.progress import Progress
from definet_flows.settings import workflows_directory

# A potential that needs no package of its own; soft enough for everything to relax in a few steps.
CAMPAIGN = """
name: small
host: {preset: MoS2, supercell: [3, 3, 1], vacuum: 15}
configurations: {recipes: [V_S, Se_S]}
model: {checkpoint: CHECKPOINT}
engine:
  potential: ase.calculators.lj.LennardJones
  potential_arguments: {sigma: 2.1, epsilon: 0.05, rc: 6.0}
  force_threshold: 0.02
  max_steps: 40
"""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory, tiny_checkpoint):
    path = tmp_path_factory.mktemp("campaign") / "small.yaml"
    path.write_text(CAMPAIGN.replace("CHECKPOINT", str(tiny_checkpoint)), encoding="utf-8")
    return path


def test_a_campaign_runs_shows_progress_and_goes_on_where_it_stopped(shell, campaign, tmp_path):
    first = shell("run", campaign, "--dir", tmp_path / "run", "--workers", 1)
    assert first.returncode == 0, first.stderr
    assert "small: 2 configurations, 5 relaxations" in first.stdout
    assert "5 run now" in first.stdout
    assert "relaxing: 5/5" in first.stderr
    again = shell("run", campaign, "--dir", tmp_path / "run", "--workers", 1, "--json")
    summary = json.loads(again.stdout)
    assert (summary["n_run"], summary["n_skipped"]) == (0, 5)
    relaxations = json.loads(shell("results", tmp_path / "run", "--json").stdout)
    assert len(relaxations) == 5
    report = shell("report", tmp_path / "run")
    assert report.returncode == 0, report.stderr
    assert (tmp_path / "run" / "ionic_steps.png").exists()

    other = campaign.with_name("other.yaml")
    other.write_text(campaign.read_text().replace("name: small", "name: other"))
    refused = shell("run", other, "--dir", tmp_path / "run")
    assert refused.returncode == 2
    assert "belongs to another campaign" in refused.stderr


def test_the_status_of_a_directory_tells_states_and_what_runs_failures_again(invoke, copper, tmp_path):
    hosts = "[{file: Cu.cif, supercell: [2, 2, 2]}, {file: Cu.cif, supercell: [3, 2, 2], configurations: {recipes: [Se_Cu]}}]"
    path = copper.write_campaign(tmp_path, hosts=hosts, configurations="{recipes: [V_Cu, Al_Cu]}", model="null")
    ran = invoke("run", path, "--dir", tmp_path / "run", "--workers", 1)
    assert ran.exit_code == 0, ran.stderr
    assert "Cu-3x2x2 relaxing: 2/2" in ran.stderr
    assert "copper: 3 configurations, 5 relaxations (4 converged, 0 unconverged, 1 failed)" in ran.stdout
    listed = invoke("results", tmp_path / "run", "--campaign", "copper")
    assert "5 relaxations\n  copper/Cu-2x2x2: 3\n  copper/Cu-3x2x2: 2\n" in listed.stdout
    assert "3 relaxations" in invoke("results", tmp_path / "run", "--campaign", "copper/Cu-2x2x2").stdout
    small, large = json.loads(invoke("status", tmp_path / "run", "--json").stdout)
    assert (small["name"], small["states"]["converged"], small["failures"]) == ("copper/Cu-2x2x2", 2, [])
    assert (large["states"]["failed"], large["runs"], large["standing"]) == (1, {"failed": 1}, None)
    shown = invoke("status", tmp_path / "run").stdout
    assert "1 failed (1 relax): " in shown
    assert f"again: definet-flows run CAMPAIGN.yaml --dir {tmp_path / 'run'} --retry-failed" in shown
    assert [line.split()[:2] for line in shown.splitlines() if "total" in line] == [["total", "3"]]


def test_control_c_says_how_to_go_on(command, campaign, tmp_path):
    line = command("run", campaign, "--dir", tmp_path / "run", "--workers", 1)
    with subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for text in process.stderr:
            if text.startswith(("predicting", "relaxing:")):
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode in {0, 130}, "it may have been done already"
    if process.returncode == 130:
        assert "the same command goes on" in rest
        assert "Traceback" not in rest


@pytest.mark.parametrize(
    ("broken", "repaired", "saying"),
    [
        ("recipes:", "recipe:", ("small.yaml", "configurations", "recipe", "recipes")),
        ("max_steps: 40", "max_step: 40", ("max_step", "max_steps")),
        ("preset: MoS2", "preset: MoS3", ("MoS3", "MoS2, WSe2")),
        ("recipes: [V_S, Se_S]", "recipes: [V_Se]", ("V_Se", "Mo, S")),
        ("supercell: [3, 3, 1]", "supercell: [3, 3, 0]", ("upercell",)),
        ("max_steps: 40", "max_steps: many", ("max_steps",)),
    ],
)
def test_a_campaign_with_a_mistake_is_refused_with_its_place(invoke, campaign, tmp_path, broken, repaired, saying):
    path = tmp_path / "small.yaml"
    path.write_text(campaign.read_text().replace(broken, repaired))
    reply = invoke("run", path, "--dir", tmp_path / "run")
    assert reply.exit_code == 2, reply.output
    for word in saying:
        assert word in reply.stderr


def test_a_shipped_campaign_goes_by_its_name():
    assert campaign_file("demo") == workflows_directory() / "demo.yaml"
    assert str(campaign_file("./demo")) == "demo"
    with pytest.raises(InputError, match="low-density-mos2"):
        campaign_file("low-density-mos")


def test_a_missing_campaign_file_is_named(invoke, tmp_path):
    reply = invoke("run", tmp_path / "none.yaml", "--dir", tmp_path / "run")
    assert reply.exit_code == 2
    assert "none.yaml" in reply.stderr


def test_a_file_where_the_directory_should_be(invoke, campaign, tmp_path):
    (tmp_path / "run").touch()
    reply = invoke("run", campaign, "--dir", tmp_path / "run")
    assert reply.exit_code == 2
    assert "name another" in reply.stderr


def test_a_truncated_checkpoint_stops_a_campaign_before_it_relaxes(shell, campaign, tiny_checkpoint, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_checkpoint, damaged)
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    path = tmp_path / "small.yaml"
    path.write_text(campaign.read_text().replace(str(tiny_checkpoint), str(damaged)))
    reply = shell("run", path, "--dir", tmp_path / "run", "--workers", 1)
    assert reply.returncode == 2
    assert "truncated" in reply.stderr
    assert "relaxing:" not in reply.stderr


def test_pace_tells_what_is_known():
    assert pace(Progress("relax", 0, 10)) == ""
    assert pace(Progress("relax", 5, 10, rate=0.5, seconds_left=3700.0)) == "30.0/min, 1:01:40 left"
    assert pace(Progress("relax", 10, 10, rate=20.0, seconds_left=0.0, failed=2)) == "20/s, 2 failed"


def test_without_a_terminal_progress_is_a_few_lines(capsys):
    lines = _Lines()
    for done in range(1001):
        lines(Progress("relax", done, 1000))
    assert len(capsys.readouterr().err.splitlines()) == 11


def test_a_stage_of_nothing_is_no_division_by_zero(capsys):
    _Lines()(Progress("relax", 0, 0))
    assert capsys.readouterr().err == "relaxing: 0/0\n"
