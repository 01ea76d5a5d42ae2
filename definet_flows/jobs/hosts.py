"""The job that relaxes the pristine cell, and hosts rebuilt once per process."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jobflow.core.job import Job, job
from jobflow.core.maker import Maker

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines import EngineSettings, ForceFieldEngine

Defects = list[tuple[int, str]]


@lru_cache(maxsize=8)
def _host_from_json(content: str) -> Host:
    return Host.from_dict(json.loads(content))


def host_from(content: dict[str, Any]) -> Host:
    """The host of a document; its symmetry is found once per process, not once per job.

    Parameters
    ----------
    content
        What `Host.to_dict` wrote.
    """
    plain = {name: entry for name, entry in content.items() if not name.startswith("@")}
    return _host_from_json(json.dumps(plain, sort_keys=True))


def configuration_from(defects: Iterable[Iterable[Any]], host: Host) -> DefectConfiguration:
    """The configuration of changed sites on a host; of the pristine supercell where there are none.

    Parameters
    ----------
    defects
        [[site, species], ...] as a canonical configuration wrote them.
    host
        The pristine supercell.
    """
    return DefectConfiguration(host, tuple((int(site), str(species)) for site, species in defects))


@dataclass
class RelaxHostMaker(Maker):
    """Relaxes the pristine cell with the engine, so that every start is taken from the engine's own crystal.

    Parameters
    ----------
    engine
        The engine.
    name
        Name of the job.
    """

    engine: EngineSettings = field(default_factory=ForceFieldEngine)
    name: str = "relax host"

    @job
    def make(self, host: dict[str, Any]) -> Any:
        """The host with the engine's reference positions.

        Parameters
        ----------
        host
            What `Host.to_dict` wrote.

        Returns
        -------
        dict
            The same, with ``reference`` filled in.
        """
        return self.engine.relaxed_host(host_from(host)).to_dict()


def named(work: Job, name: str) -> Job:
    """The job under another name."""
    work.name = name
    return work
