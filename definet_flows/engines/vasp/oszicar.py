"""OSZICAR read line by line: the steps and energies that remain where the larger files are missing or cut off.

pymatgen's reader stops with an error in the middle of a line that was cut off; the tests compare the two where both can read.
"""

from __future__ import annotations

import re
from typing import IO

import numpy as np

from definet_flows.engines.vasp.files import DAMAGED
from definet_flows.engines.vasp.steps import FileReport, IonicStep

_ELECTRONIC = re.compile(r"^\s*[A-Za-z]+\s*:\s*\d+\s+\S+\s+\S+")
_IONIC = re.compile(r"^\s*\d+\s+.*?\bF=\s*(\S+)\s+E0=\s*(\S+)\s+d E\s*=\s*\S+(.*)$")
_MOMENT = re.compile(r"mag=\s*(.+)$")
_BARE_EXPONENT = re.compile(r"(?<=\d)([+-]\d+)$")
"""VASP leaves the E out where the exponent has three digits."""


def read_oszicar(content: IO[bytes]) -> FileReport:
    """Read an OSZICAR, whole or cut off.

    Parameters
    ----------
    content
        The file, decompressed.
    """
    report = FileReport()
    electronic = 0
    try:
        for raw in content:
            line = raw.decode(errors="replace")
            if _ELECTRONIC.match(line):
                electronic += 1
            elif (found := _IONIC.match(line)) is not None:
                report.steps.append(IonicStep(electronic or None, _energy(found[2])))
                report.total_moment = _moment(found[3])
                electronic = 0
    except DAMAGED as error:
        report.flaw = f"cut off or damaged ({error})"
    report.unfinished = electronic
    return report


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
