"""Batches of predictions that fail, on workers as processes: whoever is to blame is refused, and the others are not affected."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from definet_flows.definet import DefiNet
from definet_flows.launch.fireworks.attempts import ATTEMPTS
from definet_flows.launch.fireworks.recovery import Rescue, recover
from definet_flows.launch.fireworks.submissions import submission_named
from tests.faults.launchers import Fault, ForkedLauncher

pytestmark = pytest.mark.slow

ALUMINIUM = 13
KILLER = """
import os, signal
from definet_flows.definet import DefiNet
original = DefiNet.displacements
def displacements(self, numbers, markers, graph, start=None):
    if (numbers == 13).any():
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, numbers, markers, graph, start)
DefiNet.displacements = displacements
"""


def killed(numbers):
    """As the system kills a process that takes too much memory."""
    if (numbers == ALUMINIUM).any():
        os.kill(os.getpid(), signal.SIGKILL)


def out_of_memory(numbers):
    if len(numbers) > 1:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def gpu_broken(numbers):
    if (numbers == ALUMINIUM).any():
        raise RuntimeError("CUDA error: device-side assert triggered")


def raising(numbers):
    if (numbers == ALUMINIUM).any():
        raise IndexError("index 700 is out of bounds")


@pytest.fixture
def predicted(cluster, campaign, submitted, configuration, tmp_path):
    """Submit two configurations and let a launcher with a fault work; how it ended, and why each prediction was refused."""
    submitted(campaign(configurations="{recipes: [V_Cu, Al_Cu]}", resources="{chunk_size: 2, max_active: 2}"))

    def run(spoil, category=""):
        fault = Fault(predicting=spoil)
        code = ForkedLauncher(configuration, tmp_path / "launches", category, fault).wait()
        return code, {one.label: one.reasons for one in cluster.store.predictions()}

    return run


def test_what_raises_alone_is_refused_and_relaxed_unrelaxed(predicted, cluster):
    code, reasons = predicted(raising)
    assert (code, reasons["V_Cu"]) == (0, [])
    assert reasons["Al_Cu"] == ["the network failed on it (index 700 is out of bounds)"]
    relaxed = {(one.label, one.start, one.state) for one in cluster.store.relaxations({"kind": "defect"})}
    assert relaxed == {("V_Cu", "prerelaxed", "converged")} | {
        (label, "unrelaxed", "converged") for label in ("V_Cu", "Al_Cu")
    }


def test_memory_that_runs_out_halves_the_batch(predicted):
    assert predicted(out_of_memory) == (0, {"V_Cu": [], "Al_Cu": []})


@pytest.fixture
def killer(tmp_path, monkeypatch):
    """Python processes that are started meanwhile die of aluminium; that of the test does not."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(KILLER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


def test_what_kills_its_process_is_found_after_recovery_and_refused(predicted, cluster, killer):
    code, reasons = predicted(killed)
    assert (code, reasons) == (-signal.SIGKILL, {})
    submission = submission_named(cluster.launchpad, "copper")
    assert recover(cluster, submission, Rescue(-1.0, patience=0.2)).requeued == 1
    code, reasons = predicted(killed)
    assert (code, reasons["V_Cu"]) == (0, [])
    assert "its worker process was killed twice" in reasons["Al_Cu"][0]
    assert cluster.launchpad.db[ATTEMPTS].count_documents({}) == 0
    assert {one.state for one in cluster.store.relaxations()} == {"converged"}


def test_what_breaks_the_gpu_is_found_at_once_and_refused(predicted, killer):
    """In the launcher the device breaks; the processes that then predict one by one die, as they would of that."""
    code, reasons = predicted(gpu_broken)
    assert (code, reasons["V_Cu"]) == (0, [])
    assert "its worker process was killed twice" in reasons["Al_Cu"][0]
    assert DefiNet.displacements.__module__ == "definet_flows.definet.network"
