"""OSZICAR and standard output line by line: steps and energies that remain where larger files are missing or cut off.

pymatgen's reader stops with an error in the middle of a line that was cut off; the tests compare the two where both can read.
"""

from __future__ import annotations

import re
from typing import IO

import numpy as np

from definet_flows.engines.vasp.outputs.figures import FileReport, IonicStep
from definet_flows.engines.vasp.outputs.files import DAMAGED

_ELECTRONIC = re.compile(r"^\s*[A-Za-z]+\s*:\s*\d+\s+\S+\s+\S+")
_IONIC = re.compile(r"^\s*(\d+)\s+.*?\bF=\s*\S+\s+E0=\s*(\S+)\s+d E\s*=\s*\S+(.*)$")
_MOMENT = re.compile(r"mag=\s*(.+)$")
_REACHED = "reached required accuracy"
_BARE_EXPONENT = re.compile(r"(?<=\d)([+-]\d+)$")
"""VASP leaves the E out where the exponent has three digits."""


def read_oszicar(content: IO[bytes]) -> FileReport:
    """Read an OSZICAR, or the standard output, which repeats its lines; whole or cut off.

    Parameters
    ----------
    content
        The file, decompressed. Of several starts that were written into one file, the last counts.
    """
    report = FileReport()
    try:
        for raw in content:
            _take(report, raw.decode(errors="replace"))
    except DAMAGED as error:
        report.flaw = f"cut off or damaged ({error})"
    return report


def _take(report: FileReport, line: str) -> None:
    if _ELECTRONIC.match(line):
        report.unfinished += 1
        report.reached = False  # what was said before it was said of another step
    elif (found := _IONIC.match(line)) is not None:
        if found[1] == "1":
            report.steps.clear()
        report.steps.append(IonicStep(report.unfinished or None, _energy(found[2])))
        report.total_moment = _moment(found[3])
        report.unfinished = 0
    elif _REACHED in line:
        report.reached = True


def _moment(rest: str) -> float | None:
    found = _MOMENT.search(rest)
    components = [] if found is None else [_energy(word) for word in found[1].split()]
    known = [component for component in components if component is not None]
    if not known or len(known) < len(components):
        return None
    return known[0] if len(known) == 1 else float(np.linalg.norm(known))


def _energy(text: str) -> float | None:
    try:
        number = float(_BARE_EXPONENT.sub(r"E\1", text))
    except ValueError:
        return None
    return number if np.isfinite(number) else None
