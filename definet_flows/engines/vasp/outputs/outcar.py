"""OUTCAR read line by line, whole or cut off.

pymatgen's reader holds the whole text, needs the head and tail of a run that ended by itself, and tells forces and
self-consistency steps of no ionic step; the tests compare the two where both can read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

import numpy as np

from definet_flows.engines.vasp.outputs.figures import FileReport, IonicStep, fortran_number, largest_force
from definet_flows.engines.vasp.outputs.files import DAMAGED

_SIGNS = (
    *("Iteration", "LOOP", "TOTAL-FORCE", "energy  without entropy", "number of electron ", "aborting loop"),
    *(
        "reached required accuracy",
        "(sec)",
        "(kb)",
        "running",
        "serial version",
        "TITEL",
        "POTCAR:",
        " ZVAL ",
        "ions per type",
    ),
    *("NELM ", "EDIFFG ", "NSW ", "IBRION ", "ENCUT ", "NELECT ", " vasp."),
)
_WANTED = re.compile("|".join(re.escape(sign) for sign in _SIGNS))
"""Every line that says something holds one of these; the others are skipped without a further look."""

_PARAMETER = re.compile(r"^\s*(NELM|EDIFFG|NSW|IBRION|ENCUT|NELECT)\s*=\s*([-+.\dEe]+)")
_WHOLE = {"NELM", "NSW", "IBRION"}
_ENERGY = re.compile(r"energy\(sigma->0\)\s*=\s*(\S+)")
_MOMENT = re.compile(r"magnetization\s+(.+)$")
_REAL_TIME = re.compile(r"real time\s*([\d.]+)")
_TOTAL_CORES = re.compile(r"running(?: on)?\s+(\d+)\s+total cores")
_RANKS = re.compile(r"running\s+(\d+)\s+mpi-ranks(?:, with\s+(\d+)\s+threads/rank)?")
_STATISTICS = {
    "Elapsed time (sec)": "elapsed",
    "Total CPU time used (sec)": "cpu_seconds",
    "Maximum memory used (kb)": "memory_kb",
}


def read_outcar(content: IO[bytes]) -> FileReport:
    """Read an OUTCAR, whole or cut off.

    Parameters
    ----------
    content
        The file, decompressed.
    """
    reader = _Reader()
    try:
        reader.read(raw.decode(errors="replace") for raw in content)
    except DAMAGED as error:
        reader.report.flaw = f"cut off or damaged ({error})"
    return reader.finish()


class _Reader:
    def __init__(self) -> None:
        self.report = FileReport(ended=False)
        self._electronic = 0
        self._forces: float | None = None
        self._converged: bool | None = None
        self._finished_loops, self._open_loops = 0.0, 0.0
        self._valences: list[float] = []
        self._atoms_per_type: list[int] = []

    def read(self, lines: Iterator[str]) -> None:
        """Everything up to the end or the cut."""
        for line in lines:
            if _WANTED.search(line) is None:
                continue
            if "TOTAL-FORCE" in line:
                self._table(lines)
            elif "Iteration" in line:
                self._electronic += 1
                self.report.reached = False  # what was said before it was said of another step
            elif "LOOP" in line:
                self._loop(line)
            elif "energy  without entropy" in line:
                self._end_step(line)
            elif not self._said(line):
                self._head_or_tail(line)

    def finish(self) -> FileReport:
        """The report, once the file has ended."""
        report = self.report
        report.unfinished = self._electronic
        loops = self._finished_loops + self._open_loops
        report.loops = loops or None
        if not report.ended and report.flaw is None:
            report.flaw = "it ends before the timing that VASP writes last"
        if self._valences and len(self._valences) == len(self._atoms_per_type):
            report.valence_electrons = float(np.dot(self._valences, self._atoms_per_type))
        return report

    def _table(self, lines: Iterator[str]) -> None:
        next(lines, "")  # a rule
        rows = []
        for line in lines:
            if "----" in line:
                break
            rows.append([fortran_number(word) for word in line.split()])
        else:
            return  # the table itself is cut off
        if all(len(row) == 6 for row in rows):
            table = np.array(rows, dtype=float).reshape(-1, 6)
            self._forces, self.report.final_positions = largest_force(table[:, 3:]), table[:, :3]

    def _loop(self, line: str) -> None:
        found = _REAL_TIME.search(line)
        seconds = float(found[1]) if found else 0.0
        if "LOOP+" in line:
            self._finished_loops, self._open_loops = self._finished_loops + seconds, 0.0
        else:
            self._open_loops += seconds

    def _end_step(self, line: str) -> None:
        found = _ENERGY.search(line)
        if found is None:
            return  # the line itself is cut off
        energy = fortran_number(found[1])
        limit = self.report.parameters.get("NELM")
        if self._converged is None and limit is not None and self._electronic >= limit:
            self._converged = False
        usable = energy if np.isfinite(energy) else None
        self.report.steps.append(IonicStep(self._electronic or None, usable, self._forces, self._converged))
        self._electronic, self._forces, self._converged = 0, None, None

    def _said(self, line: str) -> bool:
        """What VASP says of its convergence and moments, if this is such a line."""
        if "aborting loop" in line:
            self._converged = "not reached" not in line
        elif "reached required accuracy" in line:
            self.report.reached = True
        elif "number of electron " in line and (found := _MOMENT.search(line)):
            moment = np.array([fortran_number(word) for word in found[1].split()])
            total = float(moment[0]) if len(moment) == 1 else float(np.linalg.norm(moment))
            self.report.total_moment = total if np.isfinite(total) else None
        else:
            return False
        return True

    def _head_or_tail(self, line: str) -> None:
        name, _, value = line.strip().partition(":")
        if name in _STATISTICS:
            figure = fortran_number(value)
            setattr(self.report, _STATISTICS[name], figure if np.isfinite(figure) else None)
            self.report.ended = self.report.ended or name == "Elapsed time (sec)"
        elif "running" in line or "serial version" in line:
            self.report.cores = self.report.cores or _cores(line)
        elif self.report.version is None and line.startswith(" vasp."):
            self.report.version = line.split(maxsplit=1)[0].removeprefix("vasp.")
        elif "TITEL" in line or "POTCAR:" in line:
            self._potcar(re.split(r"[=:]", line, maxsplit=1)[-1].split())
        elif found := _PARAMETER.match(line):
            number = fortran_number(found[2])
            if np.isfinite(number):
                self.report.parameters.setdefault(found[1], int(number) if found[1] in _WHOLE else number)
        else:
            self._types(line)

    def _potcar(self, title: list[str]) -> None:
        if len(title) > 1:
            self.report.potcars[title[1].partition("_")[0]] = " ".join(title)

    def _types(self, line: str) -> None:
        """Valences and numbers of atoms, of which the neutral number of electrons follows."""
        words = line.partition("=")[2].split()
        if line.strip().startswith("ZVAL"):
            self._valences = [fortran_number(word) for word in words]
        elif "ions per type" in line and all(word.isdigit() for word in words):
            self._atoms_per_type = [int(word) for word in words]


def _cores(line: str) -> int | None:
    if "serial version" in line:
        return 1
    if found := _TOTAL_CORES.search(line):
        return int(found[1])
    if found := _RANKS.search(line):
        return int(found[1]) * int(found[2] or 1)
    return None
