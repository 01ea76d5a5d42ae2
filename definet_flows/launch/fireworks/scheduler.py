"""What the queueing system of this machine knows of a launch: that its job lives, or that it is gone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

Fate = Literal["alive", "gone"]

SECONDS = 30.0
"""After which a queueing system that does not answer is not asked again."""

_JOBS = {"slurm": ["squeue", "-h", "-t", "all", "-o", "%i %T"], "pbs": ["qstat"]}
_NODES = {"slurm": ["sinfo", "-h", "-N", "-o", "%n"], "pbs": ["pbsnodes", "-a"]}
_CANCEL = {"slurm": ["scancel"], "pbs": ["qdel"]}
_ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("REVOKED", "TIMEOUT", "C", "F"),
}
"""States of a job that will not run any more; of PBS, the letters that its variants use."""


@dataclass(frozen=True)
class Launch:
    """Where a launch of a Firework is, as the launchpad has it.

    Attributes
    ----------
    job
        Its job in the queue; None where it was started by hand.
    host
        The machine it runs on, or the one that put it into the queue.
    directory
        Its own.
    """

    job: str | None
    host: str
    directory: str

    @classmethod
    def from_document(cls, content: dict[str, Any]) -> Launch:
        """The launch of a document of FireWorks."""
        jobs = [entry["reservation_id"] for entry in content["state_history"] if entry.get("reservation_id")]
        return cls(str(jobs[-1]) if jobs else None, content.get("host") or "", content.get("launch_dir") or "")


class Scheduler:
    """The queueing system, asked at most once for each of its lists.

    Parameters
    ----------
    kind
        ``slurm`` or ``pbs``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def fate_of(self, launch: Launch) -> tuple[Fate, str] | None:
        """Whether the job of a launch lives or is gone, and what the queue calls it; None where it cannot tell.

        Another cluster may have jobs of the same numbers, and other users' jobs may be hidden: only a job that was started
        by this user, on a machine of this cluster, in a directory that is seen from here, can be missed.

        Parameters
        ----------
        launch
            The launch.
        """
        if launch.job is None or self._jobs is None or not self._is_ours(launch):
            return None
        state = self._jobs.get(launch.job)
        if state is None:
            return "gone", f"job {launch.job} is no longer in the queue"
        return ("gone", f"the queue says {state} of job {launch.job}") if state in _ENDED else ("alive", state)

    def cancel(self, launch: Launch) -> bool | None:
        """Take the job of a launch out of the queue; whether that could be done, None where it has none.

        Parameters
        ----------
        launch
            The launch.
        """
        fate = self.fate_of(launch)
        if launch.job is None or (fate is not None and fate[0] == "gone"):
            return None
        return fate is not None and _told([*_CANCEL[self.kind], launch.job]) is not None

    def _is_ours(self, launch: Launch) -> bool:
        try:
            is_own = Path(launch.directory).stat().st_uid == os.getuid()
        except OSError:
            return False
        return is_own and _short(launch.host) in self._machines

    @cached_property
    def _jobs(self) -> dict[str, str] | None:
        """State of each job by its number."""
        told = _told(_JOBS[self.kind])
        if told is None:
            return None
        rows = [line.split() for line in told.splitlines()]
        # qstat's last column is the queue and the one before it the state, whatever stands between.
        place = 1 if self.kind == "slurm" else -2
        return {row[0].split(".")[0]: row[place] for row in rows if len(row) >= 2 and row[0][0].isdigit()}

    @cached_property
    def _machines(self) -> set[str]:
        """Names of the machine we are on and of the nodes of its queues."""
        told = _told(_NODES[self.kind]) or ""
        return {_short(socket.gethostname()), *(_short(line) for line in told.splitlines() if line[:1].strip())}


def _short(host: str) -> str:
    return host.strip().split(".")[0]


def _told(command: list[str]) -> str | None:
    """What a command prints; None where it is absent, fails or hangs."""
    if shutil.which(command[0]) is None:
        return None
    try:
        reply = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired:
        return None
    return reply.stdout if reply.returncode == 0 else None
