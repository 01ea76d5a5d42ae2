"""Formation and binding energies of defects, and the chemical potentials they are counted from."""

from definet_flows.records.energetics.documents import (
    BindingEnergy,
    ChargeTerm,
    ChemicalPotentials,
    ElementRecord,
    EnergyCorrection,
    FormationEnergy,
    RelativeEnergy,
)
from definet_flows.records.energetics.elements import ElementEnergies, element_energies, read_element_table
from definet_flows.records.energetics.energies import binding_energy, formation_energy
from definet_flows.records.energetics.potentials import host_limits
from definet_flows.records.energetics.screen import ScreenEnergies, screen_energies

__all__ = [
    "BindingEnergy",
    "ChargeTerm",
    "ChemicalPotentials",
    "ElementEnergies",
    "ElementRecord",
    "EnergyCorrection",
    "FormationEnergy",
    "RelativeEnergy",
    "ScreenEnergies",
    "binding_energy",
    "element_energies",
    "formation_energy",
    "host_limits",
    "read_element_table",
    "screen_energies",
]
