from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from definet_flows.cli import configurations
from definet_flows.cli.failures import PAGES
from definet_flows.errors import DefinetFlowsError

ANY = ("enumerate", "--host", "hBN", "--supercell", 3, 3, 1, "--recipe", "V_B")


@pytest.fixture
def broken(monkeypatch):
    """Make `enumerate` raise."""

    def break_with(error):
        def host_from_options(*_):
            raise error

        monkeypatch.setattr(configurations, "host_from_options", host_from_options)

    return break_with


def test_a_foreseen_failure_is_one_sentence_and_its_exit_code(invoke, broken):
    broken(DefinetFlowsError("The disk is full."))
    reply = invoke(*ANY)
    assert (reply.exit_code, reply.stdout, reply.stderr) == (1, "", "Error: The disk is full.\n")


def test_a_failure_names_the_page_that_helps(invoke, tmp_path):
    (tmp_path / "campaign.yaml").write_text("name: mine\n")
    assert invoke("run", tmp_path / "campaign.yaml", "--dir", tmp_path / "run").stderr.endswith(
        ". See docs/campaigns.md.\n"
    )
    assert invoke("enumerate", "--host", "MoS2", "--recipe", "S_i").stderr.endswith(". See docs/cli.md.\n")


def test_every_page_that_helps_is_there_and_every_room_it_stands_for():
    root = Path(__file__).resolve().parents[2]
    assert [page for page in PAGES.values() if not (root / "docs" / f"{page}.md").is_file()] == []
    rooms = [root / name.replace(".", "/") for name in PAGES]
    assert [room for room in rooms if not room.is_dir() and not room.with_suffix(".py").is_file()] == []


def test_an_unforeseen_failure_says_how_to_get_the_traceback(invoke, broken):
    broken(KeyError("lattice"))
    reply = invoke(*ANY)
    assert reply.exit_code == 1
    assert reply.stderr.startswith("Error: KeyError: 'lattice'.")
    assert "definet-flows --debug" in reply.stderr
    assert "Traceback" not in reply.stderr
    assert reply.stderr.count("\n") == 1


def test_debug_shows_the_traceback(invoke, broken):
    broken(KeyError("lattice"))
    reply = invoke("--debug", *ANY)
    assert isinstance(reply.exception, KeyError)


def test_a_missing_package_names_the_extra_that_brings_it(invoke, broken):
    broken(ModuleNotFoundError("No module named 'chgnet'", name="chgnet"))
    reply = invoke(*ANY)
    assert "pip install 'definet-flows[forcefield]'" in reply.stderr


def test_control_c_exits_130_without_a_traceback(invoke, broken):
    broken(KeyboardInterrupt())
    reply = invoke(*ANY)
    assert reply.exit_code == 130
    assert "Traceback" not in reply.stderr


def test_a_real_control_c_ends_a_real_process(command, tmp_path):
    arguments = (
        "enumerate",
        "--host",
        "MoS2",
        "--supercell",
        12,
        12,
        1,
        "--recipe",
        "W_Mo+V_S+Se_S",
        "-o",
        tmp_path / "all.jsonl",
    )
    with subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True) as process:
        host_file = tmp_path / "all.host.json"
        for _ in range(400):
            if host_file.exists():
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted." in stderr
    assert "Traceback" not in stderr


def test_a_closed_pipe_is_quiet(command):
    reader, writer = os.pipe()
    os.close(reader)
    reply = subprocess.run(command("hosts"), stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(writer)
    assert reply.stderr == ""
    assert reply.returncode == 141
