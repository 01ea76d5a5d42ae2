"""The compiled loops over edges: built once per machine with the system's C++ compiler, called through ctypes."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

LANES = 16
"""Channels the kernels take at a time; the number of channels must be a multiple."""

_SOURCE = Path(__file__).with_name("kernels.cpp")
_COMPILERS = ("c++", "g++", "clang++")
# Not -ffast-math: linking with it makes the whole process flush denormal numbers. Not-a-number keeps its meaning.
_FLAGS = (
    "-O3",
    "-march=native",
    "-fopenmp",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-fassociative-math",
    "-freciprocal-math",
    "-Wno-psabi",
    "-shared",
    "-fPIC",
)
_SECONDS = 120


class Kernels:
    """The functions of ``kernels.cpp`` on tensors.

    Every tensor must be contiguous, on the CPU, and float32 or int32 as the source says; this is checked, because the
    compiled code trusts it.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def __call__(self, name: str, *arguments: Tensor | float | None) -> None:
        """Call one function; a tensor goes as its address, None as a null pointer, int as int64, float as float."""
        getattr(self._library, name)(*[_argument(value) for value in arguments])


def _argument(value: Tensor | float | None) -> ctypes.c_void_p | ctypes.c_float | ctypes.c_int64 | None:
    if value is None:
        return None
    if isinstance(value, torch.Tensor):
        if value.device.type != "cpu" or value.dtype not in {torch.float32, torch.int32} or not value.is_contiguous():
            raise ValueError(f"a kernel takes contiguous float32 or int32 tensors on the CPU, not {value.dtype}")
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_int64(value) if isinstance(value, int) else ctypes.c_float(value)


@functools.cache
def load_kernels() -> Kernels | None:
    """Return the kernels, compiled on the first call on this machine (a second); None and a line in the log where that fails."""
    compiler = os.environ.get("CXX") or next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        logger.warning("no C++ compiler found (%s): predictions take the slower path", ", ".join(_COMPILERS))
        return None
    try:
        return Kernels(ctypes.CDLL(str(_built(compiler))))
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        logger.warning("%s cannot build the kernels (%s): predictions take the slower path", compiler, _brief(reason))
        return None


def _built(compiler: str) -> Path:
    """Return the shared library of this source, compiler and processor, from the user's cache if it is there."""
    content = (_SOURCE.read_text(), compiler, _FLAGS, platform.machine(), _processor())
    digest = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
    library = _cache() / f"kernels-{digest}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
            partial = Path(scratch) / library.name
            command = [*shlex.split(compiler), *_FLAGS, str(_SOURCE), "-o", str(partial)]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)  # noqa: S603
            partial.replace(library)  # whole or not at all, also where two processes build at once
    return library


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "definet-flows"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _processor() -> str:
    """Return what tells one kind of processor from another: a home directory may be shared by a cluster."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def _brief(reason: str) -> str:
    lines = [line for line in reason.splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"
