from __future__ import annotations

import os
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from definet_flows.launch.doctor import Subject, configuration, examine, machine, versions
from definet_flows.settings import settings
from tests.hpc_folders import written


@pytest.fixture(autouse=True)
def _read_settings_again():
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_this_installation_is_fit_for_use():
    findings = {finding.check: finding for finding in versions.check(Subject())}
    assert {"python", "torch", "jobflow", "atomate2", "fireworks", "pymatgen"} <= set(findings)
    assert findings["fireworks"].message == version("fireworks")
    assert {finding.state for finding in findings.values()} == {"pass"}


def test_a_version_that_was_never_tried_fails(monkeypatch):
    monkeypatch.setattr(versions, "installed", {"jobflow": "0.5.1", "pymongo": "4.16.0", "jobflow-remote": "1.0"}.get)
    findings = {finding.check: finding for finding in versions.check(Subject())}
    assert (findings["jobflow"].state, findings["jobflow"].message) == ("fail", "0.5.1 has not been tried and may fail")
    assert findings["jobflow"].remedy in {"pip install 'jobflow<0.5,>=0.3'", "pip install 'jobflow>=0.3,<0.5'"}
    assert findings["jobflow-remote"].state == "warn"
    assert findings["torch"].state == "fail"
    assert (findings["fireworks"].state, findings["fireworks"].message) == (
        "not set up",
        "not set up: pip install 'definet-flows[fireworks]'",
    )


def test_versions_compare_by_their_numbers():
    assert versions.release("2.13.0+cu126") == (2, 13, 0)
    assert versions.release("0.10") > versions.release("0.9.1")


def test_the_gpu_is_what_torch_says():
    finding = machine.check_gpu()
    assert torch.__version__ in finding.message
    assert (finding.state == "pass") == (torch.cuda.is_available() or torch.version.cuda is not None)


@pytest.mark.parametrize(
    ("build", "driver", "state"),
    [(None, False, "warn"), (None, True, "fail"), ("12.6", False, "pass"), ("12.6", True, "fail")],
)
def test_a_machine_without_a_usable_gpu(monkeypatch, tmp_path, build, driver, state):
    """A login node has no GPU and no driver, which is no fault of torch's build."""
    program = tmp_path / "nvidia-smi"
    if driver:
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = machine._without_gpu("2.13.0", build)
    assert finding.state == state


def test_room_is_measured_where_files_would_go(tmp_path, monkeypatch):
    finding = machine.check_room("launch directory", tmp_path / "not" / "made")
    assert f"GiB free in {tmp_path}" in finding.message
    assert finding.state in {"pass", "warn"}
    monkeypatch.setattr(machine, "FREE_WARNED", 2**80)
    assert machine.check_room("launch directory", tmp_path).state == "warn"
    monkeypatch.setattr(machine, "FREE_FAILED", 2**80)
    assert machine.check_room("launch directory", tmp_path).state == "fail"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_folder_that_cannot_be_written_is_named():
    finding = machine.check_room("launch directory", Path("/proc/nowhere"))
    assert (finding.state, finding.message[:29]) == ("fail", "/proc cannot be written to (N")


def test_the_launch_directory_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DEFINET_FLOWS_LAUNCH_DIR", str(tmp_path))
    found = {finding.check: finding for finding in machine.check(Subject())}
    assert str(tmp_path) in found["launch directory"].message


def test_files_that_others_can_read_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("DEFINET_FLOWS_CONFIG_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = written(tmp_path / "c")
    assert {finding.state for finding in configuration.check(Subject(folder))} == {"pass"}
    secrets = folder.path / "secrets.sh"
    secrets.write_text("")
    secrets.chmod(stat.S_IRUSR | stat.S_IRGRP)
    found = {finding.check: finding for finding in configuration.check(Subject(folder))}
    assert (found["permissions"].state, found["permissions"].message) == ("warn", "others can read secrets.sh")
    assert found["permissions"].remedy == f"chmod 600 {secrets}"


def test_files_that_are_missing_or_broken_are_named(tmp_path, monkeypatch):
    folder = written(tmp_path / "c")
    monkeypatch.setenv("DEFINET_FLOWS_CONFIG_DIR", str(tmp_path))
    (folder.path / "atomate2.yaml").unlink()
    (folder.path / "jobflow.yaml").write_text("JOB_STORE: {")
    found = {finding.check: finding for finding in configuration.check(Subject(folder))}
    assert (found["atomate2.yaml"].state, found["jobflow.yaml"].state) == ("warn", "fail")
    assert "jobflow.yaml cannot be read" in found["jobflow.yaml"].message
    assert (found["folder"].state, found["folder"].remedy) == ("warn", f"source {folder.path}/env.sh")


def test_settings_that_fireworks_would_take_instead_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("DEFINET_FLOWS_CONFIG_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = written(tmp_path / "c")
    monkeypatch.chdir(folder.path)
    assert "warn" not in {finding.state for finding in configuration.check(Subject(folder))}
    (tmp_path / ".fireworks").mkdir()
    (tmp_path / ".fireworks" / "FW_config.yaml").write_text("{}\n")
    (warning,) = [finding for finding in configuration.check(Subject(folder)) if finding.state == "warn"]
    asked = "import fireworks.fw_config as chosen; print(chosen.LAUNCHPAD_LOC)"
    environment = os.environ | {"FW_CONFIG_FILE": str(folder.path / "FW_config.yaml")}
    command = [sys.executable, "-c", asked]
    told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "None", "FireWorks itself says that the folder's settings are not taken"
    assert f"take {tmp_path}/.fireworks/FW_config.yaml instead of the one in {folder.path}" in warning.message


def test_a_group_that_breaks_hides_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr("definet_flows.launch.doctor.database.ANSWER_WITHIN_MS", 300)
    folder = written(tmp_path / "c", database={"port": 9})
    (folder.path / "FW_config.yaml").write_text("- broken\n")
    (folder.path / "worker-gpu.yaml").write_text("- broken\n")
    findings = examine(Subject(folder))
    groups = list(dict.fromkeys(finding.group for finding in findings))
    assert groups == ["versions", "configuration", "database", "workers", "queues", "VASP", "this machine"]
    assert {finding.group for finding in findings if finding.state == "fail"} >= {
        "configuration",
        "database",
        "workers",
    }


def test_nothing_set_up_is_no_failure(monkeypatch):
    monkeypatch.delenv("DEFINET_FLOWS_LAUNCH_DIR", raising=False)
    findings = examine(Subject())
    assert "fail" not in {finding.state for finding in findings}
    waiting = {finding.check: finding.message for finding in findings if finding.state == "not set up"}
    assert {"folder", "launchpad", "stores", "worker files", "adapter files", "POTCARs"} <= set(waiting)
    assert all(message.startswith("not set up: ") for message in waiting.values())
