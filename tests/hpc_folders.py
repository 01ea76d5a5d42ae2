"""Configuration folders as `hpc init` writes them, for a cluster made up here."""

from __future__ import annotations

from contextlib import contextmanager

from definet_flows.launch.hpc.cluster import ClusterSettings
from definet_flows.launch.hpc.folder import ConfigFolder
from definet_flows.launch.hpc.writing import write_configuration

GPU = {"queue": "gpu", "walltime": "01:00:00", "cores": 2, "gres": "gpu:1", "gpus": 1, "memory": "4G", "max_jobs": 4}
CPU = {"queue": "cpu", "walltime": "24:00:00", "nodes": 2, "cores": 16, "max_jobs": 50}


def cluster(**changes):
    """Settings of a Slurm cluster with a database that lets everyone in; a mapping changes a part of them."""
    settings = {"scheduler": "slurm", "gpu": GPU, "cpu": CPU, "database": {"host": "127.0.0.1", "login": False}}
    for name, value in changes.items():
        settings[name] = settings.get(name, {}) | value if isinstance(value, dict) else value
    return ClusterSettings.model_validate(settings)


def written(folder, **changes):
    """The folder, written and opened."""
    write_configuration(cluster(**changes), folder)
    return ConfigFolder(folder)


@contextmanager
def launchpad_of(folder, **options):
    """The launchpad, let go of afterwards."""
    launchpad = folder.launchpad(**options)
    try:
        yield launchpad
    finally:
        launchpad.connection.close()
