"""The submit script that `hpc init` writes, on a real queue."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from fireworks import Firework, ScriptTask, Workflow

from tests.hpc_folders import launchpad_of, written

SMALL = {"nodes": 1, "cores": 1, "memory": "100M", "walltime": "00:05:00"}


@pytest.fixture
def feeding(slurm, mongo_uri, mongo_database, tmp_path, monkeypatch):
    """A configuration, and its submit script as a process."""
    monkeypatch.setenv("HOME", str(tmp_path))  # whose shell start-up files are none of ours
    database = {"host": mongo_uri, "name": mongo_database}
    folder = written(tmp_path / "c", gpu=SMALL, cpu=SMALL, database=database, launch_dir=str(tmp_path / "launches"))
    process = subprocess.Popen(
        ["bash", folder.path / "submit.sh"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        start_new_session=True,
    )
    yield folder, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def finished(launchpad, count):
    """Partitions that jobs ran in, by what they printed, once all have ended."""
    end = time.monotonic() + 120
    while launchpad.fireworks.count_documents({"state": "COMPLETED"}) < count and time.monotonic() < end:
        time.sleep(0.2)
    launches = launchpad.launches.find({"state": "COMPLETED"})
    return sorted(launch["action"]["stored_data"]["stdout"].strip() for launch in launches)


def test_both_queues_are_fed_until_it_is_told_to_stop(feeding):
    folder, process = feeding
    with launchpad_of(folder) as launchpad:
        launchpad.reset("", require_password=False)
        jobs = [
            Firework(
                ScriptTask({"script": "echo $SLURM_JOB_PARTITION $OMP_NUM_THREADS", "store_stdout": True}),
                spec={"_category": role},
            )
            for role in ("gpu", "cpu", "cpu")
        ]
        for job in jobs:
            launchpad.add_wf(Workflow([job]))
        assert finished(launchpad, 3) == ["cpu 1", "cpu 1", "gpu 1"]
    process.terminate()
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    left = subprocess.run(["pgrep", "-f", f"qlaunch.*{folder.path}"], capture_output=True, check=False)
    assert left.stdout == b"", "the queues are left as they are, and nobody feeds them"
