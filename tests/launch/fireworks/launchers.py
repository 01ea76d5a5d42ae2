"""Launchers as processes, as many as a test wants."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from definet_flows.launch.hpc.folder import ATOMATE2, FW_CONFIG, JOBFLOW, ConfigFolder
from tests.hpc_folders import written

ROOT = Path(__file__).resolve().parents[3]
QLAUNCH = "import sys; from fireworks.scripts.qlaunch_run import qlaunch; sys.exit(qlaunch())"
RLAUNCH = "import sys; from fireworks.scripts.rlaunch_run import rlaunch; sys.exit(rlaunch())"


def write_configuration(folder, uri, database):
    """A configuration folder for workers of both categories, on a database that lets everyone in."""
    return written(folder, database={"host": uri, "name": database, "login": False})


def worker_environment(folder):
    """What ``source env.sh`` sets, and the tests' own modules."""
    files = {"FW_CONFIG_FILE": FW_CONFIG, "JOBFLOW_CONFIG_FILE": JOBFLOW, "ATOMATE2_CONFIG_FILE": ATOMATE2}
    paths = {variable: str(folder.path / name) for variable, name in files.items()}
    return os.environ | paths | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


class Launchers:
    """Processes of ``rlaunch``, ended with the test."""

    def __init__(self, configuration: ConfigFolder, folder: Path) -> None:
        self.configuration, self.folder = configuration, folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, category: str, mode: tuple[str, ...] = ("rapidfire", "--nlaunches", "infinite", "--sleep", "1")):
        """One more launcher of a category, running jobs itself."""
        return self._run(RLAUNCH, category, (), mode)

    def feed(self, category: str, mode: tuple[str, ...]):
        """Keep the queue of a category fed."""
        queue = ("-q", str(self.configuration.path / f"qadapter-{category}.yaml"), "-r")
        return self._run(QLAUNCH, category, queue, mode)

    def _run(self, program: str, category: str, options: tuple[str, ...], mode: tuple[str, ...]):
        here = self.folder / f"{category}-{len(self.processes)}"
        here.mkdir(parents=True)
        path = self.configuration.path
        files = ("-l", path / "my_launchpad.yaml", "-w", path / f"worker-{category}.yaml")
        command = [sys.executable, "-W", "ignore", "-c", program, *map(str, files), *options, *mode]
        environment = worker_environment(self.configuration)
        with (here / "log").open("w") as log:
            process = subprocess.Popen(command, cwd=here, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def wait(self, done: Callable[[], bool], seconds: float = 400.0) -> bool:
        """Wait until something is the case, or launchers die, or time is up."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline or all(one.poll() is not None for one in self.processes):
                return done()
            time.sleep(0.3)
        return True

    @property
    def logs(self) -> str:
        return "\n".join(f"== {file}\n{file.read_text()[-3000:]}" for file in sorted(self.folder.glob("*/log")))

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
