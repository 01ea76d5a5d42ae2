"""How custodian watches VASP: which errors it may correct, and when it stops a run."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

from custodian.custodian import ErrorHandler
from custodian.vasp.handlers import (
    FrozenJobErrorHandler,
    NonConvergingErrorHandler,
    PositiveEnergyErrorHandler,
    PotimErrorHandler,
    StdErrHandler,
    UnconvergedErrorHandler,
    VaspErrorHandler,
    WalltimeHandler,
)

from definet_flows.engines.vasp.outputs.vasprun import read_vasprun
from definet_flows.engines.vasp.running.command import tethered, vasp_commands
from definet_flows.engines.vasp.settings import VaspSettings
from definet_flows.errors import DefinetFlowsError

_CHANGE_THE_CELL = {"zpotrf", "triple_product"}


class WalltimeError(DefinetFlowsError):
    """The wall time is over; what was under way goes on where it stopped when the same command is given again."""


class SafeErrorHandler(VaspErrorHandler):
    """Custodian's corrections less those that would change the cell or the k-points."""

    num_sites_kpoint_cutoff = 0

    def __init__(self, **_: Any) -> None:
        super().__init__(errors_subset_to_catch=[name for name in self.error_msgs if name not in _CHANGE_THE_CELL])


class ElectronicErrorHandler(UnconvergedErrorHandler):
    """Corrects a self-consistency cycle that did not converge.

    Custodian's own handler also restarts a relaxation that ran into NSW, with another optimiser: the two starts of a
    configuration would then be relaxed in different ways.
    """

    def check(self, directory: str = "./") -> bool:
        """Whether the last self-consistency cycle did not converge; a file that is cut off is the validators' affair."""
        try:
            with (Path(directory) / self.output_filename).open("rb") as content:
                report = read_vasprun(content)
        except OSError:  # VASP wrote none
            return False
        return bool(report.ended and report.steps) and report.steps[-1].electronic_converged is False


def handlers(settings: VaspSettings) -> list[ErrorHandler]:
    """What custodian may correct, the same for both starts: nothing that changes the smearing, the k-points or the cell."""
    watching = [
        SafeErrorHandler(),
        ElectronicErrorHandler(),
        NonConvergingErrorHandler(),
        PotimErrorHandler(),
        PositiveEnergyErrorHandler(),
        FrozenJobErrorHandler(timeout=settings.frozen_seconds),
        StdErrHandler(),
    ]
    left = seconds_left(settings)
    if left is not None:
        walltime = WalltimeHandler(wall_time=left, buffer_time=settings.walltime_buffer)
        # It takes the start of the first run in this process for that of the queue's job.
        walltime.start_time = dt.datetime.now()  # noqa: DTZ005  it compares local times
        watching.append(walltime)
    return watching


def seconds_left(settings: VaspSettings) -> float | None:
    """Time until the wall time ends, s; None without one.

    Raises
    ------
    WalltimeError
        If nothing can be started any more.
    """
    if settings.walltime is None:
        return None
    left = settings.walltime if settings.deadline is None else settings.deadline - time.time()
    if left <= settings.walltime_buffer:
        raise WalltimeError(
            f"The wall time of {settings.walltime} s is nearly over, so nothing more is started; give the same command again in "
            "another job, and what was under way goes on where it stopped."
        )
    return left


def run_arguments(settings: VaspSettings) -> dict[str, Any]:
    """Arguments of atomate2's ``run_vasp``."""
    plain, gamma = vasp_commands(settings)
    return {
        "vasp_cmd": tethered(plain),
        "vasp_gamma_cmd": tethered(gamma),
        "max_errors": settings.max_errors,
        "handlers": handlers(settings),
        "custodian_kwargs": {
            "polling_time_step": settings.poll_seconds,
            "monitor_freq": max(1, round(settings.monitor_seconds / settings.poll_seconds)),
            # A handler that cannot read a broken file is noted, and the others go on.
            "skip_over_errors": True,
        },
    }
