"""The command that starts VASP, and whether this machine has it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

from definet_flows.engines.vasp.running import tether
from definet_flows.engines.vasp.settings import VaspSettings
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from atomate2.settings import Atomate2Settings


def vasp_commands(settings: VaspSettings, machine: Atomate2Settings | None = None) -> tuple[str, str]:
    """What starts VASP and its Γ-only version: of the settings, else of the machine's (VASP_CMD).

    Parameters
    ----------
    settings
        Of the engine.
    machine
        atomate2's settings; by default those that it has in this process.
    """
    if machine is None:
        from atomate2 import SETTINGS

        machine = SETTINGS
    plain = settings.vasp_cmd or machine.VASP_CMD
    gamma = settings.vasp_gamma_cmd or (plain if settings.vasp_cmd else machine.VASP_GAMMA_CMD)
    return plain, gamma


def check_command(settings: VaspSettings) -> None:
    """See that VASP can be started; custodian takes the command for several k-points where there is none for Γ alone.

    Raises
    ------
    InputError
        If there is no such program; the message says where to name another.
    """
    command, _ = vasp_commands(settings)
    words = shlex.split(os.path.expandvars(command))
    if not words or shutil.which(words[0]) is None:
        raise InputError(
            f"VASP cannot be started: there is no command '{command}' on this machine; set vasp_cmd under engine in the campaign "
            "file (for example vasp_cmd: srun vasp_std), or VASP_CMD in ~/.atomate2.yaml."
        )


def tethered(command: str) -> str:
    """A command that ends when the process that starts it ends.

    Parameters
    ----------
    command
        Starts VASP.
    """
    return f"{shlex.join([sys.executable, '-I', tether.__file__])} {command}"
