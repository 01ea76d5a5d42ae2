from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest

from definet_flows.settings import settings
from tests.hpc_folders import written

INIT = (
    "hpc",
    "init",
    "--scheduler",
    "slurm",
    "--gpu-queue",
    "gpu",
    "--cpu-queue",
    "cpu",
    "--database-host",
    "db.example.org",
)

CONFIG_FILES = ("FW_CONFIG_FILE", "JOBFLOW_CONFIG_FILE", "ATOMATE2_CONFIG_FILE")


@pytest.fixture(autouse=True)
def _a_shell_without_a_configuration(monkeypatch, tmp_path):
    for name in ("DEFINET_FLOWS_CONFIG_DIR", "DEFINET_FLOWS_LAUNCH_DIR", *CONFIG_FILES):
        monkeypatch.setenv(name, "")  # so that it is put back, whatever a command sets it to
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_a_configuration_is_written_from_flags(invoke, tmp_path):
    reply = invoke(*INIT, "--config-dir", tmp_path / "c", "--cpu-cores", "32", "--module", "vasp/6.4")
    assert reply.exit_code == 0, reply.output
    lines = reply.stdout.splitlines()
    assert f"{tmp_path}/c/qadapter-cpu.yaml" in lines
    assert lines[-2].startswith("Next: set DEFINET_FLOWS_DATABASE_USER and DEFINET_FLOWS_DATABASE_PASSWORD")
    assert lines[-1] == f"  source {tmp_path}/c/env.sh && definet-flows doctor"
    assert "ntasks_per_node: 32" in (tmp_path / "c" / "qadapter-cpu.yaml").read_text()


def test_the_folder_is_at_home_unless_said_otherwise(invoke, tmp_path):
    assert invoke(*INIT, "--no-login").exit_code == 0
    assert (tmp_path / "home" / ".definet-flows" / "jobflow.yaml").is_file()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (INIT[:4], "add --gpu-queue, --cpu-queue, --database-host"),
        ((*INIT, "--cpu-walltime", "1 day"), "cpu.walltime: Value error, write a walltime as HH:MM:SS"),
        ((*INIT, "--database-option", "tls"), "not of the form key=value"),
        ((*INIT[:-1], "mongodb://ada:lovelace@db"), "leave user and password out of the address"),
    ],
)
def test_answers_that_cannot_be_used_are_named(invoke, tmp_path, arguments, complaint):
    reply = invoke(*arguments, "--config-dir", tmp_path / "c")
    assert reply.exit_code == 2
    assert complaint in reply.stderr
    assert "lovelace" not in reply.output
    assert not (tmp_path / "c").exists()


def test_nothing_is_overwritten_unless_forced(invoke, tmp_path):
    arguments = (*INIT, "--config-dir", tmp_path / "c")
    assert invoke(*arguments).exit_code == 0
    refused = invoke(*arguments)
    assert (refused.exit_code, "--force replaces them" in refused.stderr) == (2, True)
    assert invoke(*arguments, "--force").exit_code == 0


def test_what_is_missing_is_asked_for_on_a_terminal(command, tmp_path):
    """A terminal of its own, answered like a user answers: the prompts wait, the defaults are taken with Enter."""
    terminal, its_end = pty.openpty()
    arguments = command("hpc", "init", "--config-dir", tmp_path / "c", "--scheduler", "pbs")
    with subprocess.Popen(arguments, stdin=its_end, stdout=its_end, stderr=its_end) as process:
        os.close(its_end)
        os.write(terminal, b"volta\nskylake\n\n\ndb.example.org\n")
        shown = b""
        # Linux reports the end of a terminal's other side as an error.
        try:
            while chunk := os.read(terminal, 4096):
                shown += chunk
        except OSError:
            pass
    os.close(terminal)
    assert process.returncode == 0, shown.decode()
    assert "Partition or queue with GPUs" in shown.decode()
    assert 'queue: "volta"' in (tmp_path / "c" / "qadapter-gpu.yaml").read_text()
    assert 'queue: "skylake"' in (tmp_path / "c" / "qadapter-cpu.yaml").read_text()
    assert "account: null" in (tmp_path / "c" / "qadapter-cpu.yaml").read_text()
    assert "mongodb://db.example.org:27017/" in (tmp_path / "c" / "jobflow.yaml").read_text()


def test_without_a_configuration_the_doctor_is_content(invoke):
    reply = invoke("doctor")
    assert reply.exit_code == 0, reply.output
    assert "– folder: not set up: definet-flows hpc init writes a configuration" in reply.stdout
    assert "✓ python: 3." in reply.stdout


def test_a_failure_shows_in_the_exit_code_with_its_remedy(invoke, tmp_path, mongo_uri, mongo_database, monkeypatch):
    folder = written(tmp_path / "c", database={"host": mongo_uri, "name": mongo_database}, vasp_cmd="no-such-program")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    reply = invoke("doctor", "--config-dir", folder.path, "--json")
    findings = {(one["group"], one["check"]): one for one in json.loads(reply.stdout)}
    assert reply.exit_code == 1
    assert findings["database", "stores"]["state"] == "pass"
    assert findings["VASP", "VASP_CMD"]["state"] == "fail"
    shown = invoke("doctor", "--config-dir", folder.path).stdout
    assert "  ✗ VASP_CMD: 'no-such-program' cannot be started: there is no no-such-program\n    → set VASP_CMD" in shown


def test_a_folder_without_a_configuration_is_refused(invoke, tmp_path):
    reply = invoke("doctor", "--config-dir", tmp_path)
    assert (reply.exit_code, "no my_launchpad.yaml" in reply.stderr) == (2, True)
