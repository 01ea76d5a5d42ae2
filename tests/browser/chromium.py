"""A headless Chromium of the distribution, installed where it is missing and may be."""

from __future__ import annotations

import os
import shutil
import subprocess

PROGRAMS = ("chromium", "google-chrome", "chromium-browser")
PACKAGE = "chromium"
SWITCHES = ("--disable-gpu", "--enable-unsafe-swiftshader", "--disable-dev-shm-usage")
"""WebGL is drawn by the processor; there is no graphics card to rely on."""


class NoChromiumError(Exception):
    """There is no Chromium to test with; the message says why."""


def need_chromium() -> str:
    """Path of the browser, installed first where it is missing and may be: as root, from the distribution's packages.

    Raises
    ------
    NoChromiumError
        If it is missing all the same.
    """
    if found := _found():
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoChromiumError(f"no {' or '.join(PROGRAMS)} here, and only root of a Debian may install it")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = [
        "install",
        "-y",
        "--no-install-recommends",
        "-o",
        "DPkg::Lock::Timeout=300",
        PACKAGE,
        "fonts-dejavu-core",
    ]
    for arguments in (["update"], install):
        subprocess.run(["apt-get", "-qq", *arguments], env=environment, capture_output=True, check=False)
    if found := _found():
        return found
    raise NoChromiumError(f"apt-get did not install {PACKAGE}")


def switches() -> list[str]:
    """What the browser is started with; root may only start it without its sandbox."""
    return [*SWITCHES, *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def _found() -> str | None:
    return next((path for program in PROGRAMS if (path := shutil.which(program))), None)
