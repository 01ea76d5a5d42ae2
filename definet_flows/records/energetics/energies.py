"""Formation and binding energies from total energies: pure arithmetic, with what may not be combined refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from definet_flows.defects import VACANCY
from definet_flows.errors import InputError
from definet_flows.records.documents import RelaxationRecord
from definet_flows.records.energetics.documents import ChargeTerm, EnergyCorrection


def formation_energy(
    energy: float,
    pristine_energy: float,
    added: Mapping[str, int],
    potentials: Mapping[str, float],
    charge: int = 0,
    charge_term: ChargeTerm | None = None,
    correction: EnergyCorrection | None = None,
) -> float:
    """E(defect) - E(pristine) - Σ n μ + q·(E_F + E_VBM) + correction.

    Parameters
    ----------
    energy, pristine_energy
        Of the defect's cell and of the pristine supercell, eV.
    added
        Atoms by element, n > 0 added to the pristine supercell and n < 0 taken away.
    potentials
        Chemical potential of each element, eV per atom.
    charge
        Total charge of the defect's cell in elementary charges.
    charge_term, correction
        Both are needed where the cell is charged.

    Returns
    -------
    float
        eV.

    Raises
    ------
    InputError
        If the cell is charged and either is missing, or a chemical potential is.
    """
    missing = sorted(element for element, number in added.items() if number and element not in potentials)
    if missing:
        raise InputError(f"There is no chemical potential of {', '.join(missing)}.")
    neutral = (
        energy - pristine_energy - sum(number * potentials[element] for element, number in added.items() if number)
    )
    if not charge:
        return neutral
    if charge_term is None or correction is None:
        raise InputError(
            f"The cell has the charge {charge:+d}: its formation energy needs the Fermi level, the valence band maximum and a "
            "finite-size correction, and without them it would depend on the size of the supercell."
        )
    electrons = charge * (charge_term.fermi_level + charge_term.valence_band_maximum)
    return neutral + electrons + correction.energy


def binding_energy(complex_energy: float, part_energies: Sequence[float], pristine_energy: float) -> float:
    """Σ E_f(parts) - E_f(complex), positive = bound.

    Every atom that the complex adds or lacks, its parts add or lack as well, so that the chemical potentials cancel and the
    total energies are enough: Σ E(parts) - E(complex) - (number of parts - 1)·E(pristine).

    Parameters
    ----------
    complex_energy
        Of the supercell with the complex, eV.
    part_energies
        Of the same supercell with each part alone, eV.
    pristine_energy
        Of the same supercell without defects, eV.
    """
    return sum(part_energies) - complex_energy - (len(part_energies) - 1) * pristine_energy


def added_atoms(defects: Iterable[tuple[int, str]], species: Sequence[str]) -> dict[str, int]:
    """Atoms by element that changed sites add to the pristine supercell (n > 0) or take away (n < 0).

    Parameters
    ----------
    defects
        Changed sites as (site, new species or vacancy).
    species
        Element of each pristine site.
    """
    counts: Counter[str] = Counter()
    for site, new in defects:
        counts[species[site]] -= 1
        if new != VACANCY:
            counts[new] += 1
    return {element: number for element, number in sorted(counts.items()) if number}


def refuse_unlike(records: Sequence[RelaxationRecord]) -> None:
    """Energies may be combined only where engine, settings and supercell are the same.

    Raises
    ------
    InputError
        If they differ; the message names the first difference.
    """
    first = records[0]
    for other in records[1:]:
        if other.engine.physics_hash != first.engine.physics_hash:
            raise InputError(
                f"Energies of {_engine(first)} and {_engine(other)} were to be combined; they have no common zero."
            )
        if other.host.fingerprint != first.host.fingerprint:
            raise InputError(
                f"Energies of two supercells of {first.host.name} were to be combined ({first.host.n_sites} and "
                f"{other.host.n_sites} sites); relax all of them in the same one."
            )


def _engine(record: RelaxationRecord) -> str:
    return f"the {record.engine.name} engine with the settings {record.engine.physics_hash}"
