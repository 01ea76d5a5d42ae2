"""The figures of a run as every engine reports them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from definet_flows.defects.distances import minimum_image
from definet_flows.defects.host import FloatArray, Host
from definet_flows.engines.relaxation import Attempt, Relaxation, RunDetails
from definet_flows.engines.vasp.outputs.attempts import AttemptFigures
from definet_flows.engines.vasp.outputs.figures import Frame
from definet_flows.engines.vasp.outputs.files import OUTPUTS
from definet_flows.engines.vasp.outputs.physics import cutoff_of, functional_of
from definet_flows.engines.vasp.outputs.runs import VaspRun

Placed = Callable[[Frame], FloatArray]
"""[n_sites, 3] Å in host site order, of the atoms of a file."""

_KB_PER_GB = 1e6


def relaxation_of(run: VaspRun, placed: Placed) -> Relaxation:
    """The figures of a run.

    Parameters
    ----------
    run
        The run.
    placed
        Gives [n_sites, 3] Å in host site order for the atoms of a file, such as `host_positions`.
    """
    steps, last = run.steps, run.last
    caveats = _caveats(run)
    reason = _failure(run)
    wall_seconds, core_hours, cores = _costs(run.attempts, caveats)
    forces = [step.max_force for step in steps]
    known = forces.index(None) if None in forces else len(forces)
    if known < len(forces):
        caveats["max_force_history"] = f"the forces of ionic step {known + 1} are not on file"
    electronic = [attempt.electronic_steps for attempt in run.attempts]
    return Relaxation(
        converged=reason is None and bool(run.ionic_converged) and run.electronic_converged is not False,
        error=reason,
        ionic_steps=len(steps),
        electronic_steps=None if None in electronic else sum(filter(None, electronic)),
        max_force_history=[round(force, 6) for force in forces[:known] if force is not None],
        max_force=last.steps[-1].max_force if last.steps else None,
        energy=last.steps[-1].energy if last.steps else None,
        total_moment=last.total_moment,
        wall_seconds=wall_seconds,
        cores=cores,
        core_hours=core_hours,
        positions=None if last.final is None else placed(last.final).tolist(),
        engine_version=f"VASP {last.version or 'of unknown version'}",
        details=_details(run, caveats),
    )


def host_positions(host: Host, sites: Sequence[int] | np.ndarray[Any, Any]) -> Placed:
    """Places the atoms of files that we wrote ourselves, whose sites are known.

    Parameters
    ----------
    host
        The pristine supercell.
    sites
        [n_atoms] host site of each atom in the order of the POSCAR.

    Returns
    -------
    callable
        Frame to [n_sites, 3] Å in host site order, atoms at the periodic image nearest to their site, vacancy placeholders at
        their pristine sites.
    """

    def placed(frame: Frame) -> FloatArray:
        positions = host.positions.copy()
        pristine = positions[list(sites)]
        positions[list(sites)] = pristine + minimum_image(frame.frac_coords @ frame.lattice - pristine, host.lattice)
        return positions

    return placed


def _failure(run: VaspRun) -> str | None:
    """Why a run is no result, in one sentence; None where it is one, converged or not."""
    n_steps = len(run.steps)
    if not run.last.steps:
        flaws = "; ".join(f"{name}: {run.last.caveats[name]}" for name in OUTPUTS if name in run.last.caveats)
        return f"VASP finished no ionic step{' in its last start' if n_steps else ''}{f' ({flaws})' if flaws else ''}"
    if run.ionic_converged:
        return None
    if run.last.ended is False:
        return f"VASP was cut off after {n_steps} ionic steps"
    if run.ionic_converged is None:
        return f"no file tells whether it converged in its {n_steps} ionic steps"
    return None


def _caveats(run: VaspRun) -> dict[str, str]:
    """Caveats of all starts; those of earlier ones carry their name."""
    caveats = dict(run.caveats)
    for attempt in run.attempts:
        prefix = "" if attempt is run.last else f"{attempt.source}: "
        caveats |= {f"{prefix}{name}": reason for name, reason in attempt.caveats.items()}
    return caveats


def _costs(
    attempts: Sequence[AttemptFigures], caveats: dict[str, str]
) -> tuple[float | None, float | None, int | None]:
    """Elapsed seconds, core-hours and cores of the last start; starts that tell no time are named, not counted as none."""
    timed = [(attempt.wall_seconds, attempt.cores) for attempt in attempts if attempt.wall_seconds is not None]
    silent = [attempt.source for attempt in attempts if attempt.wall_seconds is None]
    known_cores = [attempt.cores for attempt in attempts if attempt.cores is not None]
    cores = known_cores[-1] if known_cores else None
    if cores is None:
        caveats["cores"] = "no OUTCAR tells the number of cores"
        caveats["core_hours"] = caveats["cores"]
    if not timed:
        return None, None, cores
    if silent:
        caveats["wall_seconds"] = f"less than all: nothing tells the time of {', '.join(silent)}"
    wall_seconds = sum(seconds for seconds, _ in timed)
    if cores is None:
        return wall_seconds, None, None
    return wall_seconds, sum(seconds * (held or cores) for seconds, held in timed) / 3600, cores


def _details(run: VaspRun, caveats: dict[str, str]) -> RunDetails:
    attempts = run.attempts
    cpu = [attempt.cpu_seconds for attempt in attempts if attempt.cpu_seconds is not None]
    memory = [attempt.memory_kb for attempt in attempts if attempt.memory_kb is not None]
    return RunDetails(
        directory=None if run.directory is None else str(run.directory.resolve()),
        functional=functional_of(run.last),
        encut=cutoff_of(run.last),
        electronic_converged=run.electronic_converged,
        electronic_steps_history=[step.electronic_steps for step in run.steps],
        energy_history=[step.energy for step in run.steps],
        cpu_seconds=sum(cpu) if cpu else None,
        memory_gb=max(memory) / _KB_PER_GB if memory else None,
        attempts=[
            Attempt(
                source=attempt.source,
                ionic_steps=len(attempt.steps),
                electronic_steps=attempt.electronic_steps,
                wall_seconds=attempt.wall_seconds,
                cores=attempt.cores,
                ended=attempt.ended,
            )
            for attempt in attempts
        ],
        corrections=run.corrections,
        caveats=caveats,
    )
