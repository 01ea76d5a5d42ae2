"""What a VASP run left in its directory, over all its starts, as the figures that every engine reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from definet_flows.defects.distances import minimum_image
from definet_flows.defects.host import FloatArray, Host
from definet_flows.engines.relaxation import Attempt, Correction, Relaxation, RunDetails
from definet_flows.engines.vasp.attempts import AttemptFigures, read_attempt
from definet_flows.engines.vasp.files import DAMAGED, OUTPUTS, RunFile, read_directory
from definet_flows.engines.vasp.physics import cutoff_of, force_or_energy_limit, functional_of
from definet_flows.engines.vasp.steps import Frame, IonicStep
from definet_flows.errors import InputError

_KB_PER_GB = 1e6


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


def relaxation_of(run: VaspRun, placed: Callable[[Frame], FloatArray], error: str | None = None) -> Relaxation:
    """The figures of a run.

    Parameters
    ----------
    run
        The run.
    placed
        Gives [n_sites, 3] Å in host site order for the atoms of a file, such as `host_positions`.
    error
        Why the run failed, where more is known than its files tell.
    """
    steps, last = run.steps, run.last
    caveats = _caveats(run)
    reason = error or _failure(run)
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


def host_positions(host: Host, sites: Sequence[int] | np.ndarray[Any, Any]) -> Callable[[Frame], FloatArray]:
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
