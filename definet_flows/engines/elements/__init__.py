"""Elemental phases, from which chemical potentials are counted, and their relaxation."""

from definet_flows.engines.elements.phases import ElementalPhase, elemental_phase
from definet_flows.engines.elements.relaxing import PhaseRelaxation, relax_phase

__all__ = ["ElementalPhase", "PhaseRelaxation", "elemental_phase", "relax_phase"]
