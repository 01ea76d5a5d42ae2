"""The command that starts VASP, and whether this machine has it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys

from definet_flows.engines.vasp.running import tether
from definet_flows.engines.vasp.settings import VaspSettings
from definet_flows.errors import InputError


def vasp_commands(settings: VaspSettings) -> tuple[str, str]:
    """What starts VASP and its Γ-only version: of the settings, else of atomate2's own (VASP_CMD)."""
    from atomate2 import SETTINGS

    plain = settings.vasp_cmd or SETTINGS.VASP_CMD
    gamma = settings.vasp_gamma_cmd or (plain if settings.vasp_cmd else SETTINGS.VASP_GAMMA_CMD)
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
