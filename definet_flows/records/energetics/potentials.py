"""Chemical potentials that equilibrium with the host allows, at its corners."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

from definet_flows.errors import InputError
from definet_flows.records.energetics.documents import ChemicalPotentials

TOLERANCE = 1e-9
"""eV per atom; a host that is less stable than its elements by more has no chemical potentials."""


def host_limits(
    atoms: Mapping[str, int], energy: float, elements: Mapping[str, float], impurities: frozenset[str] = frozenset()
) -> list[ChemicalPotentials]:
    """Chemical potentials at the corners of Σ n μ = μ(host) and μ ≤ μ(element).

    At each corner all elements of the host but one are at their elemental phases, and the host fixes that one: for a compound
    AB₂ these are the A-rich and the B-rich limit. A host of one element has one limit, set by itself. Impurities are at their
    elemental phases throughout.

    Parameters
    ----------
    atoms
        Number of atoms of each element in the pristine supercell.
    energy
        Of the pristine supercell, eV.
    elements
        Energy of each elemental phase, eV per atom.
    impurities
        Elements that defects bring in.

    Raises
    ------
    InputError
        If an element is missing, or the host is less stable than its elements.
    """
    foreign = impurities - atoms.keys()
    needed = set(foreign) if len(atoms) == 1 else atoms.keys() | foreign
    missing = sorted(needed - elements.keys())
    if missing:
        raise InputError(f"There is no energy of the elemental phase of {', '.join(missing)}.")
    capped = {symbol: elements[symbol] for symbol in sorted(foreign)}
    if len(atoms) == 1:
        ((symbol, number),) = atoms.items()
        return [ChemicalPotentials(limit=f"{symbol}-rich", values={symbol: energy / number, **capped})]
    excess = energy - sum(number * elements[symbol] for symbol, number in atoms.items())
    if excess > TOLERANCE * sum(atoms.values()):
        raise InputError(
            f"The host {formula(atoms)} is less stable than its elemental phases by {excess / sum(atoms.values()):.4f} eV per "
            "atom, so that no chemical potentials keep it; check that all energies are of the same settings."
        )
    corners = []
    for poor, number in sorted(atoms.items(), reverse=True):
        rich = sorted(atoms.keys() - {poor})
        values = {symbol: elements[symbol] for symbol in rich} | {poor: elements[poor] + excess / number}
        corners.append(ChemicalPotentials(limit=f"{','.join(rich)}-rich", values=values | capped))
    return corners


def formula(atoms: Mapping[str, int]) -> str:
    """Reduced formula in the given order, such as MoS2."""
    unit = gcd(*atoms.values())
    return "".join(f"{symbol}{number // unit if number > unit else ''}" for symbol, number in atoms.items())
