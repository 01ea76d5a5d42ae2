"""The elemental phases and compounds that a campaign's formation energies need, relaxed with its engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from definet_flows.engines import EngineSettings
from definet_flows.engines.elements import (
    ElementalPhase,
    crystal_phase,
    elemental_phase,
    own_density,
    relax_phase,
)
from definet_flows.flows.campaign import Campaign
from definet_flows.records.documents import State
from definet_flows.records.energetics.documents import ElementRecord
from definet_flows.records.energetics.elements import COLLECTION, element_key
from definet_flows.records.energetics.level import level_hash
from definet_flows.records.extract import engine_summary
from definet_flows.records.store import RecordStore


def relax_elements(
    campaigns: Sequence[Campaign], store: RecordStore, directory: Path, *, retry_failed: bool = False
) -> list[ElementRecord]:
    """Relax the phases of a campaign file, but for those that the store has.

    Parameters
    ----------
    campaigns
        Those of one file; they share an engine.
    store
        Where the records go.
    directory
        Where an engine's runs go.
    retry_failed
        Relax those again that did not converge.

    Returns
    -------
    list of ElementRecord
        Of all of them, those that the file names last.

    Raises
    ------
    InputError
        If what the engine needs is missing, or a structure is not known.
    """
    phases = phases_of(campaigns)
    engine = campaigns[0].engine.in_campaign(directory, campaigns[0].host.host())
    known = known_phases(store, phases, retry_failed=retry_failed)
    for key, phase in phases.items():
        if key not in known:
            known[key] = relaxed(phase, engine, campaigns[0].elements.kpoint_density)
            store.write(COLLECTION, [known[key]])
    return [known[key] for key in phases]


def phases_of(campaigns: Sequence[Campaign]) -> dict[str, ElementalPhase]:
    """The phases that the formation energies of these campaigns need, by the key of their record; errors as above.

    Parameters
    ----------
    campaigns
        Those of one file; their configurations are listed for it.
    """
    engine, settings = campaigns[0].engine, campaigns[0].elements
    given = [crystal_phase(file) for file in settings.crystals]
    others = elements_of(campaigns) - {one.element for one in given}
    listed = [elemental_phase(element) for element in sorted(others)]
    return {_key(phase, engine, settings.kpoint_density): phase for phase in (*listed, *given)}


def known_phases(store: RecordStore, keys: Iterable[str], *, retry_failed: bool = False) -> dict[str, ElementRecord]:
    """The records of phases that need not be relaxed.

    Parameters
    ----------
    store
        Where they are.
    keys
        Of `phases_of`.
    retry_failed
        Leave out what did not converge.
    """
    criteria = {"key": {"$in": list(keys)}} | ({"state": "converged"} if retry_failed else {})
    return {one.key: one for one in store.read(COLLECTION, ElementRecord, criteria)}


def elements_of(campaigns: Sequence[Campaign]) -> set[str]:
    """Elements whose energies the formation energies of these campaigns need.

    A host of one element sets that element's chemical potential itself.

    Parameters
    ----------
    campaigns
        Their configurations are listed for it.
    """
    needed: set[str] = set()
    for campaign in campaigns:
        host = campaign.host.host()
        own = set(host.species)
        brought = {one for each in campaign.configurations.configurations(host) for one in each.species}
        needed |= brought - own if len(own) == 1 else brought | own
    return needed


def relaxed(phase: ElementalPhase, engine: EngineSettings, kpoint_density: float) -> ElementRecord:
    """Relax a phase.

    Parameters
    ----------
    phase
        Where it starts.
    engine
        What relaxes it.
    kpoint_density
        As the campaign asks for it, k-points per reciprocal volume, Å³.
    """
    density = own_density(engine, phase, kpoint_density)
    outcome = relax_phase(engine, phase, density)
    state: State = "converged" if outcome.converged else ("failed" if outcome.error else "unconverged")
    limit = f"forces or stress were above {engine.force_threshold:g} eV/Å after {outcome.ionic_steps} evaluations"
    return ElementRecord(
        key=_key(phase, engine, kpoint_density),
        element=phase.element,
        phase=phase.name,
        source=phase.source,
        physics_hash=engine.physics_hash,
        kpoint_density=density,
        kpoints=outcome.kpoints,
        engine=engine_summary(engine, outcome.engine_version),
        state=state,
        reason=None if outcome.converged else outcome.error or limit,
        n_atoms=len(phase.structure),
        energy_per_atom=outcome.energy_per_atom,
        lattice=outcome.lattice,
        positions=outcome.positions,
        ionic_steps=outcome.ionic_steps,
        max_force=outcome.max_force,
        wall_seconds=outcome.wall_seconds,
        core_hours=outcome.core_hours,
    )


def _key(phase: ElementalPhase, engine: EngineSettings, kpoint_density: float) -> str:
    density = own_density(engine, phase, kpoint_density)
    return element_key(phase.element, phase.name, level_hash(engine.physics), density)
