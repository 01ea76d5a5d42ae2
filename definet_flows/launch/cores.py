"""How many relaxations a machine can run side by side."""

from __future__ import annotations

import os
from pathlib import Path

TOPOLOGY = Path("/sys/devices/system/cpu")


def physical_cores(topology: Path = TOPOLOGY) -> int:
    """Physical cores that this process may use; two hardware threads of one core count once.

    Parameters
    ----------
    topology
        Where Linux tells which hardware threads share a core; elsewhere every processor counts as a core.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = {_siblings(topology / f"cpu{cpu}" / "topology" / "thread_siblings_list", cpu) for cpu in allowed}
    return max(1, len(cores))


def _siblings(file: Path, cpu: int) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return str(cpu)
