"""One start of VASP in figures: each taken from the file that tells it best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import IO, Any

import numpy as np

from definet_flows.engines.vasp.outputs.figures import Figures, FileReport, Frame, IonicStep
from definet_flows.engines.vasp.outputs.files import DAMAGED, AttemptFiles, RunFile
from definet_flows.engines.vasp.outputs.inputfiles import (
    read_incar_file,
    read_kpoints_file,
    read_poscar_file,
    read_potcar_titles,
)
from definet_flows.engines.vasp.outputs.oszicar import read_oszicar
from definet_flows.engines.vasp.outputs.outcar import read_outcar
from definet_flows.engines.vasp.outputs.vasprun import read_vasprun

_READERS: dict[str, Callable[[IO[bytes]], FileReport]] = {
    "vasprun": read_vasprun,
    "OUTCAR": read_outcar,
    "OSZICAR": read_oszicar,
}
"""In the order in which a figure is looked for."""

_SAME_ENERGY = 1e-6
"""Relative; the standard output has eight digits."""


@dataclass(kw_only=True)
class AttemptFigures(Figures):
    """The figures of one start of VASP from all its files.

    Parameters
    ----------
    source
        Where its files lie.
    following
        Atoms where a restart would go on (CONTCAR).
    wall_seconds
        Elapsed time, s.
    caveats
        Why a figure is None, or how it was estimated.
    """

    source: str
    following: Frame | None = None
    wall_seconds: float | None = None
    caveats: dict[str, str] = field(default_factory=dict)

    @property
    def electronic_steps(self) -> int | None:
        """Self-consistency steps, those of an unfinished ionic step included."""
        counts = [step.electronic_steps for step in self.steps]
        known = [count for count in counts if count is not None]
        return sum(known) + self.unfinished if len(known) == len(counts) else None

    @property
    def relaxes(self) -> bool:
        """Whether VASP was told to move the atoms; taken for granted where nothing says otherwise."""
        moves, optimiser = self.setting("NSW"), self.setting("IBRION")
        return len(self.steps) > 1 or ((moves is None or moves > 1) and (optimiser is None or optimiser > 0))

    def setting(self, name: str) -> Any:
        """A setting as VASP used it, or as INCAR has it; None where neither is known."""
        return self.parameters.get(name, self.incar.get(name))


def read_attempt(files: AttemptFiles, original: Mapping[str, RunFile] | None = None) -> AttemptFigures:
    """Read one start of VASP from all of its files.

    Parameters
    ----------
    files
        Its files.
    original
        Inputs as they were before custodian changed them, for the first start of a run.
    """
    reports = {kind: _read(files.files[kind], reader) for kind, reader in _READERS.items() if kind in files.files}
    inputs = {**files.files, **(original or {})}
    listed = list(reports.values())
    steps = _merged_steps(listed)
    whole = [report for report in listed if len(report.steps) == len(steps)]
    initial = _first(listed, "initial") or read_poscar_file(inputs.get("POSCAR"))
    following = read_poscar_file(files.files.get("CONTCAR"))
    caveats = {kind: report.flaw for kind, report in reports.items() if report.flaw}
    return AttemptFigures(
        source=files.source,
        steps=steps,
        unfinished=max((report.unfinished for report in whole), default=0),
        initial=initial,
        final=_final(listed, len(steps), initial, following, caveats),
        following=following,
        ended=_ended(listed),
        reached=any(report.reached for report in whole) or _says_reached(files.files.get("vasp.out"), steps),
        total_moment=_first(whole, "total_moment"),
        wall_seconds=_wall_seconds(reports, caveats),
        cpu_seconds=_first(listed, "cpu_seconds"),
        cores=_first(listed, "cores"),
        memory_kb=_first(listed, "memory_kb"),
        version=_first(listed, "version"),
        incar=_first(listed, "incar") or read_incar_file(inputs.get("INCAR")),
        parameters=_first(listed, "parameters") or {},
        kpoints=_first(listed, "kpoints") or read_kpoints_file(inputs.get("KPOINTS")),
        potcars=_first(listed, "potcars") or read_potcar_titles(inputs.get("POTCAR")),
        valence_electrons=_first(listed, "valence_electrons"),
        caveats=caveats,
    )


def _read(file: RunFile, reader: Callable[[IO[bytes]], FileReport]) -> FileReport:
    try:
        with file.open() as content:
            return reader(content)
    except DAMAGED as error:
        return FileReport(flaw=f"cannot be opened ({error})")


def _first(reports: Iterable[FileReport], name: str) -> Any:
    """The first that is told."""
    found = (getattr(report, name) for report in reports)
    return next((one for one in found if one is not None and one != {}), None)


def _merged_steps(reports: Sequence[FileReport]) -> list[IonicStep]:
    """Step by step the first file that tells each figure: one that was cut off earlier leaves the rest to the next."""
    rows = zip_longest(*(report.steps for report in reports))
    return [
        IonicStep(*(_told(row, name) for name in ("electronic_steps", "energy", "max_force", "electronic_converged")))
        for row in rows
    ]


def _told(row: Iterable[IonicStep | None], name: str) -> Any:
    return next((figure for step in row if step is not None and (figure := getattr(step, name)) is not None), None)


def _wall_seconds(reports: Mapping[str, FileReport], caveats: dict[str, str]) -> float | None:
    elapsed: float | None = _first(reports.values(), "elapsed")
    if elapsed is not None:
        return elapsed
    told = [(len(report.steps), kind == "OUTCAR", report.loops) for kind, report in reports.items() if report.loops]
    if not told:
        caveats["wall_seconds"] = "no OUTCAR tells the time"
        return None
    caveats["wall_seconds"] = "the sum of the loops on file, which is less than all: the total is not on file"
    return max(told)[2]


def _ended(reports: Iterable[FileReport]) -> bool | None:
    """Whether any file shows VASP's own end; None where only files are left that never do."""
    told = [report.ended for report in reports if report.ended is not None]
    return any(told) if told else None


def _final(
    reports: Sequence[FileReport],
    n_steps: int,
    initial: Frame | None,
    following: Frame | None,
    caveats: dict[str, str],
) -> Frame | None:
    """Atoms at the last finished ionic step, else where VASP would have gone next; those of another step are none of it."""
    if n_steps == 0:
        return None
    for report in reports:
        if len(report.steps) == n_steps and (frame := _frame(report, initial)) is not None:
            return frame
    if following is not None:
        caveats["positions"] = "from CONTCAR, which may be one step ahead of the energy"
        return following
    caveats["positions"] = "no file has the atoms of the last ionic step"
    return None


def _frame(report: FileReport, initial: Frame | None) -> Frame | None:
    if report.final is not None:
        return report.final
    positions = report.final_positions
    if positions is None or initial is None or len(positions) != len(initial.species):
        return None
    return Frame(initial.lattice, np.asarray(positions @ np.linalg.inv(initial.lattice)), initial.species)


def _says_reached(output: RunFile | None, steps: Sequence[IonicStep]) -> bool:
    """Whether the standard output says that the required accuracy was reached, for where OUTCAR was cut off before that.

    It may be left from an earlier start, or hold several, so that it must end with the very step that is the last on file.
    """
    if output is None or not steps:
        return False
    said = _read(output, read_oszicar)
    if not said.reached or len(said.steps) != len(steps):
        return False
    energy, theirs = steps[-1].energy, said.steps[-1].energy
    return energy is not None and theirs is not None and math.isclose(energy, theirs, rel_tol=_SAME_ENERGY)
