"""Launchers forked from this process, which has everything imported, so that hundreds of them may die in minutes."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

from pymongo.collection import Collection

WRITES = (
    *("insert_one", "insert_many", "update_one", "update_many", "replace_one", "delete_one", "delete_many"),
    *("find_one_and_update", "find_one_and_replace", "bulk_write"),
)
"""Methods of a collection that change something."""

LOCK_SECONDS = 30.0
"""After which a launcher gives up waiting for a workflow that is locked; longer than `recover` takes to free it."""

PR_SET_PDEATHSIG = 1
FORKING = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Fault:
    """What is wrong with one launcher.

    Attributes
    ----------
    dies_at_write
        It kills itself instead of its so-manieth change of the database; 0 for never.
    only
        Method whose calls alone are counted as changes, such as ``bulk_write``, which puts something on record.
    clock_ahead
        s by which its clock is wrong.
    predicting
        Called with the markers of a batch before the network is, to raise or to kill.
    """

    dies_at_write: int = 0
    only: str = ""
    clock_ahead: float = 0.0
    predicting: object = None


class ForkedLauncher:
    """A process that runs what is ready for a category, until there is nothing or it dies.

    Parameters
    ----------
    configuration
        The configuration folder.
    folder
        Where its launches go.
    category
        ``gpu``, ``cpu``, or empty for everything.
    fault
        What is wrong with it.
    launches
        How many it runs at most.
    log
        Folder of its log; by default that of its launches.
    """

    def __init__(self, configuration, folder, category="", fault=Fault(), launches=1000, log=None):
        arguments = (configuration, Path(folder), category, fault, launches, Path(log or folder))
        self.process = FORKING.Process(target=_launch, args=arguments, daemon=False)
        self.process.start()

    @property
    def lives(self):
        return self.process.is_alive()

    def kill(self):
        """``kill -9``, also of a launcher that is stopped."""
        self.process.kill()
        self.process.join()

    def wait(self, seconds=120.0):
        """Wait for its end; how it ended: 0, or minus the signal that killed it."""
        self.process.join(seconds)
        if self.process.is_alive():
            self.kill()
            raise TimeoutError("a launcher did not come to its end")
        return self.process.exitcode


def _launch(configuration, folder, category, fault, launches, place):
    """In the new process: connect anew, for connections do not survive a fork, and run what is ready."""
    code = 1
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody else would end it if its parent were killed
        place.mkdir(parents=True, exist_ok=True)
        with (place / "log").open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            warnings.simplefilter("ignore")  # as in any launcher, unlike in the test it was forked from
            _install(fault)
            _run(configuration, folder, category, launches)
        code = 0
    finally:  # the end of a process that must not go on with its parent's work; what was raised is in the log
        if code:
            traceback.print_exc()
        os._exit(code)


def _run(configuration, folder, category, launches):
    import jobflow
    from fireworks import FWorker
    from fireworks.core import rocket
    from fireworks.core.launchpad import WFLock
    from fireworks.core.rocket_launcher import launch_rocket

    from definet_flows.launch.fireworks.jobs import worker_store

    rocket.PING_TIME_SECS = 1
    # A launcher that has taken a job which another left in no workflow waits for that workflow's lock: five minutes by default.
    WFLock.__init__.__defaults__ = (LOCK_SECONDS, False)
    worker_store.cache_clear()
    jobflow.SETTINGS.JOB_STORE = configuration.job_store()
    launchpad = configuration.launchpad()
    for handler in launchpad.m_logger.handlers:
        handler.setLevel("WARNING")
    folder.mkdir(parents=True, exist_ok=True)
    worker = FWorker("soak", category=category)
    for _ in range(launches):
        here = folder / f"launch-{time.time_ns()}"
        here.mkdir()
        os.chdir(here)
        if not launch_rocket(launchpad, worker, strm_lvl="ERROR"):
            break


def _install(fault):
    if fault.dies_at_write:
        die_at_write(fault.dies_at_write, fault.only)
    if fault.clock_ahead:
        _move_clock(fault.clock_ahead)
    if fault.predicting is not None:
        _spoil_predictions(fault.predicting)


def die_at_write(number, only=""):
    done = 0

    def dying(method):
        def write(self, *arguments, **options):
            nonlocal done
            done += 1
            if done >= number:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(self, *arguments, **options)

        return write

    for name in [only] if only else WRITES:
        setattr(Collection, name, dying(getattr(Collection, name)))


def _move_clock(ahead):
    """Of FireWorks, which writes times into the launchpad, and of ours, which compares them with the database's."""
    import datetime as dt
    import types

    from fireworks.core import firework, launchpad

    from definet_flows.launch.fireworks import clock

    class Shifted(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime.now(tz) + dt.timedelta(seconds=ahead)

    shifted = types.SimpleNamespace(**(vars(dt) | {"datetime": Shifted}))
    firework.datetime = launchpad.datetime = shifted
    clock.time = types.SimpleNamespace(time=lambda: time.time() + ahead)


def _spoil_predictions(spoil):
    from definet_flows.definet import DefiNet

    original = DefiNet.displacements

    def displacements(self, numbers, markers, graph, start=None):
        spoil(numbers)
        return original(self, numbers, markers, graph, start)

    DefiNet.displacements = displacements
