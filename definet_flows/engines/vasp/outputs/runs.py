"""A relaxation with VASP over all its starts: what its directory holds, and what custodian did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from definet_flows.engines.relaxation import Correction
from definet_flows.engines.vasp.outputs.attempts import AttemptFigures, read_attempt
from definet_flows.engines.vasp.outputs.figures import IonicStep
from definet_flows.engines.vasp.outputs.files import DAMAGED, RunFile, read_directory
from definet_flows.engines.vasp.outputs.physics import force_or_energy_limit
from definet_flows.errors import InputError


@dataclass(frozen=True)
class VaspRun:
    """A relaxation with VASP, over all its starts.

    Parameters
    ----------
    directory
        Where its files lie; None where only a document is left.
    attempts
        Every start that moved atoms, in order.
    corrections
        What custodian corrected; None where nothing tells whether it ran.
    caveats
        Why something is missing.
    """

    directory: Path | None
    attempts: Sequence[AttemptFigures]
    corrections: list[Correction] | None
    caveats: dict[str, str]

    @property
    def first(self) -> AttemptFigures:
        """The start whose inputs are those that were asked for."""
        return self.attempts[0]

    @property
    def last(self) -> AttemptFigures:
        """The start whose end counts."""
        return self.attempts[-1]

    @property
    def steps(self) -> list[IonicStep]:
        """Finished ionic steps over all starts."""
        return [step for attempt in self.attempts for step in attempt.steps]

    @property
    def electronic_converged(self) -> bool | None:
        """Whether the last self-consistency cycle converged; None where no file tells."""
        return self.last.steps[-1].electronic_converged if self.last.steps else None

    @property
    def ionic_converged(self) -> bool | None:
        """Whether the last start reached its required accuracy; None where no file tells."""
        if self.last.reached:
            return True
        limit, steps = force_or_energy_limit(self.last), self.last.steps
        if limit < 0:
            force = steps[-1].max_force if steps else None
            return None if force is None else force < -limit
        energies = [step.energy for step in steps[-2:]]
        if len(energies) < 2 or energies[0] is None or energies[1] is None:
            return None
        return abs(energies[1] - energies[0]) < limit


def read_run(directory: str | Path) -> VaspRun:
    """Read a run directory: every start of VASP that it holds or that custodian packed away.

    Parameters
    ----------
    directory
        Holds vasprun.xml, OUTCAR or OSZICAR, compressed or not, whole or cut off.

    Raises
    ------
    InputError
        If VASP has written nothing there, or was not told to move atoms.
    """
    folder = Path(directory)
    sorted_files = read_directory(folder)
    originals = [sorted_files.original, *({} for _ in sorted_files.attempts[1:])]
    found = [read_attempt(files, original) for files, original in zip(sorted_files.attempts, originals, strict=True)]
    attempts = [attempt for attempt in found if attempt.relaxes]
    if not attempts:
        raise InputError(f"{folder} holds no relaxation: VASP was not told to move atoms (NSW, IBRION).")
    caveats = {attempt.source: "left out, for it is no relaxation" for attempt in found if not attempt.relaxes}
    return VaspRun(folder, attempts, read_corrections(sorted_files.custodian_logs), caveats)


def read_corrections(logs: Sequence[RunFile]) -> list[Correction] | None:
    """What custodian corrected over all its launches, from its custodian.json; None where none can be read."""
    found = [corrections for log in logs if (corrections := _corrections(log)) is not None]
    return [correction for corrections in found for correction in corrections] if found else None


def _corrections(log: RunFile) -> list[Correction] | None:
    try:
        return corrections_in(json.loads(log.text()))
    except (*DAMAGED, ValueError, TypeError, AttributeError):
        return None


def corrections_in(jobs: Sequence[Any]) -> list[Correction]:
    """Corrections of the jobs that custodian logged, as custodian.json and emmet's task documents hold them."""
    entries = [entry for job in jobs for entry in (job.get("corrections") or [])]
    return [
        Correction(
            handler=_handler_name(entry.get("handler")),
            errors=[str(error) for error in entry.get("errors") or []],
            actions=json.dumps(entry["actions"], default=str) if entry.get("actions") else None,
        )
        for entry in entries
    ]


def _handler_name(handler: Any) -> str:
    name = handler.get("@class") if isinstance(handler, dict) else type(handler).__name__
    return str(name or "unknown")
