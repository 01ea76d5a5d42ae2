"""What happens inside a worker process: one job at a time, and an end when its owner ends.

Imports stay light, because a worker sets its thread count and its log before any numerical library is loaded.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import warnings
from typing import TYPE_CHECKING, Any

from definet_flows.errors import BrokenDeviceError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from jobflow.core.maker import Maker

    from definet_flows.jobs import ModelSettings
    from definet_flows.records.documents import ModelSummary


def begin(owner: Connection, log_file: Path) -> None:
    """Prepare this process.

    Parameters
    ----------
    owner
        Nothing is ever sent over it: it closes when the owner wants this process gone, or dies itself.
    log_file
        Where everything goes that jobs print.
    """
    # Ctrl-C reaches the whole process group; the owner decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    os.close(descriptor)
    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()


def _end_with(owner: Connection) -> None:
    try:
        owner.recv()
    except (EOFError, OSError):
        pass
    finally:
        os._exit(1)


def run_job(maker: Maker, *arguments: Any) -> Any:
    """Run one jobflow job and return its output.

    Parameters
    ----------
    maker
        Makes the job.
    arguments
        Of its ``make``.

    Returns
    -------
    object
        The job's output, arrays included.
    """
    from jobflow.core.store import JobStore
    from jobflow.managers.local import run_locally
    from maggma.stores import MemoryStore

    work = maker.make(*arguments)
    store = JobStore(MemoryStore(work.uuid), additional_stores={"data": MemoryStore(f"{work.uuid}-arrays")})
    with warnings.catch_warnings():
        # jobflow calls a function of monty that is to go in 2028.
        warnings.filterwarnings("ignore", message="cd is deprecated", category=FutureWarning)
        try:
            run_locally(work, store=store, log=False, raise_immediately=True)
        except BrokenDeviceError:
            traceback.print_exc()
            os._exit(1)  # the next task gets another process, with a device that works
    return store.get_output(work.uuid, load=True)


def describe_model(model: ModelSettings) -> tuple[ModelSummary, str]:
    """Load a checkpoint.

    Returns
    -------
    tuple
        Its name and hashes, and the kind of device it runs on (``cpu`` or ``cuda``).
    """
    return model.summary(), model.prerelaxer().device.type
