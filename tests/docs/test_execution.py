"""Pages that a newcomer follows, carried out literally in a fresh directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from definet_flows.flows import load_campaigns
from definet_flows.training.config import load_training_config
from tests.docs.pages import steps_of

# In the order in which a reader comes to them; the second looks at what the first left.
JOURNEY = ("tutorial", "query-and-plot")
ALONE = ("compact-configurations", "guard", "new-engine", "other-defects")
# Their commands take a GPU, VASP or minutes; what they tell to write has to be readable.
SHOWN = ("own-vasp-settings", "train-2dmd")


def on_one_core():
    """Words that keep a command to a core of this test worker's own, where that can be said.

    A campaign then starts one process that loads the potential, not one for each core, others of which are being used.
    """
    if shutil.which("taskset") is None:
        return []
    cores = sorted(os.sched_getaffinity(0))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return ["taskset", "--cpu-list", str(cores[worker % len(cores)])]


def carry_out(page, directory, kinds=("console", "python")):
    """Return (page, block, exit code, what was said) of every step that fails or prints something else than the page says."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    wrong = []
    for step in steps_of(page):
        if step.file:
            (directory / step.file).write_text(step.body, encoding="utf-8")
            continue
        if step.kind not in kinds:
            continue
        shell = ["bash", "-euc", step.commands] if step.kind == "console" else [sys.executable, "-c", step.body]
        done = subprocess.run(
            [*on_one_core(), *shell], cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
        otherwise = step.kind == "python" and step.output not in {None, done.stdout}
        if done.returncode or otherwise:
            wrong.append((page, step.body, done.returncode, done.stdout + done.stderr))
    return wrong


def read(file):
    """Read a campaign or a training file as its command would."""
    return load_campaigns(file) if "host:" in file.read_text(encoding="utf-8") else load_training_config(file)


@pytest.mark.slow
def test_a_newcomer_gets_through_the_tutorial_and_finds_the_results(tmp_path):
    assert [wrong for page in JOURNEY for wrong in carry_out(page, tmp_path)] == []
    assert (tmp_path / "first-run" / "report.html").stat().st_size > 1e5
    assert {"runs.csv", "pairs.parquet", "relaxed.xyz", "steps.png"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_a_crystal_of_ones_own_gets_a_network_and_a_campaign_with_it(tmp_path):
    assert carry_out("own-host", tmp_path) == []
    assert (tmp_path / "screen-run" / "report.html").stat().st_size > 1e5


@pytest.mark.parametrize("page", ALONE)
def test_what_a_page_shows_works(page, tmp_path):
    assert steps_of(page)
    assert carry_out(page, tmp_path) == []


@pytest.mark.parametrize("page", SHOWN)
def test_files_that_a_page_tells_to_write_can_be_read(page, tmp_path):
    files = [step for step in steps_of(page) if step.file]
    for step in files:
        (tmp_path / step.file).write_text(step.body, encoding="utf-8")
    assert files
    assert all(read(tmp_path / step.file) for step in files if step.kind == "yaml")


@pytest.mark.parametrize(("page", "structures"), [("../README", 15), ("energetics", 2)])
def test_the_python_of_a_page_writes_its_structures(page, structures, tmp_path):
    assert carry_out(page, tmp_path, kinds=("python",)) == []
    assert len(list(tmp_path.glob("*.cif"))) == structures
