"""Which engines relax a phase with its cell, and how they are told to."""

from __future__ import annotations

from definet_flows.engines import EngineSettings, ForceFieldEngine, VaspEngine
from definet_flows.engines.elements.forcefield import relax_with_potential
from definet_flows.engines.elements.outcome import PhaseRelaxation
from definet_flows.engines.elements.phases import ElementalPhase
from definet_flows.errors import InputError


def check_engine(engine: EngineSettings) -> None:
    """See that an engine can relax cells.

    Raises
    ------
    InputError
        If it cannot; the message says where else energies may come from.
    """
    if not isinstance(engine, ForceFieldEngine | VaspEngine):
        raise InputError(
            f"Elemental phases are relaxed with the forcefield and vasp engines, not with {engine.name}: write their energies "
            "into a table and give it as `definet-flows energies --elements FILE`."
        )


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
        If the engine cannot do it, or what it needs is missing.
    """
    check_engine(engine)
    if isinstance(engine, VaspEngine):
        from definet_flows.engines.elements.vasp import relax_with_vasp

        return relax_with_vasp(engine, phase, kpoint_density)
    assert isinstance(engine, ForceFieldEngine)  # noqa: S101  for the type checker
    return relax_with_potential(engine, phase)


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
    return None if phase.molecule or not isinstance(engine, VaspEngine) else kpoint_density
