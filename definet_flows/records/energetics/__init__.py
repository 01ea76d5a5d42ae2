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
from definet_flows.records.energetics.elements import ElementTable, References, read_element_table, references_for
from definet_flows.records.energetics.energies import binding_energy, formation_energy
from definet_flows.records.energetics.potentials import host_limits
from definet_flows.records.energetics.screen import ScreenEnergies, check_table, screen_energies

__all__ = [
    "BindingEnergy",
    "ChargeTerm",
    "ChemicalPotentials",
    "ElementRecord",
    "ElementTable",
    "EnergyCorrection",
    "FormationEnergy",
    "References",
    "RelativeEnergy",
    "ScreenEnergies",
    "binding_energy",
    "check_table",
    "formation_energy",
    "host_limits",
    "read_element_table",
    "references_for",
    "screen_energies",
]
