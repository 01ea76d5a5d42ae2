"""The ionic steps of a run on disk, each written when it is done."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class IonicStep(BaseModel):
    """One self-consistent cycle and the forces it gave, in the order of the atoms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    positions: list[tuple[float, float, float]] = Field(description="[n_atoms][3] Å")
    energy: float = Field(description="Energy of the cell, eV")
    forces: list[tuple[float, float, float]] = Field(description="[n_atoms][3] eV/Å")
    total_moment: float = Field(description="Total magnetic moment of the cell, µ_B")
    electronic_steps: int = Field(description="Electronic steps of the cycle")
    cpu_seconds: float = Field(description="Processor time that it took, s")


class Journal:
    """The steps of a run in a file, one JSON object per line.

    Parameters
    ----------
    path
        The file; made with the first step.

    Attributes
    ----------
    steps
        All that were done, in order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.steps = _whole_steps(path)

    def append(self, step: IonicStep) -> None:
        """Write one more step."""
        self.steps.append(step)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(step.model_dump_json() + "\n")

    def cut(self, count: int) -> None:
        """Forget all but the first steps, and a line that was not written to its end."""
        del self.steps[count:]
        if self.path.exists():
            whole = self.path.with_suffix(".new")
            whole.write_text("".join(step.model_dump_json() + "\n" for step in self.steps), encoding="utf-8")
            whole.replace(self.path)


def _whole_steps(path: Path) -> list[IonicStep]:
    """The steps in a file up to the first line that is not whole."""
    steps: list[IonicStep] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:  # a new run
        return steps
    for line in lines:
        try:
            steps.append(IonicStep.model_validate_json(line))
        except ValidationError:
            break
    return steps
