"""Worker processes that may die: each task's fate is known, and no death takes another task's result with it.

One executor of one process per worker, because an executor that loses one of several processes ends the others too and
cannot tell which task was to blame.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from definet_flows.errors import DefinetFlowsError
from definet_flows.launch.worker import begin

logger = logging.getLogger(__name__)

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
DEATHS_IN_A_ROW = 8
"""So many processes lost without a result between them mean that something is wrong with the machine, not with a task."""

KILLED = "its worker process was killed twice, the second time with the machine to itself (perhaps for lack of memory)"
"""Why a task has no result that was lost."""

Subject = TypeVar("Subject")


class WorkersDieError(DefinetFlowsError):
    """Worker processes are killed whatever they do."""


@dataclass(frozen=True)
class Task(Generic[Subject]):
    """A function to call in a worker.

    Attributes
    ----------
    subject
        What the caller knows it by.
    function
        Importable by name.
    arguments
        Picklable.
    """

    subject: Subject
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Outcome(Generic[Subject]):
    """What became of a task.

    Attributes
    ----------
    subject
        The task's.
    output
        What the function returned; None unless it returned.
    error
        What it raised.
    lost
        The worker process died at it, and again when it was tried once more alone.
    seconds
        Wall time of all attempts, s.
    """

    subject: Subject
    output: Any = None
    error: Exception | None = None
    lost: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class _Attempt(Generic[Subject]):
    task: Task[Subject]
    slot: _Slot
    began: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


class _Slot:
    """One worker process, replaced when it dies."""

    def __init__(self, threads: int, log_file: Path) -> None:
        self._threads = threads
        self._log_file = log_file
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        owner, self._hold = context.Pipe(duplex=False)
        initial = (owner, self._log_file)
        self._executor = ProcessPoolExecutor(1, mp_context=context, initializer=begin, initargs=initial)
        with _threads_in_environment(self._threads):
            self._executor.submit(os.getpid)  # starts the process, which takes the environment as it is now
        owner.close()

    def submit(self, task: Task[Any]) -> Future[Any]:
        try:
            return self._executor.submit(task.function, *task.arguments)
        except BrokenProcessPool:  # it died while it had nothing to do
            self.restart()
            return self._executor.submit(task.function, *task.arguments)

    def restart(self) -> None:
        self.stop()
        self._start()

    def stop(self) -> None:
        """End the process at once, whatever it is doing."""
        self._hold.close()
        self._executor.shutdown(wait=True, cancel_futures=True)


class WorkerPool:
    """Processes that work through tasks, one each at a time.

    Parameters
    ----------
    workers
        Number of processes.
    threads
        Threads that numerical libraries may use in each.
    log_file
        Where their output goes.
    """

    def __init__(self, workers: int, threads: int, log_file: Path) -> None:
        self._slots = [_Slot(threads, log_file) for _ in range(workers)]
        self._deaths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all processes at once; what they were doing is lost."""
        for slot in self._slots:
            slot.stop()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in a worker and return what it returns.

        Raises
        ------
        WorkersDieError
            If the process dies at it twice.
        Exception
            What the function raises.
        """
        (outcome,) = self.run([Task(None, function, arguments)])
        if outcome.error is not None:
            raise outcome.error
        if outcome.lost:
            raise WorkersDieError("A worker process was killed twice at the same task, perhaps for lack of memory.")
        return outcome.output

    def run(self, tasks: Iterable[Task[Subject]], at_once: int | None = None) -> Iterator[Outcome[Subject]]:
        """Work through tasks.

        A task whose process dies is tried once more when the others are done, alone, so that it has all the memory.

        Parameters
        ----------
        tasks
            Taken only as workers become free.
        at_once
            How many may be under way; all workers by default.

        Yields
        ------
        Outcome
            One per task, in the order they finish.

        Raises
        ------
        WorkersDieError
            If processes die one after the other without finishing anything.
        """
        lost: list[Outcome[Task[Subject]]] = []
        yield from self._round(iter(tasks), at_once or len(self._slots), lost)
        for first in lost:
            lost_again: list[Outcome[Task[Subject]]] = []
            for outcome in self._round(iter([first.subject]), 1, lost_again):
                yield replace(outcome, seconds=outcome.seconds + first.seconds)
            for second in lost_again:
                yield Outcome(second.subject.subject, lost=True, seconds=first.seconds + second.seconds)

    def _round(
        self, tasks: Iterator[Task[Subject]], at_once: int, lost: list[Outcome[Task[Subject]]]
    ) -> Iterator[Outcome[Subject]]:
        """Work through tasks; those whose process died go into `lost`."""
        free = self._slots[:at_once]
        pending: dict[Future[Any], _Attempt[Subject]] = {}
        while True:
            while free and (task := next(tasks, None)) is not None:
                slot = free.pop()
                pending[slot.submit(task)] = _Attempt(task, slot, time.monotonic())
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                attempt = pending.pop(future)
                outcome = self._outcome(future, attempt)
                free.append(attempt.slot)
                if outcome.lost:
                    lost.append(Outcome(attempt.task, lost=True, seconds=outcome.seconds))
                else:
                    yield outcome

    def _outcome(self, future: Future[Any], attempt: _Attempt[Subject]) -> Outcome[Subject]:
        subject, error = attempt.task.subject, future.exception()
        if isinstance(error, BrokenProcessPool):
            logger.warning("a worker process died at %s", subject)
            self._count_death()
            attempt.slot.restart()
            return Outcome(subject, lost=True, seconds=attempt.seconds)
        self._deaths = 0
        if error is None:
            return Outcome(subject, output=future.result(), seconds=attempt.seconds)
        caught = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
        return Outcome(subject, error=caught, seconds=attempt.seconds)

    def _count_death(self) -> None:
        self._deaths += 1
        if self._deaths >= DEATHS_IN_A_ROW:
            raise WorkersDieError(
                f"{self._deaths} worker processes in a row were killed, probably for lack of memory: "
                "give the same command fewer --workers."
            )


@contextmanager
def _threads_in_environment(threads: int) -> Iterator[None]:
    """Processes started meanwhile, and not this one, get so many threads."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
