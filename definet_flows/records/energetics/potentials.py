"""Chemical potentials that equilibrium with the host allows, at its corners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import gcd

from definet_flows.errors import InputError
from definet_flows.records.energetics.documents import ChemicalPotentials
from definet_flows.records.energetics.elements import References, atoms_in

TOLERANCE = 1e-9
"""eV per atom; a host that is less stable than its elements by more has no chemical potentials."""


def host_limits(
    atoms: Mapping[str, int], energy: float, references: References, impurities: Iterable[str] = ()
) -> list[ChemicalPotentials]:
    """Chemical potentials at the corners of Σ n μ = μ(host) and μ ≤ μ(element).

    At each corner all elements of the host but one are at their elemental phases, and the host fixes that one: for a compound
    AB₂ these are the A-rich and the B-rich limit. A host of one element has one limit, set by itself. Impurities are as high as
    their elemental phases and each compound of one of them with the host's elements allow.

    Parameters
    ----------
    atoms
        Number of atoms of each element in the pristine supercell.
    energy
        Of the pristine supercell, eV.
    references
        Energies of elemental phases, and of compounds if known.
    impurities
        Elements that defects bring in.

    Raises
    ------
    InputError
        If an element is missing, or the host is less stable than its elements.
    """
    foreign = sorted(set(impurities) - atoms.keys())
    needed = set(foreign) if len(atoms) == 1 else atoms.keys() | set(foreign)
    missing = sorted(needed - references.elements.keys())
    if missing:
        raise InputError(f"There is no energy of the elemental phase of {', '.join(missing)}.")
    return [
        _with_impurities(limit, values, foreign, references) for limit, values in _corners(atoms, energy, references)
    ]


def _corners(atoms: Mapping[str, int], energy: float, references: References) -> list[tuple[str, dict[str, float]]]:
    """Name and chemical potentials of the host's own elements at each corner."""
    if len(atoms) == 1:
        ((symbol, number),) = atoms.items()
        return [(f"{symbol}-rich", {symbol: energy / number})]
    elements = references.elements
    excess = energy - _sum(atoms, elements)
    if excess > TOLERANCE * sum(atoms.values()):
        raise InputError(
            f"The host {formula(atoms)} is less stable than its elemental phases by {excess / sum(atoms.values()):.4f} eV per "
            "atom, so that no chemical potentials keep it; check that all energies are of the same settings."
        )
    corners = []
    for poor, number in sorted(atoms.items(), reverse=True):
        rich = sorted(atoms.keys() - {poor})
        values = {symbol: elements[symbol] for symbol in rich} | {poor: elements[poor] + excess / number}
        corners.append((f"{','.join(rich)}-rich", values))
    return corners


def _with_impurities(
    limit: str, own: Mapping[str, float], foreign: Iterable[str], references: References
) -> ChemicalPotentials:
    """A corner with its impurities, each below whatever would form first."""
    values, bounds = dict(own), {}
    compounds = {name: atoms_in(name) for name in references.compounds}
    for impurity in foreign:
        values[impurity] = references.elements[impurity]
        for name, atoms in compounds.items():
            others = {symbol: number for symbol, number in atoms.items() if symbol != impurity}
            if impurity in atoms and others.keys() <= own.keys():
                highest = (references.compounds[name] - _sum(others, own)) / atoms[impurity]
                if highest < values[impurity]:
                    values[impurity], bounds[impurity] = highest, name
    known = {name: atoms for name, atoms in compounds.items() if atoms.keys() <= values.keys()}
    above = {name: _sum(atoms, values) - references.compounds[name] for name, atoms in known.items()}
    exceeded = {name: excess for name, excess in above.items() if excess > TOLERANCE * sum(known[name].values())}
    return ChemicalPotentials(limit=limit, values=values, bounds=bounds, exceeded=exceeded)


def _sum(atoms: Mapping[str, int], potentials: Mapping[str, float]) -> float:
    return sum(number * potentials[symbol] for symbol, number in atoms.items())


def formula(atoms: Mapping[str, int]) -> str:
    """Reduced formula in the given order, such as MoS2."""
    unit = gcd(*atoms.values())
    return "".join(f"{symbol}{number // unit if number > unit else ''}" for symbol, number in atoms.items())
