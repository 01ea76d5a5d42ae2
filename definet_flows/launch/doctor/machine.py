"""Whether this machine can predict on a GPU, and has room to write."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from definet_flows.launch.doctor.findings import Finding, Subject, failed, not_set_up, passed, warned
from definet_flows.settings import settings

GIB = 2**30
FREE_WARNED, FREE_FAILED = 20 * GIB, 1 * GIB
"""B; a VASP run writes a few hundred MB, a campaign has thousands of which a queue's worth is open at once."""


def check(subject: Subject) -> Iterator[Finding]:
    """The GPU and torch's build, and the folders that jobs write to."""
    yield check_gpu()
    yield check_room("temporary files", Path(tempfile.gettempdir()))
    launches = settings().launch_dir
    if launches is None:
        where = f"source {subject.folder.path}/env.sh" if subject.folder else "definet-flows hpc init --launch-dir"
        yield not_set_up("launch directory", where)
    else:
        yield check_room("launch directory", launches)


def check_gpu() -> Finding:
    """What torch was built for, and whether its GPU calculates."""
    import torch

    if not torch.cuda.is_available():
        return _without_gpu(torch.__version__, torch.version.cuda or torch.version.hip)
    try:
        total = float(torch.ones(8, device="cuda").sum())
    except RuntimeError as error:
        return failed("GPU", f"it does not calculate ({str(error).splitlines()[0]})", "install torch for this GPU")
    name, memory = torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory / GIB
    described = f"{name}, {memory:.0f} GiB, torch {torch.__version__}"
    return passed("GPU", described) if total == 8.0 else failed("GPU", f"{described} adds wrongly", "have it checked")


def _without_gpu(version: str, build: str | None) -> Finding:
    has_driver = shutil.which("nvidia-smi") is not None
    if build is not None:
        message = f"torch {version} finds no GPU here"
        if has_driver:
            return failed("GPU", f"{message} beside NVIDIA's driver", "install torch for the driver's CUDA version")
        return passed("GPU", f"{message}; a login node has none")
    message, remedy = f"torch {version} is built for CPUs only", "install torch for CUDA from pytorch.org"
    if has_driver:
        return failed("GPU", f"{message}, but this machine has an NVIDIA GPU", remedy)
    return warned("GPU", message, f"{remedy}, if GPU jobs are to use GPUs")


def check_room(name: str, folder: Path) -> Finding:
    """Whether a folder can be written to and its disk has room.

    Parameters
    ----------
    name
        What the folder is for.
    folder
        The folder; where it is missing, the one it would be made in.
    """
    existing = next(path for path in (folder, *folder.resolve().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(bytes(2**20))
            file.flush()
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return failed(name, f"{existing} cannot be written to ({error.strerror})", "name another, or free some space")
    message = f"{free / GIB:.0f} GiB free in {existing}"
    if free < FREE_WARNED:
        remedy = "free some space, or name a folder on a larger file system"
        return failed(name, message, remedy) if free < FREE_FAILED else warned(name, message, remedy)
    return passed(name, message)
