"""The environment the database runs in, made once and kept: it needs a newer Python than we do."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".venv-mongo"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NEEDED = (3, 13)


class NoDatabaseError(Exception):
    """There is no database to test with; the message says why."""


@cache
def database_python() -> Path:
    """The Python of an environment with what requirements.txt names; test workers at once make it once."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = FOLDER / REQUIREMENTS.read_text().split("==")[1].strip()
        python = environment / "bin" / "python"
        if not (environment / "ready").exists():
            _make(environment, python)
        return python


def _make(environment, python):
    base = _new_python()
    if base is None:
        raise NoDatabaseError(
            f"no Python {'.'.join(map(str, NEEDED))} or newer on PATH or among pyenv's to run the test database with"
            " (TEST_MONGO_URI names a MongoDB instead)"
        )
    subprocess.run([base, "-m", "venv", "--clear", environment], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]
    reply = subprocess.run(install, capture_output=True, text=True, check=False)
    if reply.returncode:
        raise NoDatabaseError(f"the test database could not be installed: {reply.stderr.strip().splitlines()[-1]}")
    (environment / "ready").touch()


def _new_python():
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = [shutil.which(name) for name in ("python3.13", "python3.14", "python3")]
    candidates = [sys.executable, *filter(None, on_path), *sorted(map(str, pyenv.glob("versions/*/bin/python")))]
    return next((candidate for candidate in candidates if _is_new(candidate)), None)


def _is_new(python):
    """Asked of the program itself: pyenv's shims of versions that are not selected exist and fail."""
    question = f"import sys; sys.exit(sys.version_info < {NEEDED})"
    return subprocess.run([python, "-c", question], capture_output=True, check=False).returncode == 0
