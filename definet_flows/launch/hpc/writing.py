"""Writes the configuration folder of a cluster from templates that ship as files."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from definet_flows.errors import InputError
from definet_flows.launch.hpc.cluster import ClusterSettings, QueueSettings
from definet_flows.launch.hpc.credentials import PASSWORD_VARIABLE, USER_VARIABLE
from definet_flows.launch.hpc.folder import ATOMATE2, ENVIRONMENT, FW_CONFIG, JOBFLOW, LAUNCHPAD, SUBMIT
from definet_flows.settings import workflows_directory

TEMPLATES = "fireworks"
PBS_SCRIPT = "pbs-script.txt"
WORKERS = {
    "gpu": ("predict", "predictions of many configurations at once, on a GPU"),
    "cpu": ("relax", "relaxations, and the short jobs between them"),
}
_PLACEHOLDER = re.compile(r"@\{(\w+)\}")
_CONDITION = re.compile(r"^@(\w+)\?(.*\n?)$")


def write_configuration(cluster: ClusterSettings, folder: Path, *, force: bool = False) -> list[Path]:
    """Write a configuration folder; only its owner can read it.

    Parameters
    ----------
    cluster
        What is known of the cluster.
    folder
        Where it goes, made if absent.
    force
        Replace files that are there.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        If files are there already, or the folder cannot be written.
    """
    folder = folder.expanduser().resolve()
    contents = _contents(cluster, folder)
    there = sorted(name for name in contents if (folder / name).exists())
    if there and not force:
        raise InputError(f"{folder} has {', '.join(there)} already; nothing was written. --force replaces them.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        return [_write(folder / name, text) for name, text in contents.items()]
    except OSError as error:
        raise InputError(f"The configuration cannot be written to {folder} ({error.strerror}).") from error


def render(template: str, values: dict[str, Any]) -> str:
    """Fill in a template: ``@{name}`` is a value, and ``@name?`` begins a line that is only there if the value is true.

    Raises
    ------
    KeyError
        If a value is missing.
    """
    lines = []
    for line in template.splitlines(keepends=True):
        condition = _CONDITION.match(line)
        if condition is None or values[condition[1]]:
            lines.append(_PLACEHOLDER.sub(lambda found: str(values[found[1]]), condition[2] if condition else line))
    return "".join(lines)


def _contents(cluster: ClusterSettings, folder: Path) -> dict[str, str]:
    """Text of each file by its name."""
    values = _shared_values(cluster, folder)
    contents = {name: _filled(name, values) for name in (FW_CONFIG, LAUNCHPAD, JOBFLOW, ATOMATE2, ENVIRONMENT, SUBMIT)}
    for role, queue in (("gpu", cluster.gpu), ("cpu", cluster.cpu)):
        of_role = values | _values_of(role, queue, folder) | {"modules": role == "cpu" and bool(cluster.modules)}
        contents[f"worker-{role}.yaml"] = _filled("worker.yaml", of_role)
        contents[f"qadapter-{role}.yaml"] = _filled(f"qadapter-{cluster.scheduler}.yaml", of_role)
    if cluster.scheduler == "pbs":
        contents[PBS_SCRIPT] = _template(PBS_SCRIPT)
    return contents


def _shared_values(cluster: ClusterSettings, folder: Path) -> dict[str, Any]:
    database = cluster.database
    plain, gamma = cluster.vasp_commands
    return {
        "login": database.login,
        "user_variable": USER_VARIABLE,
        "password_variable": PASSWORD_VARIABLE,
        "folder": folder,
        "folder_yaml": _yaml(str(folder)),
        "folder_shell": shlex.quote(str(folder)),
        "launchpad_yaml": _yaml(str(folder / LAUNCHPAD)),
        "environment_shell": shlex.quote(str(folder / ENVIRONMENT)),
        "submit_shell": shlex.quote(str(folder / SUBMIT)),
        "script_yaml": _yaml(str(folder / PBS_SCRIPT)),
        "python_shell": shlex.quote(str(Path(sys.executable).parent)),
        "uri_yaml": _yaml(database.uri),
        "name_yaml": _yaml(database.name),
        "options_yaml": _yaml(database.client_options),
        "options_block": "\n      ".join(f"{key}: {_yaml(value)}" for key, value in database.client_options.items()),
        "vasp_cmd_yaml": _yaml(plain),
        "vasp_gamma_cmd_yaml": _yaml(gamma),
        "account_yaml": _yaml(cluster.account),
        "modules_shell": shlex.join(cluster.modules),
        "launches_shell": shlex.quote(str(cluster.launches(folder))),
        "gpu_jobs": cluster.gpu.max_jobs,
        "cpu_jobs": cluster.cpu.max_jobs,
    }


def _values_of(role: str, queue: QueueSettings, folder: Path) -> dict[str, Any]:
    worker, what = WORKERS[role]
    files = [str(folder / name) for name in (LAUNCHPAD, f"worker-{role}.yaml")]
    return {
        "role": role,
        "gpu": role == "gpu",
        "cpu": role == "cpu",
        "worker": worker,
        "what": what,
        "rocket_yaml": _yaml(shlex.join(["rlaunch", "-l", files[0], "-w", files[1], "singleshot"])),
        "queue_yaml": _yaml(queue.queue),
        "nodes": queue.nodes,
        "cores": queue.cores,
        "gres_yaml": _yaml(queue.gres),
        "memory_yaml": _yaml(queue.memory),
        "walltime_yaml": _yaml(queue.walltime),
        "select_yaml": _yaml(queue.select),
        "job_name": f"definet-{role}",
    }


def _filled(name: str, values: dict[str, Any]) -> str:
    return render(_template(name), values)


def _template(name: str) -> str:
    return (workflows_directory() / TEMPLATES / name).read_text(encoding="utf-8")


def _yaml(value: Any) -> str:
    """A value as YAML on one line: JSON is YAML."""
    return json.dumps(value, ensure_ascii=False)


def _write(path: Path, text: str) -> Path:
    """Write a file that is never readable by others, not even while it is written."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        path.chmod(0o600)
        stream.write(text)
    return path
