from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from definet_flows.records import lock as lock_module
from definet_flows.records.errors import StoreInUseError
from definet_flows.records.lock import StoreLock

HOLDER = """
import sys, time
from pathlib import Path
from definet_flows.records.lock import StoreLock
StoreLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store" / "lock"


@pytest.fixture
def holder(path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_holds_it(path, holder):
    with pytest.raises(StoreInUseError, match=f"written by process {holder.pid} on {socket.gethostname()}") as caught:
        StoreLock(path).acquire()
    assert caught.value.exit_code == 1


def test_the_lock_of_a_killed_process_is_taken_over(path, holder, caplog):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with caplog.at_level("INFO"), StoreLock(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert f"from process {holder.pid}" in caplog.text
    assert path.read_text() == ""


def test_it_is_free_again_after_release(path):
    first = StoreLock(path)
    first.acquire()
    first.acquire()
    with pytest.raises(StoreInUseError, match=f"process {os.getpid()}"):
        StoreLock(path).acquire()
    first.release()
    first.release()
    with StoreLock(path):
        pass


class TestWithoutKernelLocks:
    """File systems, or systems, that have none."""

    @pytest.fixture(autouse=True)
    def _no_kernel_locks(self, monkeypatch):
        monkeypatch.setattr(lock_module, "_FCNTL", None)

    def written_by(self, path, **owner):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(owner))

    def test_a_living_process_keeps_it(self, path, holder):
        with pytest.raises(StoreInUseError, match=f"process {holder.pid} .* or remove {path}"):
            StoreLock(path).acquire()

    def test_a_dead_process_loses_it(self, path):
        ended = subprocess.run(
            [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
        )
        self.written_by(path, pid=int(ended.stdout), host=socket.gethostname())
        StoreLock(path).acquire()
        assert json.loads(path.read_text())["pid"] == os.getpid()

    def test_a_process_elsewhere_keeps_it(self, path):
        self.written_by(path, pid=1, host="another-node")
        with pytest.raises(StoreInUseError, match="process 1 on another-node"):
            StoreLock(path).acquire()

    def test_a_file_cut_short_is_nobodys(self, path):
        path.parent.mkdir(parents=True)
        path.write_text('{"pi')
        StoreLock(path).acquire()
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_the_error_numbers_of_missing_locks_fall_back(path, monkeypatch):
    class NoLocks:
        LOCK_EX = LOCK_NB = 0

        @staticmethod
        def flock(*_):
            raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock_module, "_FCNTL", NoLocks)
    with StoreLock(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()
