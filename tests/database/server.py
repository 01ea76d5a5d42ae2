"""A database as a process that a test can stop, kill and start again."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

from tests.database.environment import database_python

SERVE = Path(__file__).with_name("serve.py")


class DatabaseServer:
    """A database in a process of its own, on SQLite: what was acknowledged is there again after `kill` and `start`.

    Parameters
    ----------
    folder
        Where its file lies.
    user
        Name and password of the only user it lets in; everyone by default.
    """

    def __init__(self, folder: Path, user: tuple[str, str] | None = None) -> None:
        self.folder = folder
        self.user = user
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def uri(self) -> str:
        """Its address, the same after a restart, without user and password."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def uri_of(self, user: str, password: str) -> str:
        """The address with a user and a password."""
        # It does not tell clients which mechanisms it knows, and the one they then choose fails on it.
        return self.uri.replace("//", f"//{user}:{password}@") + "&authMechanism=SCRAM-SHA-256"

    def start(self) -> Self:
        """Listen, on the same port as before; returns when it does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [database_python(), SERVE, self.folder, str(self.port), *(self.user or ())]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        told = self._process.stdout.readline()
        if not told:
            raise RuntimeError(f"the test database did not start: {(self.folder / 'log').read_text()}")
        self.port = int(told)
        return self

    def stop(self) -> None:
        """End it in order; harmless where it does not run."""
        self._end(kill=False)

    def kill(self) -> None:
        """End it at once, as ``kill -9`` or a power cut does."""
        self._end(kill=True)

    def _end(self, *, kill):
        if self._process is None:
            return
        if kill:
            self._process.kill()
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
