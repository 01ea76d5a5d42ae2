"""Functions that worker processes are asked to call; importable by path there."""

# ruff: noqa: T201  what is printed is what tests look for
from __future__ import annotations

import os
import signal
import time


def double(number):
    return 2 * number


def fail(text):
    raise ValueError(text)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(folder):
    marker = folder / "died"
    if not marker.exists():
        marker.touch()
        die()
    return "alive"


def die_unless_alone(folder):
    """Die where another call of this function is under way."""
    with (folder / "calls").open("a") as calls:
        calls.write("+")
    time.sleep(0.5)
    content = (folder / "calls").read_text()
    if content.count("+") - content.count("-") > 1:
        (folder / "calls").write_text("")
        die()
    with (folder / "calls").open("a") as calls:
        calls.write("-")
    return "alone"


def shout(text):
    print(text, flush=True)
    return os.environ["OMP_NUM_THREADS"]


def wait_for(seconds):
    time.sleep(seconds)
    return os.getpid()
