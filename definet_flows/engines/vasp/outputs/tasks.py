"""The figures of a run from emmet's task document, as stores of atomate2 hold it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from definet_flows.engines.vasp.outputs.attempts import AttemptFigures, read_attempt
from definet_flows.engines.vasp.outputs.figures import Frame, IonicStep, extrapolated, kpoint_mesh, largest_force
from definet_flows.engines.vasp.outputs.files import LAST, read_directory
from definet_flows.engines.vasp.outputs.runs import VaspRun, corrections_in
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from emmet.core.tasks import TaskDoc
    from pymatgen.core import Structure

_STATISTICS = {
    "wall_seconds": "elapsed_time",
    "cpu_seconds": "total_time",
    "cores": "cores",
    "memory_kb": "max_memory",
}
"""Figure to its name in emmet's run statistics, in which 0 stands for what could not be read."""

_UNTOLD = "the task document does not tell it"


def read_task(task: TaskDoc, directory: str | Path | None = None) -> VaspRun:
    """Read a task document.

    Parameters
    ----------
    task
        What atomate2's jobs put out; it covers the last launch of custodian without the starts that failed in it.
    directory
        The run directory, where it still exists: the starts that custodian packed away are taken from there.

    Raises
    ------
    InputError
        If the document holds no relaxation, or was stored without its ionic steps.
    """
    found = [_attempt(calculation) for calculation in reversed(task.calcs_reversed or [])]
    earlier = [] if directory is None else _earlier(Path(directory))
    attempts = [attempt for attempt in (*earlier, *found) if attempt.relaxes]
    if not found or not found[-1].relaxes:
        raise InputError("The task document holds no relaxation: VASP was not told to move atoms (NSW, IBRION).")
    jobs = task.custodian
    corrections = None if jobs is None else corrections_in([job.model_dump() for job in jobs])
    caveats = {} if directory is not None else {"attempts": "the task document does not tell of starts that failed"}
    return VaspRun(None if directory is None else Path(directory), attempts, corrections, caveats)


def _earlier(directory: Path) -> list[AttemptFigures]:
    """Starts that a task document knows nothing of: those in archives, and in folders of earlier launches."""
    files = read_directory(directory).attempts
    return [
        read_attempt(one) for one in files if one.source != LAST and (".tar" in one.source or "launch" in one.source)
    ]


def _attempt(calculation: Any) -> AttemptFigures:
    """The figures of an emmet ``Calculation``."""
    inputs, output = calculation.input, calculation.output
    caveats: dict[str, str] = {}
    listed = output.ionic_steps or []
    if not listed:
        raise InputError(
            "The task document was stored without its ionic steps (store_trajectory); read the run's directory instead."
        )
    limit = inputs.parameters.get("NELM")
    statistics = _statistics(output.run_stats, caveats)
    named = calculation.task_name
    return AttemptFigures(
        source=LAST if named in {None, "standard"} else named,
        steps=[_step(step, limit) for step in listed],
        initial=_frame(inputs.structure),
        final=_frame(listed[-1].structure or output.structure),
        ended=True,
        total_moment=(output.outcar or {}).get("total_magnetization"),
        version=calculation.vasp_version,
        incar=dict(inputs.incar or {}),
        parameters=dict(inputs.parameters or {}),
        kpoints=_mesh(inputs.kpoints),
        potcars={_element(spec.titel): spec.titel for spec in inputs.potcar_spec or [] if spec.titel},
        caveats=caveats,
        **statistics,
    )


def _step(step: Any, limit: int | None) -> IonicStep:
    electronic = step.num_electronic_steps
    last = step.electronic_steps[-1] if step.electronic_steps else None
    energy = extrapolated(
        step.e_fr_energy, step.e_0_energy, *(() if last is None else (last.e_fr_energy, last.e_0_energy))
    )
    force = None if step.forces is None else largest_force(np.array(step.forces))
    converged = electronic < limit if electronic and limit else None
    return IonicStep(electronic or None, energy, force, converged)


def _statistics(statistics: Any, caveats: dict[str, str]) -> dict[str, Any]:
    figures = {name: getattr(statistics, theirs, 0) or None for name, theirs in _STATISTICS.items()}
    caveats |= {name: _UNTOLD for name, figure in figures.items() if figure is None}
    return figures | {"cores": None if figures["cores"] is None else int(figures["cores"])}


def _frame(structure: Structure | None) -> Frame | None:
    if structure is None:
        return None
    species = tuple(site.specie.symbol for site in structure)
    return Frame(np.array(structure.lattice.matrix), np.array(structure.frac_coords), species)


def _mesh(kpoints: Any) -> dict[str, Any] | None:
    content: Mapping[str, Any] = kpoints.as_dict() if hasattr(kpoints, "as_dict") else kpoints or {}
    style = str(content.get("generation_style", "")).lower()
    if not style.startswith(("g", "m")):
        return None
    divisions = tuple(int(number) for number in content["kpoints"][0])
    shift = tuple(float(offset) for offset in content.get("usershift") or (0, 0, 0))
    return kpoint_mesh(divisions, shift, monkhorst_pack=style.startswith("m"))


def _element(title: str) -> str:
    return title.split()[1].partition("_")[0]
