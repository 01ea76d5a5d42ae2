"""vasprun.xml read as a stream: the memory needed is that of one ionic step, and a file cut off gives its finished steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError, iterparse

import numpy as np

from definet_flows.engines.vasp.outputs.figures import (
    FileReport,
    FloatArray,
    Frame,
    IonicStep,
    extrapolated,
    fortran_number,
    kpoint_mesh,
    largest_force,
)
from definet_flows.engines.vasp.outputs.files import DAMAGED

_KEPT = {
    "modeling": {"generator", "incar", "kpoints", "parameters", "atominfo", "structure"},
    "calculation": {"scstep", "structure", "varray", "energy", "time"},
}
"""Parent to the children that are read; all else (eigenvalues, densities of states, projections) is dropped as it comes."""

_ENERGIES = ("e_fr_energy", "e_0_energy")

_MISNAMED = {"X": "Xe", "r": "Zr"}
"""VASP's slips in element symbols."""


def read_vasprun(content: IO[bytes]) -> FileReport:
    """Read a vasprun.xml, whole or cut off.

    Parameters
    ----------
    content
        The file, decompressed.

    Returns
    -------
    FileReport
        With `flaw` where the file is cut off or damaged.
    """
    reader = _Reader()
    try:
        for parent, element in _elements(content):
            reader.take(parent, element)
    except ParseError as error:
        reader.report.flaw = f"cut off or damaged at line {error.position[0]}"
    except (*DAMAGED, ValueError, IndexError) as error:
        reader.report.flaw = f"cut off or damaged ({error})"
    else:
        reader.report.ended = True
    return reader.finish()


def _elements(content: IO[bytes]) -> Iterator[tuple[str, Element]]:
    """Each kept element with its parent's tag, and each calculation at its end; nothing read stays in memory."""
    path: list[Element] = []
    inside = 0  # how deep below a kept element
    for event, element in iterparse(content, events=("start", "end")):  # noqa: S314  one's own results, no network
        if event == "start":
            parent = path[-1].tag if path else ""
            inside += bool(inside) or element.tag in _KEPT.get(parent, ())
            path.append(element)
            continue
        path.pop()
        if inside:
            inside -= 1
        if inside or not path:
            continue
        if element.tag in _KEPT.get(path[-1].tag, ()) or element.tag == "calculation":
            yield path[-1].tag, element
        path[-1].remove(element)


class _Reader:
    """Puts the elements together."""

    def __init__(self) -> None:
        self.report = FileReport(ended=False)
        self._species: tuple[str, ...] = ()
        self._movable: Any = None
        self._forces: float | None = None
        self._frame: Frame | None = None
        self._electronic = 0
        self._last_energies: dict[str, float] = {}
        self._energies: dict[str, float] = {}

    def take(self, parent: str, element: Element) -> None:
        """One element as it ends."""
        if element.tag == "calculation":
            self._end_step()
        elif parent == "calculation":
            self._in_step(element)
        else:
            getattr(self, f"_{element.tag}")(element)

    def finish(self) -> FileReport:
        """The report, once the file has ended."""
        self.report.unfinished = self._electronic
        return self.report

    def _generator(self, element: Element) -> None:
        self.report.version = _named(element, "version")

    def _incar(self, element: Element) -> None:
        self.report.incar = _settings(element)

    def _parameters(self, element: Element) -> None:
        self.report.parameters = _settings(element)

    def _kpoints(self, element: Element) -> None:
        generation = element.find("generation")
        if generation is not None and (divisions := generation.find("v[@name='divisions']")) is not None:
            numbers = tuple(int(word) for word in (divisions.text or "").split())
            offset = generation.find("v[@name='usershift']")
            words = "0 0 0" if offset is None else offset.text or "0 0 0"
            style = generation.get("param", "").lower()
            shift = tuple(fortran_number(word) for word in words.split())
            self.report.kpoints = kpoint_mesh(numbers, shift, monkhorst_pack=style.startswith("m"))
        elif (listed := element.find("varray[@name='kpointlist']")) is not None:
            self.report.kpoints = {"points": np.round(_rows(listed), 6).tolist()}

    def _atominfo(self, element: Element) -> None:
        atoms, kinds = (element.findall(f"array[@name='{name}']/set/rc") for name in ("atoms", "atomtypes"))
        self._species = tuple(_symbol(_cells(row)[0]) for row in atoms)
        rows = [_cells(row) for row in kinds]
        self.report.potcars = {_symbol(row[1]): row[4] for row in rows}
        self.report.valence_electrons = sum(int(row[0]) * fortran_number(row[3]) for row in rows)

    def _structure(self, element: Element) -> None:
        if element.get("name") == "initialpos":
            self.report.initial = self._framed(element)
            selective = element.find("varray[@name='selective']")
            if selective is not None:
                self._movable = np.array([[word == "T" for word in (row.text or "").split()] for row in selective])

    def _framed(self, element: Element) -> Frame | None:
        basis, positions = element.find("crystal/varray[@name='basis']"), element.find("varray[@name='positions']")
        if basis is None or positions is None:
            return None
        return Frame(_rows(basis), _rows(positions), self._species)

    def _in_step(self, element: Element) -> None:
        if element.tag == "scstep":
            self._electronic += 1
            self._last_energies = _energies(element.find("energy"))
        elif element.tag == "structure":
            self._frame = self._framed(element)
        elif element.tag == "energy":
            self._energies = _energies(element)
        elif element.tag == "varray" and element.get("name") == "forces":
            self._forces = largest_force(_rows(element), self._movable)
        elif element.tag == "time" and element.get("name") == "totalsc":
            # Processor time, then real time; the two run into each other where they are long.
            seconds = fortran_number((element.text or "").split()[-1]) if (element.text or "").split() else float("nan")
            self.report.loops = (self.report.loops or 0.0) + (seconds if np.isfinite(seconds) else 0.0)

    def _end_step(self) -> None:
        limit = self.report.parameters.get("NELM")
        converged = self._electronic < limit if isinstance(limit, int) and self._electronic else None
        ends = [energies.get(name) for energies in (self._energies, self._last_energies) for name in _ENERGIES]
        step = IonicStep(self._electronic or None, extrapolated(*ends), self._forces, converged)
        self.report.steps.append(step)
        self.report.final = self._frame or self.report.final
        self._forces, self._electronic, self._last_energies, self._energies = None, 0, {}, {}


def _energies(element: Element | None) -> dict[str, float]:
    return (
        {} if element is None else {str(item.get("name")): fortran_number(item.text) for item in element.findall("i")}
    )


def _settings(element: Element) -> dict[str, Any]:
    """Names and values, groups opened; the first of two entries of one name counts, as VASP itself writes the others last."""
    found: dict[str, Any] = {}
    for entry in element.iter():
        name = entry.get("name", "").strip()
        if entry.tag in {"i", "v"} and name not in found:
            found[name] = _setting(entry)
    return found


def _setting(entry: Element) -> Any:
    words = (entry.text or "").split()
    kind = entry.get("type", "")
    if kind == "string":
        return " ".join(words)
    if kind == "logical":
        values: list[Any] = [word.strip(".").upper().startswith("T") for word in words]
    elif kind == "int":
        values = [int(word) if word.lstrip("+-").isdigit() else None for word in words]
    else:
        values = [fortran_number(word) for word in words]
    return values if entry.tag == "v" else (values[0] if values else None)


def _named(element: Element, name: str) -> str | None:
    found = element.find(f"i[@name='{name}']")
    return None if found is None or found.text is None else found.text.strip()


def _cells(row: Element) -> list[str]:
    return [(cell.text or "").strip() for cell in row.findall("c")]


def _symbol(text: str) -> str:
    return _MISNAMED.get(text, text)


def _rows(element: Element) -> FloatArray:
    return np.array([[fortran_number(word) for word in (row.text or "").split()] for row in element.findall("v")])
