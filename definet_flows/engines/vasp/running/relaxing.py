"""One relaxation with VASP over all its launches: begun, gone on with, or read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from definet_flows.engines.relaxation import Relaxation, RunDetails
from definet_flows.engines.vasp.inputs.potcars import check_potcars
from definet_flows.engines.vasp.inputs.sets import RunInputs
from definet_flows.engines.vasp.outputs.relaxations import Placed, relaxation_of
from definet_flows.engines.vasp.outputs.runs import VaspRun, read_run
from definet_flows.engines.vasp.running.command import check_command
from definet_flows.engines.vasp.running.custody import WalltimeError
from definet_flows.engines.vasp.running.folder import RunFolder
from definet_flows.engines.vasp.running.job import VaspJob
from definet_flows.engines.vasp.running.launching import launch
from definet_flows.engines.vasp.running.single_points import chosen_moments, with_single_points
from definet_flows.engines.vasp.settings import VaspSettings
from definet_flows.errors import InputError

_WALLTIME = "WalltimeHandler"


class Launchable(Protocol):
    """Something that VASP relaxes in a directory, as often as it has to be launched."""

    @property
    def settings(self) -> VaspSettings:
        """The settings."""

    @property
    def folder(self) -> RunFolder:
        """Its directory."""

    @property
    def elements(self) -> list[str]:
        """Symbols in the order of POSCAR, one per atom."""

    @property
    def placed(self) -> Placed:
        """The positions of the atoms of a file."""


NextInputs = Callable[[VaspRun | None], RunInputs]
"""Inputs of the next launch, from all launches so far."""


def relax(job: VaspJob) -> Relaxation:
    """Relax, or go on with, or read, what was done of it before.

    Parameters
    ----------
    job
        What to relax.

    Returns
    -------
    Relaxation
        Over all launches of this run, failed ones included.

    Raises
    ------
    InputError
        If VASP or a POTCAR is missing, or a dipole correction is asked for that is not defined.
    WalltimeError
        If the wall time ends first.
    """
    return with_single_points(job, ended(job, lambda earlier: job.inputs(earlier, chosen_moments(job))))


def ended(job: Launchable, inputs: NextInputs) -> Relaxation:
    """The figures of a run that is at its end, launched for it if need be; errors as for `relax`.

    Parameters
    ----------
    job
        What to relax.
    inputs
        Of the next launch.
    """
    if not job.folder.state.get("ended"):
        check_command(job.settings)
        check_potcars(job.settings, job.elements)
        _go_on(job, inputs)
    return outcome_of(job)


def _go_on(job: Launchable, inputs: NextInputs) -> None:
    """Launch VASP where the last launch stopped, with as many steps as are left."""
    folder, settings = job.folder, job.settings
    following = inputs(_read(folder) if folder.started else None)
    if folder.started:
        folder.put_aside()
    launch(settings, following, folder)
    outcome = outcome_of(job)
    if not outcome.converged and _stopped_for_walltime(outcome):
        raise WalltimeError(
            f"The wall time of {settings.walltime} s is nearly over, so {folder.path.name} was stopped after "
            f"{outcome.ionic_steps} ionic steps; give the same command again in another job, and it goes on from there."
        )
    folder.note(ended=outcome.error is None)


def outcome_of(job: Launchable) -> Relaxation:
    """The figures of a run over all its launches, whatever became of them.

    Parameters
    ----------
    job
        The run.
    """
    folder = job.folder
    run = _read(folder)
    if run is None:
        return _nothing_written(folder)
    outcome = relaxation_of(run, job.placed)
    attempts = outcome.details.attempts if outcome.details else []
    if not all(attempt.ended for attempt in attempts):
        outcome = _timed_by_us(outcome, folder)
    # VASP may say that it converged, and its files be cut off before that.
    whole = bool(attempts) and attempts[-1].ended
    reason = (None if outcome.converged and whole else folder.state.get("reason")) or outcome.error
    if reason is None:
        return outcome
    why = f"{reason}, after {outcome.ionic_steps} ionic steps; the files are in {folder.path}"
    return outcome.model_copy(update={"error": why, "converged": False})


def _read(folder: RunFolder) -> VaspRun | None:
    """All launches so far; None where VASP ended before it wrote anything."""
    try:
        return read_run(folder.path)
    except InputError:
        return None


def _nothing_written(folder: RunFolder) -> Relaxation:
    seconds, core_hours = folder.costs()
    return Relaxation(
        converged=False,
        error=f"{folder.state.get('reason') or 'VASP has written nothing'}; the files are in {folder.path}",
        ionic_steps=0,
        max_force_history=[],
        wall_seconds=seconds,
        cores=None,
        core_hours=core_hours,
        engine_version="VASP of unknown version",
        details=RunDetails(directory=str(folder.path)),
    )


def _timed_by_us(outcome: Relaxation, folder: RunFolder) -> Relaxation:
    """The outcome with the costs that we measured, where VASP was cut off and hence does not tell them."""
    seconds, core_hours = folder.costs()
    if outcome.details is None or seconds <= (outcome.wall_seconds or 0.0):
        return outcome
    measured = "measured around VASP, which was cut off and does not tell it"
    caveats = {name: reason for name, reason in outcome.details.caveats.items() if "wall_seconds" not in name}
    details = outcome.details.model_copy(update={"caveats": caveats | {"wall_seconds": measured}})
    return outcome.model_copy(update={"wall_seconds": seconds, "core_hours": core_hours, "details": details})


def _stopped_for_walltime(outcome: Relaxation) -> bool:
    corrections = outcome.details.corrections if outcome.details else None
    return any(one.handler == _WALLTIME for one in corrections or ())
