"""A phase relaxed with its cell by whatever engine a campaign has."""

from __future__ import annotations

from definet_flows.engines import EngineSettings, ForceFieldEngine, GpawEngine
from definet_flows.engines.elements.outcome import PhaseRelaxation
from definet_flows.engines.elements.phases import ElementalPhase


def relax_phase(engine: EngineSettings, phase: ElementalPhase, kpoint_density: float | None) -> PhaseRelaxation:
    """Relax a phase with its cell, at the level of theory of a campaign.

    Parameters
    ----------
    engine
        Of the campaign.
    phase
        Where to start.
    kpoint_density
        Of `own_density`.

    Raises
    ------
    InputError
        If what the engine needs is missing.
    """
    from definet_flows.engines.elements import stepping

    if isinstance(engine, ForceFieldEngine):
        return stepping.relax_with_potential(engine, phase)
    if isinstance(engine, GpawEngine):
        return stepping.relax_with_gpaw(engine, phase, kpoint_density)
    from definet_flows.engines.elements.vasp import relax_with_vasp

    return relax_with_vasp(engine, phase, kpoint_density)


def own_density(engine: EngineSettings, phase: ElementalPhase, kpoint_density: float) -> float | None:
    """The density of k-points that a phase gets; None for engines without k-points, and for molecules, at the Γ point.

    Parameters
    ----------
    engine
        What relaxes it.
    phase
        The phase.
    kpoint_density
        k-points per reciprocal volume, Å³, as a campaign asks for it.
    """
    return None if phase.molecule or isinstance(engine, ForceFieldEngine) else kpoint_density
