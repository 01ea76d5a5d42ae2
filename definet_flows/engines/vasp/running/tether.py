"""Starts a command that ends when the process that started it ends, so that no killed worker leaves VASP running.

Run as a script: ``python tether.py COMMAND ...``. Only Linux can do this; elsewhere the command is simply started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> None:
    """Become the command, to be ended with SIGTERM when the parent process ends."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606  the command of the campaign file


if __name__ == "__main__":
    main(sys.argv[1:])
