"""Whether the configuration folder is complete, and closed to others."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from definet_flows.errors import InputError
from definet_flows.launch.doctor.findings import Finding, Subject, failed, not_set_up, passed, warned
from definet_flows.launch.hpc.folder import ATOMATE2, FW_CONFIG, JOBFLOW, LAUNCHPAD, ConfigFolder, read_mapping

FILES = (FW_CONFIG, LAUNCHPAD, JOBFLOW, ATOMATE2)
SECRETS = "secrets.sh"
HOW = "definet-flows hpc init writes a configuration"


def check(subject: Subject) -> Iterator[Finding]:
    """Files that are there and can be read, by their owner only, and whether the shell uses them."""
    folder = subject.folder
    if folder is None:
        yield not_set_up("folder", HOW)
        return
    for name in FILES:
        yield _file(folder, name)
    yield _modes(folder)
    yield _in_use(folder)
    yield from _overruled(folder)


def _file(folder: ConfigFolder, name: str) -> Finding:
    file = folder.path / name
    if not file.is_file():
        return warned(name, f"is missing in {folder.path}", f"{HOW}; --force replaces what is there")
    try:
        read_mapping(file)
    except InputError as error:
        return failed(name, str(error), "correct it, or hpc init --force writes it anew")
    return passed(name, str(file))


def _modes(folder: ConfigFolder) -> Finding:
    private = [
        folder.path / name for name in (*FILES, SECRETS, *(file.name for file in folder.worker_files))
    ] + folder.adapter_files
    others = stat.S_IRWXG | stat.S_IRWXO
    open_to_others = [file.name for file in private if file.is_file() and file.stat().st_mode & others]
    if not open_to_others:
        return passed("permissions", "nobody else can read the files")
    return warned(
        "permissions",
        f"others can read {', '.join(open_to_others)}",
        f"chmod 600 {' '.join(str(folder.path / name) for name in open_to_others)}",
    )


def _in_use(folder: ConfigFolder) -> Finding:
    used = os.environ.get("DEFINET_FLOWS_CONFIG_DIR")
    if used is None:
        return passed("folder", f"{folder.path}; FireWorks' own commands need: source {folder.path}/env.sh")
    if Path(used).expanduser().resolve() == folder.path:
        return passed("folder", str(folder.path))
    return warned("folder", f"is {folder.path}, but this shell uses {used}", f"source {folder.path}/env.sh")


def _overruled(folder: ConfigFolder) -> Iterator[Finding]:
    """FireWorks takes the settings it finds in these two places before those that FW_CONFIG_FILE names."""
    for place in (Path.cwd(), Path("~/.fireworks").expanduser()):
        if place != folder.path and (place / FW_CONFIG).is_file():
            yield warned(
                FW_CONFIG,
                f"FireWorks' commands take {place / FW_CONFIG} instead of the one in {folder.path}",
                f"rename {place / FW_CONFIG}, or copy into it what the other says",
            )
