"""What has to be known of a cluster to run campaigns on it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from definet_flows.errors import InputError

Scheduler = Literal["slurm", "pbs"]
_WALLTIME = re.compile(r"(\d+-)?\d+:[0-5]\d:[0-5]\d")
_MEMORY = re.compile(r"\d+[KMGT]?", re.IGNORECASE)
_LAUNCHERS = {"slurm": "srun", "pbs": "mpirun"}
_TIMEOUTS = {"serverSelectionTimeoutMS": 30_000, "socketTimeoutMS": 300_000}
"""A server that does not answer within these, ms, is an error and not a job that waits until its walltime is over."""


class QueueSettings(BaseModel):
    """One queue and what a job in it asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queue: str = Field(min_length=1, description="Partition (Slurm) or queue (PBS)")
    walltime: str = Field(description="Of a job, HH:MM:SS; Slurm also takes D-HH:MM:SS")
    nodes: int = Field(default=1, ge=1, description="Nodes of a job")
    cores: int = Field(default=1, ge=1, description="Cores of a job on each node")
    memory: str | None = Field(default=None, description="Of a job on each node, such as 32G")
    gres: str | None = Field(default=None, description="Generic resource (Slurm), such as gpu:1")
    gpus: int = Field(default=0, ge=0, description="GPUs of a job on each node (PBS)")
    max_jobs: int = Field(ge=1, description="Jobs in this queue at once at most")

    @field_validator("walltime")
    @classmethod
    def _is_walltime(cls, value: str) -> str:
        if not _WALLTIME.fullmatch(value):
            raise ValueError("write a walltime as HH:MM:SS, such as 02:00:00")
        return value

    @field_validator("memory")
    @classmethod
    def _is_memory(cls, value: str | None) -> str | None:
        if value is not None and not _MEMORY.fullmatch(value):
            raise ValueError("write memory as a number with K, M, G or T, such as 32G")
        return value

    @property
    def select(self) -> str:
        """The same as PBS wants it in one word, such as ``2:ncpus=32:mpiprocs=32:mem=64gb``."""
        gpus = f":ngpus={self.gpus}" if self.gpus else ""
        memory = f":mem={self.memory.lower()}b" if self.memory else ""
        # An MPI rank on each core, except where one process drives a GPU.
        return f"{self.nodes}:ncpus={self.cores}:mpiprocs={1 if self.gpus else self.cores}{gpus}{memory}"


class DatabaseSettings(BaseModel):
    """Where the database is; never who may use it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1, description="Host name, or an address mongodb://... or mongodb+srv://...")
    port: int = Field(default=27017, ge=1, le=65535, description="Its port, where the host is no address")
    name: str = Field(default="definet_flows", min_length=1, description="Name of the database on it")
    login: bool = Field(default=True, description="Whether it asks for a user and a password")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of pymongo's MongoClient, such as tls")

    @field_validator("host")
    @classmethod
    def _names_nobody(cls, value: str) -> str:
        if "@" in value:
            raise ValueError("leave user and password out of the address; they come from the environment")
        return value

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not re.fullmatch(r"[\w-]{1,63}", value):
            raise ValueError("write letters, digits, _ and - only, 63 at most")
        return value

    @property
    def uri(self) -> str:
        """Its address without user and password."""
        return self.host if "://" in self.host else f"mongodb://{self.host}:{self.port}/"

    @property
    def client_options(self) -> dict[str, Any]:
        """Options of every client."""
        # Users are usually kept in the database they use; MongoDB would look for them in "admin".
        source = {"authSource": self.name} if self.login else {}
        return _TIMEOUTS | source | self.options


class ClusterSettings(BaseModel):
    """A cluster: scheduler, a queue for each kind of job, database, VASP."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheduler: Scheduler = Field(description="slurm or pbs")
    account: str | None = Field(default=None, description="Account or project that is charged")
    gpu: QueueSettings = Field(description="Where predictions run")
    cpu: QueueSettings = Field(description="Where relaxations run")
    database: DatabaseSettings = Field(description="Where jobs and results are kept")
    vasp_cmd: str | None = Field(default=None, description="Starts VASP, such as: srun vasp_std")
    vasp_gamma_cmd: str | None = Field(default=None, description="Starts the Γ-only VASP, such as: srun vasp_gam")
    modules: tuple[str, ...] = Field(default=(), description="Modules that VASP jobs load")
    launch_dir: Path | None = Field(default=None, description="Where jobs run: a file system that all nodes share")

    @property
    def vasp_commands(self) -> tuple[str, str]:
        """Commands of VASP and of its Γ-only build."""
        launcher = _LAUNCHERS[self.scheduler]
        plain = self.vasp_cmd or f"{launcher} vasp_std"
        return plain, self.vasp_gamma_cmd or plain.replace("vasp_std", "vasp_gam")

    def launches(self, folder: Path) -> Path:
        """Where jobs run: as set, else on the scratch file system that ``SCRATCH`` names, else in the configuration folder.

        Parameters
        ----------
        folder
            The configuration folder.
        """
        if self.launch_dir is not None:
            return self.launch_dir.expanduser().resolve()
        scratch = os.environ.get("SCRATCH")
        return Path(scratch).resolve() / "definet-flows" if scratch else folder / "launches"


def parse_options(given: list[str]) -> dict[str, Any]:
    """Options of the form ``key=value``, with true, false and numbers as what they are.

    Raises
    ------
    InputError
        If one has another form, or would be written down as a secret.
    """
    found: dict[str, Any] = {}
    for option in given:
        key, equals, value = option.partition("=")
        if not equals or not key or not value:
            raise InputError(f"The database option {key!r} is not of the form key=value, such as tls=true.")
        if key.lower() in {"username", "password"}:
            raise InputError(f"{key} is not written to any file: set it in the environment instead.")
        found[key] = {"true": True, "false": False}.get(value, int(value) if value.isdigit() else value)
    return found
