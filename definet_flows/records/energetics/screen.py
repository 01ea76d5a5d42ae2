"""The energetics of a whole screen: what the relaxations of a results store say, one supercell and engine at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.errors import InputError
from definet_flows.records.documents import HostSummary, RelaxationRecord
from definet_flows.records.energetics.documents import (
    BindingEnergy,
    ChemicalPotentials,
    FormationEnergy,
    RelativeEnergy,
)
from definet_flows.records.energetics.elements import ElementTable, References, converged_phases, references_for
from definet_flows.records.energetics.energies import (
    added_atoms,
    binding_energy,
    formation_energy,
    refuse_unlike,
)
from definet_flows.records.energetics.potentials import host_limits
from definet_flows.records.store import RecordStore

Lowest = Mapping[tuple[str, int], RelaxationRecord]
"""The relaxation of lowest energy by configuration id and charge."""


@dataclass
class ScreenEnergies:
    """Energies that may be compared: of one supercell, engine and settings.

    Parameters
    ----------
    host
        The pristine supercell.
    engine_name, physics_hash
        What relaxed.
    pristine
        The pristine supercell's relaxation.
    limits
        Chemical potentials at each limit; none where they are not known.
    remarks
        Why something is not known, in sentences.
    formation, binding, ranking
        The energies.
    left_out
        How many configurations are not in one of these, by reason.
    """

    host: HostSummary
    engine_name: str
    physics_hash: str
    pristine: RelaxationRecord | None = None
    limits: list[ChemicalPotentials] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    formation: list[FormationEnergy] = field(default_factory=list)
    binding: list[BindingEnergy] = field(default_factory=list)
    ranking: list[RelativeEnergy] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def screen_energies(
    store: RecordStore, table: ElementTable | None = None, relaxations: Iterable[RelaxationRecord] | None = None
) -> list[ScreenEnergies]:
    """Formation energies, binding energies and rankings of all that converged.

    Of a configuration that was relaxed from several starts the lowest energy counts.

    Parameters
    ----------
    store
        With relaxations of configurations and of their pristine supercells, and elemental phases of the same level.
    table
        Energies of elemental phases and compounds in place of, or beside, those that the store holds.
    relaxations
        Those that count; by default all that the store holds.
    """
    groups: dict[tuple[str, str], list[RelaxationRecord]] = {}
    for record in store.relaxations() if relaxations is None else relaxations:
        groups.setdefault((record.host.fingerprint, record.engine.physics_hash), []).append(record)
    phases = converged_phases(store)
    ordered = sorted(groups.values(), key=lambda records: (records[0].host.name, records[0].host.n_sites))
    return [_screen(store, records, references_for(records[0].engine, phases, table)) for records in ordered]


def check_table(table: ElementTable, screens: Sequence[ScreenEnergies]) -> None:
    """Refuse a table of elements that goes with no relaxation.

    Raises
    ------
    InputError
        With the physics hashes that there are.
    """
    known = dict.fromkeys(one.physics_hash for one in screens)
    if table.physics_hash not in known:
        raise InputError(
            f"The table of elements is of the physics hash {table.physics_hash}, and the relaxations are of "
            f"{', '.join(known)}: energies of different engines or settings cannot be combined."
        )


def _screen(store: RecordStore, records: Sequence[RelaxationRecord], references: References) -> ScreenEnergies:
    refuse_unlike(records)
    host = store.host(records[0].host.fingerprint)
    lowest = lowest_energies(records)
    configurations = {(one.configuration_id, one.charge) for one in records if one.kind == "defect"}
    defects = [one for one in lowest.values() if one.kind == "defect"]
    screen = ScreenEnergies(
        host=records[0].host,
        engine_name=records[0].engine.name,
        physics_hash=records[0].engine.physics_hash,
        pristine=next((one for one in lowest.values() if one.kind == "pristine" and not one.charge), None),
        ranking=rank(defects),
    )
    screen.left_out["did not converge"] = len(configurations - lowest.keys())
    if screen.pristine is None:
        screen.remarks.append("The pristine supercell has no converged relaxation, so that only rankings are known.")
    else:
        neutral = [one for one in defects if not one.charge]
        screen.left_out["charged, which needs a finite-size correction"] = len(defects) - len(neutral)
        added = {one.configuration_id: added_atoms(one.defects, host.species) for one in neutral}
        _add_limits(screen, screen.pristine, host, references, added.values())
        found = (_formation(one, screen.pristine, added[one.configuration_id], screen.limits) for one in neutral)
        screen.formation = sorted(found, key=lambda one: (one.label, one.energy, one.configuration_id))
        _add_binding(screen, screen.pristine, host, neutral)
    screen.left_out = +screen.left_out
    return screen


def lowest_energies(records: Iterable[RelaxationRecord]) -> Lowest:
    """The relaxation of lowest energy of each configuration and charge, of those that converged."""
    lowest: dict[tuple[str, int], RelaxationRecord] = {}
    for record in sorted(records, key=lambda one: one.key):
        if record.state == "converged" and record.energy is not None:
            known = lowest.setdefault((record.configuration_id, record.charge), record)
            if record.energy < _energy(known):
                lowest[record.configuration_id, record.charge] = record
    return lowest


def rank(records: Iterable[RelaxationRecord]) -> list[RelativeEnergy]:
    """Order the configurations of each recipe and charge by energy; chemical potentials cancel.

    Parameters
    ----------
    records
        One relaxation of each configuration, of one supercell and engine.
    """
    recipes: dict[tuple[str, int], list[RelaxationRecord]] = {}
    for record in records:
        recipes.setdefault((record.label, record.charge), []).append(record)
    ranking = []
    for (label, charge), members in sorted(recipes.items()):
        ordered = sorted(members, key=lambda one: (_energy(one), one.configuration_id))
        for place, member in enumerate(ordered, 1):
            ranking.append(
                RelativeEnergy(
                    configuration_id=member.configuration_id,
                    label=label,
                    n_defects=member.n_defects,
                    charge=charge,
                    rank=place,
                    relative_energy=_energy(member) - _energy(ordered[0]),
                    defect_distance=member.defect_distance,
                    multiplicity=member.multiplicity,
                )
            )
    return ranking


def _add_limits(
    screen: ScreenEnergies,
    pristine: RelaxationRecord,
    host: Host,
    references: References,
    added: Iterable[Mapping[str, int]],
) -> None:
    """The limits with those impurities whose elemental phase is known."""
    impurities = {element for counts in added for element in counts} - set(host.species)
    known = impurities & references.elements.keys()
    try:
        screen.limits = host_limits(Counter(host.species), _energy(pristine), references, known)
    except InputError as error:
        screen.remarks.append(str(error))
        return
    if lacking := sorted(impurities - known):
        screen.remarks.append(f"There is no energy of the elemental phase of {', '.join(lacking)}.")


def _formation(
    record: RelaxationRecord,
    pristine: RelaxationRecord,
    added: Mapping[str, int],
    limits: Iterable[ChemicalPotentials],
) -> FormationEnergy:
    energies = _energy(record), _energy(pristine)
    return FormationEnergy(
        configuration_id=record.configuration_id,
        label=record.label,
        host=record.host,
        n_defects=record.n_defects,
        multiplicity=record.multiplicity,
        defect_distance=record.defect_distance,
        charge=record.charge,
        engine_name=record.engine.name,
        physics_hash=record.engine.physics_hash,
        start=record.start,
        relaxation_key=record.key,
        pristine_key=pristine.key,
        added=dict(added),
        energy=energies[0],
        pristine_energy=energies[1],
        formation_energies={
            one.limit: formation_energy(*energies, added, one.values, record.charge)
            for one in limits
            if added.keys() <= one.values.keys()
        },
    )


def _add_binding(
    screen: ScreenEnergies, pristine: RelaxationRecord, host: Host, records: Iterable[RelaxationRecord]
) -> None:
    known = {one.configuration_id: _energy(one) for one in records}
    alone: dict[tuple[int, str], str] = {}
    for record in records:
        if record.n_defects < 2:
            continue
        for site, species in record.defects:
            if (site, species) not in alone:
                alone[site, species] = DefectConfiguration.create(host, {site: species}).id
        parts = [alone[defect] for defect in record.defects]
        if not known.keys() >= set(parts):
            screen.left_out["without a binding energy, for a part of it has no converged relaxation alone"] += 1
            continue
        energies = [known[part] for part in parts]
        screen.binding.append(
            BindingEnergy(
                configuration_id=record.configuration_id,
                label=record.label,
                n_defects=record.n_defects,
                defect_distance=record.defect_distance,
                multiplicity=record.multiplicity,
                parts=parts,
                binding_energy=binding_energy(_energy(record), energies, _energy(pristine)),
            )
        )
    screen.binding.sort(key=lambda one: (one.label, one.defect_distance or 0.0, one.configuration_id))


def _energy(record: RelaxationRecord) -> float:
    if record.energy is None:
        raise InputError(f"The relaxation {record.key} of {record.label} has no energy.")
    return record.energy
