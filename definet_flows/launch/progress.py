"""How far a campaign has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["host", "generate", "model", "prerelax", "relax"]


@dataclass(frozen=True)
class Progress:
    """One report.

    Attributes
    ----------
    stage
        What is being done: relaxing the pristine cell, listing configurations, loading the checkpoint, predicting,
        relaxing.
    done
        Pieces of this stage that are on record, those of earlier runs included.
    total
        Pieces of this stage.
    skipped
        Those that earlier runs had done.
    failed
        Those on record as failed.
    rate
        Pieces per second in this run; None before the first.
    seconds_left
        Estimated, s; None before the first.
    member
        Which of several hosts; empty where there is one.
    """

    stage: Stage
    done: int
    total: int
    skipped: int = 0
    failed: int = 0
    rate: float | None = None
    seconds_left: float | None = None
    member: str = ""


OnProgress = Callable[[Progress], None]


class Meter:
    """Counts the pieces of one stage and reports each.

    Parameters
    ----------
    stage
        The stage.
    total
        Its pieces.
    report
        Called with every report; None for nobody.
    skipped, failed
        Pieces that earlier runs had done, and those of them that failed.
    """

    def __init__(self, stage: Stage, total: int, report: OnProgress | None, skipped: int = 0, failed: int = 0) -> None:
        self.stage: Stage = stage
        self.total, self.skipped, self.failed = total, skipped, failed
        self.done = skipped
        self._report = report
        self._began = time.monotonic()
        self._tell()

    def count(self, pieces: int = 1, failed: int = 0) -> None:
        """Count pieces as done, some of them as failed."""
        self.done += pieces
        self.failed += failed
        self._tell()

    def _tell(self) -> None:
        if self._report is None:
            return
        elapsed, fresh = time.monotonic() - self._began, self.done - self.skipped
        rate = fresh / elapsed if fresh and elapsed > 0 else None
        left = (self.total - self.done) / rate if rate else None
        self._report(Progress(self.stage, self.done, self.total, self.skipped, self.failed, rate, left))
