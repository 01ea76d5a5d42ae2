"""Figures, each one function of a table, drawn with matplotlib's object interface so that no global state changes."""

from definet_flows.analysis.figures.displacements import plot_parity, plot_shells
from definet_flows.analysis.figures.formation import plot_formation
from definet_flows.analysis.figures.savings import plot_core_hours, plot_savings
from definet_flows.analysis.figures.steps import plot_ionic_steps, plot_supercells
from definet_flows.analysis.figures.tables import atoms_table, formation_table, pairs_table

__all__ = [
    "atoms_table",
    "formation_table",
    "pairs_table",
    "plot_core_hours",
    "plot_formation",
    "plot_ionic_steps",
    "plot_parity",
    "plot_savings",
    "plot_shells",
    "plot_supercells",
]
