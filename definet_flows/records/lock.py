"""One writer per results store: a lock file that names its owner and dies with it."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import json
import logging
import os
import socket
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from definet_flows.records.errors import StoreInUseError

# Where there is no such module (not a Unix), the owner's process id has to do.
_FCNTL: ModuleType | None = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None

logger = logging.getLogger(__name__)

_UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class StoreLock:
    """An exclusive hold on a folder, given up at `release` or by the death of the process.

    The kernel's file lock decides where the file system has one, so that a lock never outlives its owner. Where it has
    none, the process id written into the file does: it is stale once that process is gone.

    Parameters
    ----------
    path
        The lock file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; harmless where it is held already.

        Raises
        ------
        StoreInUseError
            If another process holds it; the message names the process.
        """
        if self._descriptor is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _kernel_lock(descriptor):
                _refuse_living_owner(self.path, descriptor)
            _tell_takeover(self.path, descriptor)
        except StoreInUseError:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_this_process()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock up; harmless where it is not held."""
        if self._descriptor is not None:
            # The file stays: removing it would let two processes lock two files of the same name.
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock, as far as the file tells: it is not tried, which would keep others from it.

    Parameters
    ----------
    path
        The lock file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        owner = _owner(descriptor)
    finally:
        os.close(descriptor)
    is_here = owner.get("host") == socket.gethostname()
    return bool(owner) and (not is_here or owner["pid"] == os.getpid() or _is_another(int(owner["pid"])))


def _kernel_lock(descriptor: int) -> bool:
    """Whether the kernel gave the lock; False also where it has no locks to give."""
    if _FCNTL is None:
        return False
    try:
        _FCNTL.flock(descriptor, _FCNTL.LOCK_EX | _FCNTL.LOCK_NB)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            raise _in_use(_owner(descriptor)) from error
        raise
    return True


def _refuse_living_owner(path: Path, descriptor: int) -> None:
    owner = _owner(descriptor)
    if not owner:
        return
    if owner.get("host") != socket.gethostname() or _is_another(int(owner["pid"])):
        raise _in_use(owner, path)


def _tell_takeover(path: Path, descriptor: int) -> None:
    owner = _owner(descriptor)
    if owner:
        logger.info("taking over %s from process %s, which ended without giving it up", path, owner["pid"])


def _is_another(pid: int) -> bool:
    """Whether a process id is that of a living process other than this one."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _this_process() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname()}


def _owner(descriptor: int) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        content = json.loads(os.pread(descriptor, 4096, 0))
        if isinstance(content, dict) and "pid" in content:
            return content
    return {}


def _in_use(owner: dict[str, Any], path: Path | None = None) -> StoreInUseError:
    who = f"process {owner['pid']} on {owner.get('host')}" if owner else "another process"
    cure = f", or remove {path} if that process is gone" if path else ""
    return StoreInUseError(f"These results are being written by {who}; wait for it or stop it{cure}.")
