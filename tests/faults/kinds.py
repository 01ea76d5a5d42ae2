"""The kinds of faults, how often each, and what a launcher of the GPU does wrong in some of them."""

from __future__ import annotations

import os
import signal

import torch

KILLED, BETWEEN, RECOVERY = (
    "launcher killed at a random moment",
    "launcher killed between two changes",
    "recovery killed",
)
CANCELLED, TIMED_OUT = QUEUED = "queue job cancelled", "queue job timed out"
DATABASE, DISK = "database killed and restarted", "scratch disk full"
POISONED, BROKEN, MEMORY = "configuration that kills its batch", "configuration that breaks the GPU", "out of memory"
AGAIN, CLOCK = "submitted again, twice at once", "launcher whose clock is hours off"
SHARES = {
    BETWEEN: 0.18,
    KILLED: 0.16,
    RECOVERY: 0.08,
    CANCELLED: 0.08,
    TIMED_OUT: 0.07,
    DATABASE: 0.08,
    DISK: 0.08,
    POISONED: 0.02,
    BROKEN: 0.02,
    MEMORY: 0.06,
    AGAIN: 0.08,
    CLOCK: 0.09,
}
"""Share of each kind among all faults: small where a campaign has room for one."""

NICKEL = 28


def kills_at_nickel(fired):
    def spoil(numbers):
        if (numbers == NICKEL).any():
            fired.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return spoil


def breaks_at_nickel(fired):
    def spoil(numbers):
        if (numbers == NICKEL).any():
            fired.touch()
            raise RuntimeError("CUDA error: device-side assert triggered")

    return spoil


def runs_out_of_memory(fired):
    def spoil(numbers):
        if len(numbers) > 1:
            fired.touch()
            raise torch.OutOfMemoryError("CUDA out of memory.")

    return spoil


SPOILERS = {POISONED: kills_at_nickel, BROKEN: breaks_at_nickel, MEMORY: runs_out_of_memory}
"""What a launcher of the GPU does wrong, by kind."""
