"""Elemental phases and compounds, from which chemical potentials are counted, and their relaxation."""

from definet_flows.engines.elements.outcome import PhaseRelaxation
from definet_flows.engines.elements.phases import ElementalPhase, crystal_phase, elemental_phase
from definet_flows.engines.elements.relaxing import own_density, relax_phase

__all__ = [
    "ElementalPhase",
    "PhaseRelaxation",
    "crystal_phase",
    "elemental_phase",
    "own_density",
    "relax_phase",
]
