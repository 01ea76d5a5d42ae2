"""Energies without moving atoms: of several initial moments before a relaxation, and at another level of theory after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from definet_flows.defects import DefectConfiguration
from definet_flows.engines.moments import Scheme
from definet_flows.engines.relaxation import FloatArray, Relaxation, SinglePointEnergy
from definet_flows.engines.vasp.attempts import read_attempt
from definet_flows.engines.vasp.files import read_directory
from definet_flows.engines.vasp.folder import RunFolder
from definet_flows.engines.vasp.inputs import RunInputs, single_point_inputs
from definet_flows.engines.vasp.settings import SinglePoint, VaspEngine
from definet_flows.errors import InputError

Launch = Callable[[VaspEngine, RunInputs, RunFolder], str | None]
"""Runs VASP in a folder; why it failed, or None."""

_AT_START = SinglePoint(functional="PBE")


def chosen_moments(
    engine: VaspEngine, configuration: DefectConfiguration, start: FloatArray, folder: RunFolder, launch: Launch
) -> Scheme:
    """The scheme of initial moments to relax with: of several, the one of the lowest energy at the start.

    Parameters
    ----------
    engine
        Its `moments` are compared.
    configuration
        What is relaxed.
    start
        [n_sites, 3] Å in host site order.
    folder
        Of the run; each scheme is tried in a folder of its own below.
    launch
        Runs VASP.
    """
    if len(engine.moments) == 1:
        return engine.moments[0]
    for scheme in engine.moments:
        inputs = single_point_inputs(engine, configuration, start, _AT_START, scheme=scheme)
        _run_once(engine, inputs, folder.below(f"moments-{scheme}"), launch)
    energies = dict(zip(engine.moments, (one.energy for one in tried_moments(engine, folder)), strict=True))
    known = {scheme: energy for scheme, energy in energies.items() if energy is not None}
    return min(known, key=lambda scheme: known[scheme]) if known else engine.moments[0]


def with_single_points(
    engine: VaspEngine, configuration: DefectConfiguration, folder: RunFolder, outcome: Relaxation, launch: Launch
) -> Relaxation:
    """The outcome with the energies of other moments and of the other level of theory, which is run if it is missing.

    The trials of moments count among the costs of the relaxation; the single point after it does not.
    """
    if outcome.details is None:
        return outcome
    trials = list(tried_moments(engine, folder))
    after = []
    level = engine.single_point
    if level is not None and outcome.converged and outcome.positions is not None:
        below = folder.below("single-point")
        inputs = single_point_inputs(engine, configuration, np.array(outcome.positions), level)
        _run_once(engine, inputs, below, launch)
        after = [_read(below, level.functional)]
    costs = {
        "wall_seconds": _sum(outcome.wall_seconds, [one.wall_seconds for one in trials]),
        "core_hours": _sum(outcome.core_hours, [one.core_hours for one in trials]),
    }
    details = outcome.details.model_copy(update={"single_points": [*trials, *after]})
    return outcome.model_copy(update={"details": details, **costs})


def tried_moments(engine: VaspEngine, folder: RunFolder) -> Iterator[SinglePointEnergy]:
    """The energies at the start of every scheme that was tried."""
    if len(engine.moments) > 1:
        for scheme in engine.moments:
            yield _read(folder.below(f"moments-{scheme}"), f"moments {scheme}")


def _run_once(engine: VaspEngine, inputs: RunInputs, folder: RunFolder, launch: Launch) -> None:
    if folder.state.get("ended"):
        return
    if folder.started:
        folder.put_aside()
    launch(engine, inputs, folder)
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
