"""How a training can end before its time, each end in one sentence."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from definet_flows.definet.prerelaxer import is_out_of_memory
from definet_flows.errors import DefinetFlowsError
from definet_flows.training.state import LAST_STATE

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


class TrainingError(DefinetFlowsError):
    """A training ended before its time; the message says what is kept and how to go on."""


class TrainingInterruptedError(TrainingError):
    """A training was told to stop."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class LossNotFinite(TrainingError):  # noqa: N818  what happened, not yet what to do about it
    """The loss became infinite or not a number."""


class TooLittleMemory(TrainingError):  # noqa: N818  the same
    """The training does not fit into the memory."""


class _Stop(BaseException):
    """Raised by the signal handler; no `except Exception` on the way can hold it up."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


@contextmanager
def failing_in_one_sentence(folder: Path) -> Iterator[None]:
    """Turn signals, a full disk, too little memory and a killed process into a sentence each, while a training runs.

    Parameters
    ----------
    folder
        Where the training keeps its state.

    Raises
    ------
    TrainingError
        Says what happened.
    """
    with _signals_raised():
        try:
            yield
        except _Stop as stop:
            raise _interrupted(folder, stop.signum) from None
        except SIGTERMException:  # Lightning's, a batch later: Python drops what a handler raises amid a destructor
            raise _interrupted(folder, signal.SIGTERM) from None
        except OSError as error:
            raise TrainingError(
                f"The training's state cannot be written to {folder} ({error.strerror or error}); make room and go on with "
                "--resume."
            ) from error
        except (RuntimeError, MemoryError) as error:  # on a CPU, torch has no error of its own for it
            if not is_out_of_memory(error):
                raise
            raise TooLittleMemory(
                "The training does not fit into the memory; lower batch_size, raise accumulate."
            ) from error
        except ProcessExitedException as error:
            raise TrainingError(f"A training process was killed ({error}); go on with --resume.") from error


@contextmanager
def _signals_raised() -> Iterator[None]:
    """Let SIGTERM and SIGINT raise; Lightning would end the program itself after either."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, _raise_stop) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _raise_stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  a signal handler's signature
    raise _Stop(signum)


def _interrupted(folder: Path, signum: int) -> TrainingInterruptedError:
    kept = (folder / LAST_STATE).is_file()
    advice = (
        f"the last finished epoch is kept in {folder}, go on with --resume"
        if kept
        else "no epoch was finished, start it again"
    )
    name = signal.Signals(signum).name
    code = INTERRUPTED if signum == signal.SIGINT else TrainingError.exit_code
    return TrainingInterruptedError(f"The training was interrupted ({name}): {advice}.", code)


def of_another_process(error: ProcessRaisedException) -> TrainingError:
    """What went wrong in a process that trains, from the last line of the traceback that it sent."""
    last = str(error).strip().splitlines()[-1]
    kind, _, message = last.partition(": ")
    if kind.endswith(LossNotFinite.__name__):
        return LossNotFinite(message)
    return TrainingError(f"A training process failed ({last}); see to that and go on with --resume.")
