"""A file system of a few kilobytes, to be full; only root may mount one."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path


class NoDiskError(Exception):
    """There is none; the message says why."""


@contextlib.contextmanager
def small_disk(place: Path, size: str):
    """Mount one of a size such as ``64k``."""
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        reply = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NoDiskError("no program mount here") from error
    if reply.returncode:
        raise NoDiskError(f"no file system can be mounted here: {reply.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def fill(place: Path) -> Path:
    """Leave no room there; the file that takes it."""
    ballast = place / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
    return ballast
