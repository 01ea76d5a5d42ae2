"""What a campaign's jobs ask of a cluster: how many at once, and of which queue."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Role = Literal["predict", "relax", "small"]
CATEGORIES = {"predict": "gpu", "relax": "cpu", "small": "cpu"}
"""Category of the FireWorks workers that take a job, by what it does."""

AHEAD = {"predict": 0.5, "relax": 0.0, "small": 0.5}
"""What is added to a campaign's priority: what feeds both queues comes before the relaxations that empty one."""

_SLURM = {
    "partition": "queue",
    "gres": "gres",
    "walltime": "walltime",
    "nodes": "nodes",
    "cores": "ntasks_per_node",
    "memory": "mem",
}
_PBS = {"partition": "queue", "walltime": "walltime"}
"""Our names to those of FireWorks' queue templates; PBS has nodes, cores and memory in one word."""


class QueueRequest(BaseModel):
    """What one job asks of the queue; what is left out stays as the worker's queue file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition: str | None = Field(default=None, description="Partition (Slurm) or queue (PBS)")
    gres: str | None = Field(default=None, description="Generic resources, such as gpu:1; Slurm only")
    walltime: str | None = Field(
        default=None, pattern=r"^(\d+-)?\d{1,3}:\d{2}:\d{2}$", description="Wall time, [days-]hours:minutes:seconds"
    )
    nodes: int | None = Field(default=None, ge=1, description="Nodes")
    cores: int | None = Field(default=None, ge=1, description="Cores of each node: the MPI ranks of VASP there")
    memory: str | None = Field(default=None, pattern=r"^\d+[KMGT]?$", description="Memory of each node, such as 64G")
    queue: dict[str, Any] = Field(
        default_factory=dict, description="Other keys of FireWorks' queue template, such as {qos: debug}"
    )

    def adapter(self, scheduler: str) -> dict[str, Any]:
        """The request in the words of FireWorks' queue adapter.

        Parameters
        ----------
        scheduler
            ``slurm`` or ``pbs``.
        """
        names = _SLURM if scheduler == "slurm" else _PBS
        asked = {names[field]: getattr(self, field) for field in names}
        if scheduler == "pbs" and (self.nodes or self.cores or self.memory):
            memory = f":mem={self.memory.lower()}b" if self.memory else ""
            cores = self.cores or 1
            asked["select"] = f"{self.nodes or 1}:ncpus={cores}:mpiprocs={cores}{memory}"
        return {key: wanted for key, wanted in asked.items() if wanted is not None} | self.queue

    @property
    def seconds(self) -> int | None:
        """The wall time in s; None where the queue file decides it."""
        if self.walltime is None:
            return None
        days, _, clock = self.walltime.rpartition("-")
        hours, minutes, seconds = (int(part) for part in clock.split(":"))
        return 60 * (60 * (24 * int(days or 0) + hours) + minutes) + seconds


class Resources(BaseModel):
    """The cluster's share of a campaign file: it decides where and how fast, never what comes out, and is not hashed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheduler: Literal["slurm", "pbs"] = Field(default="slurm", description="Whose names the queue requests take")
    predict: QueueRequest = Field(default_factory=QueueRequest, description="Jobs that predict, on GPU workers")
    relax: QueueRequest = Field(default_factory=QueueRequest, description="Jobs that relax, on CPU workers")
    small: QueueRequest = Field(
        default_factory=QueueRequest, description="Jobs of seconds between them, on CPU workers"
    )
    chunk_size: int = Field(default=128, ge=1, le=2000, description="Configurations predicted by one job")
    max_active: int = Field(
        default=2000, ge=1, description="Configurations whose jobs stand in the launchpad at once; the others wait"
    )

    priority: int = Field(
        default=0, description="FireWorks' priority of the jobs: workers take those of the highest first"
    )

    @model_validator(mode="after")
    def _can_be_asked_for(self) -> Self:
        if self.scheduler == "pbs" and (self.predict.gres or self.relax.gres):
            raise ValueError("PBS knows no gres; write predict.queue: {select: '1:ncpus=8:ngpus=1'}")
        return self

    def settings_for(self, role: Role) -> dict[str, Any]:
        """What the spec of a Firework says of where it runs.

        Parameters
        ----------
        role
            Of its job.
        """
        request: QueueRequest = getattr(self, role)
        adapter = request.adapter(self.scheduler)
        where = {"_category": CATEGORIES[role], "_priority": self.priority + AHEAD[role]}
        return where | ({"_queueadapter": adapter} if adapter else {})
