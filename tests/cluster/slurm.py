"""A one-node Slurm whose daemons end with the test that started them."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "sinfo", "squeue", "scancel")
PACKAGES = ("slurm-wlm", "munge")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
KillWait=5
SchedulerParameters=sched_interval=1,batch_sched_delay=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MinJobAge=3600
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES State=UP
PartitionName=gpu Nodes=ALL State=UP
"""


class NoSlurmError(Exception):
    """There is no Slurm to test with; the message says why."""


class SlurmNode:
    """Slurm with the partitions ``cpu`` and ``gpu`` on this machine, and a gres ``gpu:1`` that is no GPU.

    Parameters
    ----------
    folder
        For its files; a short path, for there is a socket in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """What makes Slurm's commands, and whatever calls them, use this one."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str) -> str:
        """What a command prints, with an error if it fails."""
        environment = os.environ | self.environment
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    def start(self) -> Self:
        """Configure and start the daemons; returns when the node is idle."""
        self._configure()
        key, socket_file = self.folder / "munge.key", self.folder / "munge.socket"
        subprocess.run(["mungekey", "--create", f"--keyfile={key}"], check=True)
        places = [f"--{name}-file={self.folder / f'munge.{name}'}" for name in ("pid", "log", "seed")]
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket_file}", *places)
        self._wait_for("munge's socket", socket_file.exists)
        self._daemon("slurmctld", "-D", "-c", "-i")
        self._daemon("slurmd", "-D", "-c")
        self._wait_for("an idle node", self._is_idle)
        return self

    def stop(self) -> None:
        """Cancel what is in the queue and end the daemons."""
        if self._is_idle(ever=True):
            subprocess.run(["scancel", "--user", getpass.getuser()], env=os.environ | self.environment, check=False)
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()

    def _configure(self):
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        host = socket.gethostname().split(".")[0]
        ports = dict(zip(("controller_port", "node_port"), free_ports(2), strict=True))
        text = CONFIGURATION.format(host=host, user=getpass.getuser(), folder=self.folder, cpus=os.cpu_count(), **ports)
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")

    def _daemon(self, *command):
        with (self.folder / f"{command[0]}.out").open("wb") as log:
            daemon = subprocess.Popen(command, env=os.environ | self.environment, stdout=log, stderr=log)
        self._daemons.append(daemon)

    def _is_idle(self, *, ever=False):
        reply = subprocess.run(
            ["sinfo", "-h", "-o", "%T", "-p", "cpu"],
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return reply.returncode == 0 if ever else reply.stdout.strip() == "idle"

    def _wait_for(self, what, there, seconds=60.0):
        end = time.monotonic() + seconds
        while not there():
            dead = [daemon.args[0] for daemon in self._daemons if daemon.poll() is not None]
            if dead or time.monotonic() > end:
                logs = "\n".join(path.read_text() for path in self.folder.glob("*.out"))
                raise NoSlurmError(f"no {what} ({', '.join(dead) or 'time'} is over): {logs[-2000:]}")
            time.sleep(0.1)

    def __enter__(self) -> Self:
        # Ctrl-C in the middle of it leaves no daemons either.
        with ExitStack() as undo:
            undo.callback(self.stop)
            self.start()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def need_slurm() -> None:
    """Install Slurm where it is missing and may be: as root, from the distribution's packages.

    Raises
    ------
    NoSlurmError
        If it is missing all the same.
    """
    if not missing_programs():
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoSlurmError(f"no {', '.join(missing_programs())} here, and only root of a Debian may install them")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *PACKAGES]
    for arguments in (["update"], install):
        subprocess.run(["apt-get", "-qq", *arguments], env=environment, capture_output=True, check=False)
    if missing := missing_programs():
        raise NoSlurmError(f"apt-get did not install {', '.join(missing)}")


def missing_programs() -> list[str]:
    """Which of Slurm's programs are not here."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
