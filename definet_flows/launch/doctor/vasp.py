"""Whether VASP can be started where its jobs run, and every POTCAR is there."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator

from definet_flows.engines import VaspEngine
from definet_flows.engines.vasp.running.command import vasp_commands
from definet_flows.errors import InputError
from definet_flows.flows.campaign import Campaign
from definet_flows.launch.doctor.findings import Finding, Subject, failed, not_set_up, passed
from definet_flows.launch.doctor.versions import installed
from definet_flows.launch.hpc.folder import ATOMATE2, ConfigFolder

SECONDS = 60.0
"""Modules of a cluster can take their time to load."""


def check(subject: Subject) -> Iterator[Finding]:
    """The commands of the campaign, else of the configuration, and the POTCARs of the campaign's elements."""
    campaign = subject.campaign
    if campaign is not None and not isinstance(campaign.engine, VaspEngine):
        yield passed("commands", f"{campaign.name} relaxes with the {campaign.engine.name} engine, without VASP")
        return
    if installed("atomate2") is None:
        yield not_set_up("commands", "pip install 'definet-flows[vasp]'")
        return
    engine = campaign.engine if campaign is not None and isinstance(campaign.engine, VaspEngine) else VaspEngine()
    if subject.folder is None and engine.vasp_cmd is None:
        yield not_set_up("commands", "definet-flows hpc init --vasp-cmd writes atomate2.yaml")
    else:
        yield from _commands(engine, subject.folder)
    if campaign is None:
        yield not_set_up("POTCARs", "name a campaign that needs them with --campaign")
    else:
        yield _potcars(engine, campaign)


def _commands(engine: VaspEngine, folder: ConfigFolder | None) -> Iterator[Finding]:
    from atomate2.settings import Atomate2Settings

    file = folder.path / ATOMATE2 if folder is not None else None
    # The settings that jobs will have, whatever this process has imported before.
    chosen = Atomate2Settings(CONFIG_FILE=str(file)) if file and file.is_file() else Atomate2Settings()
    plain, gamma = vasp_commands(engine, chosen)
    where = "under engine in the campaign file" if engine.vasp_cmd else f"in {file or '~/.atomate2.yaml'}"
    for name, command in (("VASP_CMD", plain), ("VASP_GAMMA_CMD", gamma)):
        missing = [program for program in _programs(command) if not _found(program, _preparation(folder))]
        if missing:
            setting = name.lower() if engine.vasp_cmd else name
            yield failed(
                name,
                f"'{command}' cannot be started: there is no {' and no '.join(missing)}",
                f"set {setting} {where}, or load the module that brings it in pre_rocket of qadapter-cpu.yaml",
            )
        else:
            yield passed(name, command)


def _programs(command: str) -> list[str]:
    """The launcher and the program it starts."""
    words = [word for word in shlex.split(command.partition(">")[0]) if not word.startswith("-")]
    return list(dict.fromkeys([*words[:1], *words[-1:]])) or [command or "command"]


def _found(program: str, preparation: str) -> bool:
    """Whether a job's shell knows a program, once it has done what jobs do first."""
    line = f'{preparation}\n[ -x "$(type -P {shlex.quote(program)})" ]'
    try:
        reply = subprocess.run(["bash", "-lc", line], capture_output=True, check=False, timeout=SECONDS)  # noqa: S603, S607
    except subprocess.TimeoutExpired:
        return False
    return reply.returncode == 0


def _preparation(folder: ConfigFolder | None) -> str:
    """What a CPU job does before its calculation: it loads the modules that bring VASP."""
    of_cpu = [file for file in folder.adapter_files if "gpu" not in file.name] if folder else []
    return str(folder.adapter(of_cpu[0]).get("pre_rocket") or "") if folder and of_cpu else ""


def _potcars(engine: VaspEngine, campaign: Campaign) -> Finding:
    from definet_flows.engines.vasp.inputs.potcars import check_potcars

    host = campaign.host.host()
    elements = sorted({symbol for one in campaign.configurations.configurations(host) for symbol in one.species})
    try:
        check_potcars(engine, elements)
    except InputError as error:
        return failed("POTCARs", str(error))
    return passed("POTCARs", f"{engine.potcar_functional} of {', '.join(elements)}")
