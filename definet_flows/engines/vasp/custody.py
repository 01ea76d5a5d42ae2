"""How custodian watches VASP: which errors it may correct, and how VASP is started and stopped."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import shutil
import sys
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
from custodian.vasp.io import load_vasprun

from definet_flows.engines.vasp import tether
from definet_flows.engines.vasp.settings import VaspEngine
from definet_flows.errors import DefinetFlowsError, InputError

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
        """Whether the last self-consistency cycle did not converge."""
        try:
            return not load_vasprun(str(Path(directory) / self.output_filename)).converged_electronic
        # What the parser raises on a file cut short is as varied as the cuts; such a file is the validators' affair.
        except Exception:  # noqa: BLE001
            return False


def handlers(engine: VaspEngine) -> list[ErrorHandler]:
    """What custodian may correct, the same for both starts: nothing that changes the smearing, the k-points or the cell."""
    watching = [
        SafeErrorHandler(),
        ElectronicErrorHandler(),
        NonConvergingErrorHandler(),
        PotimErrorHandler(),
        PositiveEnergyErrorHandler(),
        FrozenJobErrorHandler(timeout=engine.frozen_seconds),
        StdErrHandler(),
    ]
    left = seconds_left(engine)
    if left is not None:
        walltime = WalltimeHandler(wall_time=left, buffer_time=engine.walltime_buffer)
        # It takes the start of the first run in this process for that of the queue's job.
        walltime.start_time = dt.datetime.now()  # noqa: DTZ005  it compares local times
        watching.append(walltime)
    return watching


def seconds_left(engine: VaspEngine) -> float | None:
    """Time until the wall time ends, s; None without one.

    Raises
    ------
    WalltimeError
        If nothing can be started any more.
    """
    if engine.walltime is None:
        return None
    left = engine.walltime if engine.deadline is None else engine.deadline - time.time()
    if left <= engine.walltime_buffer:
        raise WalltimeError(
            f"The wall time of {engine.walltime} s is nearly over, so nothing more is started; give the same command again in "
            "another job, and what was under way goes on where it stopped."
        )
    return left


def vasp_commands(engine: VaspEngine) -> tuple[str, str]:
    """What starts VASP and its Γ-only version.

    Raises
    ------
    InputError
        If the command does not exist.
    """
    from atomate2 import SETTINGS

    plain = engine.vasp_cmd or SETTINGS.VASP_CMD
    gamma = engine.vasp_gamma_cmd or (plain if engine.vasp_cmd else SETTINGS.VASP_GAMMA_CMD)
    return _tethered(plain), _tethered(gamma)


def check_command(engine: VaspEngine) -> None:
    """See that VASP can be started; errors as for `vasp_commands`."""
    from atomate2 import SETTINGS

    command = engine.vasp_cmd or SETTINGS.VASP_CMD
    words = shlex.split(os.path.expandvars(command))
    if not words or shutil.which(words[0]) is None:
        raise InputError(
            f"VASP cannot be started: there is no command '{command}' on this machine; set vasp_cmd under engine in the campaign "
            "file (for example vasp_cmd: srun vasp_std), or VASP_CMD in ~/.atomate2.yaml."
        )


def run_arguments(engine: VaspEngine) -> dict[str, Any]:
    """Arguments of atomate2's ``run_vasp``."""
    plain, gamma = vasp_commands(engine)
    return {
        "vasp_cmd": plain,
        "vasp_gamma_cmd": gamma,
        "max_errors": engine.max_errors,
        "handlers": handlers(engine),
        "custodian_kwargs": {
            "polling_time_step": engine.poll_seconds,
            "monitor_freq": max(1, round(engine.monitor_seconds / engine.poll_seconds)),
            # A handler that cannot read a broken file is noted, and the others go on.
            "skip_over_errors": True,
        },
    }


def _tethered(command: str) -> str:
    return f"{shlex.join([sys.executable, '-I', tether.__file__])} {command}"
