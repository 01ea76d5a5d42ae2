"""Whether the queueing system is here, and takes the jobs that the adapter files describe."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from definet_flows.errors import InputError
from definet_flows.launch.doctor.findings import Finding, Subject, failed, not_set_up, passed, warned
from definet_flows.launch.hpc.folder import ConfigFolder

if TYPE_CHECKING:
    from fireworks.queue.queue_adapter import QueueAdapterBase

SECONDS = 30.0
"""After which a queueing system that does not answer is given up."""


def check(subject: Subject) -> Iterator[Finding]:
    """Each adapter file, its commands, and the queue's own opinion of it."""
    folder = subject.folder
    if folder is None or not folder.adapter_files:
        yield not_set_up("adapter files", "definet-flows hpc init writes qadapter-gpu.yaml and qadapter-cpu.yaml")
        return
    for file in folder.adapter_files:
        yield from check_adapter(folder, file)


def check_adapter(folder: ConfigFolder, file: Path) -> Iterator[Finding]:
    """One adapter file.

    Parameters
    ----------
    folder
        The configuration.
    file
        In it.
    """
    try:
        adapter = folder.adapter(file)
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            script = adapter.get_script_str(str(folder.path))
    except ImportError as error:
        yield failed(file.name, f"needs {error.name}", "pip install 'definet-flows[fireworks]'")
        return
    except (InputError, KeyError, TypeError, ValueError, OSError) as error:
        yield failed(file.name, f"{file} cannot be used ({error})", "correct it, or hpc init --force writes it anew")
        return
    for warning in noted:
        yield warned(file.name, str(warning.message).split(",")[0], f"correct the key in {file}")
    yield from _launch_command(file, adapter)
    missing = [name for name in adapter.q_commands[adapter.q_type].values() if shutil.which(name) is None]
    if missing:
        yield failed(
            file.name,
            f"{adapter.q_type} jobs cannot be submitted here: there is no {' and no '.join(missing)}",
            "run this on a login node of the cluster, or correct _fw_q_type",
        )
        return
    yield asked_queue(file, adapter, script)


def asked_queue(file: Path, adapter: QueueAdapterBase, script: str) -> Finding:
    """What the queueing system says of a job that is not submitted.

    Parameters
    ----------
    file, adapter
        The adapter.
    script
        A job's script made with it.
    """
    queue = adapter.get("queue")
    if adapter.q_type == "SLURM":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "job.sh")
            path.write_text(script, encoding="utf-8")
            accepted, message = _told([adapter.q_commands["SLURM"]["submit_cmd"], "--test-only", str(path)])
    elif adapter.q_type == "PBS" and queue:
        # PBS cannot be asked about a job without submitting it.
        accepted, message = _told([adapter.q_commands["PBS"]["status_cmd"], "-Q", queue])
    else:
        return warned(file.name, f"{adapter.q_type} cannot be asked whether it takes such a job", "submit one by hand")
    if accepted:
        return passed(file.name, f"{adapter.q_type} accepts its jobs in {queue or 'the default queue'}")
    return failed(file.name, f'{adapter.q_type} rejects its jobs: "{message}"', f"correct {file}")


def _launch_command(file: Path, adapter: QueueAdapterBase) -> Iterator[Finding]:
    words = shlex.split(adapter.get("rocket_launch") or "")
    if "--offline" in words:
        yield failed(
            file.name, "FireWorks' offline mode does not work", f"take --offline out of rocket_launch in {file}"
        )
    if "singleshot" not in words:
        yield warned(
            file.name,
            "its jobs take any calculations, so that none has queue settings of its own",
            f"end rocket_launch in {file} with singleshot",
        )
    files = [following for option, following in pairwise(words) if option in {"-l", "-w"}]
    for missing in (name for name in files if not Path(name).is_file()):
        yield failed(file.name, f"its jobs look for {missing}, which is not there", f"correct rocket_launch in {file}")


def _told(command: list[str]) -> tuple[bool, str]:
    """Whether a command succeeded, and what it said otherwise."""
    try:
        reply = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired:
        return False, f"no answer to {command[0]} within {SECONDS:.0f} s"
    return reply.returncode == 0, " ".join((reply.stderr or reply.stdout).split())
