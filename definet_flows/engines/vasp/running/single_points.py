"""Energies without moving atoms: of several initial moments before a relaxation, and at another level of theory after it."""

from __future__ import annotations

import numpy as np

from definet_flows.engines.moments import Scheme
from definet_flows.engines.relaxation import Relaxation, SinglePointEnergy
from definet_flows.engines.vasp.inputs.sets import RunInputs
from definet_flows.engines.vasp.outputs.attempts import read_attempt
from definet_flows.engines.vasp.outputs.files import read_directory
from definet_flows.engines.vasp.running.folder import RunFolder
from definet_flows.engines.vasp.running.job import VaspJob
from definet_flows.engines.vasp.running.launching import launch
from definet_flows.engines.vasp.settings import SinglePoint, VaspSettings
from definet_flows.errors import InputError

_AT_START = SinglePoint(functional="PBE")


def chosen_moments(job: VaspJob) -> Scheme:
    """The scheme of initial moments to relax with: of several, the one of the lowest energy at the start.

    Each scheme is tried in a folder of its own below that of the run.

    Parameters
    ----------
    job
        The relaxation to be run.
    """
    if len(job.settings.moments) > 1:
        for scheme in job.settings.moments:
            inputs = job.single_point(job.start, _AT_START, scheme)
            _run_once(job.settings, inputs, job.folder.below(f"moments-{scheme}"))
    return _lowest(job)


def with_single_points(job: VaspJob, outcome: Relaxation) -> Relaxation:
    """The outcome with the energies of other moments and of the other level of theory, which is run if it is missing.

    The trials of moments count among the costs of the relaxation; the single point after it does not.
    """
    if outcome.details is None:
        return outcome
    trials = _trials(job)
    after = []
    level = job.settings.single_point
    if level is not None and outcome.converged and outcome.positions is not None:
        below = job.folder.below("single-point")
        _run_once(job.settings, job.single_point(np.array(outcome.positions), level, _lowest(job)), below)
        after = [_read(below, level.functional)]
    costs = {
        "wall_seconds": _sum(outcome.wall_seconds, [one.wall_seconds for one in trials.values()]),
        "core_hours": _sum(outcome.core_hours, [one.core_hours for one in trials.values()]),
    }
    details = outcome.details.model_copy(update={"single_points": [*trials.values(), *after]})
    return outcome.model_copy(update={"details": details, **costs})


def _trials(job: VaspJob) -> dict[Scheme, SinglePointEnergy]:
    """The energies at the start by scheme; none where there was no choice."""
    schemes = job.settings.moments if len(job.settings.moments) > 1 else ()
    return {scheme: _read(job.folder.below(f"moments-{scheme}"), f"moments {scheme}") for scheme in schemes}


def _lowest(job: VaspJob) -> Scheme:
    energies = {scheme: one.energy for scheme, one in _trials(job).items() if one.energy is not None}
    return min(energies, key=lambda scheme: energies[scheme]) if energies else job.settings.moments[0]


def _run_once(settings: VaspSettings, inputs: RunInputs, folder: RunFolder) -> None:
    if folder.state.get("ended"):
        return
    if folder.started:
        folder.put_aside()
    launch(settings, inputs, folder)
    folder.note(ended=True)


def _read(folder: RunFolder, name: str) -> SinglePointEnergy:
    reason = folder.state.get("reason")
    try:
        run = read_attempt(read_directory(folder.path).attempts[-1])
    except InputError as error:
        return SinglePointEnergy(name=name, error=reason or str(error))
    step = run.steps[-1] if run.steps and run.steps[-1].electronic_converged else None
    seconds = run.wall_seconds
    return SinglePointEnergy(
        name=name,
        energy=None if step is None else step.energy,
        total_moment=None if step is None else run.total_moment,
        wall_seconds=seconds,
        core_hours=None if seconds is None or run.cores is None else seconds * run.cores / 3600,
        error=reason if step is not None else reason or "the self-consistency cycle did not converge",
    )


def _sum(first: float | None, others: list[float | None]) -> float | None:
    if first is None:
        return None
    return first + sum(other for other in others if other is not None)
