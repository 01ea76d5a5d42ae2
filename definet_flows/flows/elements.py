"""The elemental phases that a campaign's formation energies need, relaxed with its engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from definet_flows.engines import ForceFieldEngine
from definet_flows.engines.elements import ElementalPhase, PhaseRelaxation, elemental_phase, relax_phase
from definet_flows.errors import InputError
from definet_flows.flows.campaign import Campaign
from definet_flows.records.documents import EngineSummary, State
from definet_flows.records.energetics.documents import ElementRecord
from definet_flows.records.energetics.elements import COLLECTION, element_key
from definet_flows.records.store import RecordStore

OnElement = Callable[[ElementRecord], None]


def relax_elements(
    campaigns: Sequence[Campaign],
    store: RecordStore,
    on_element: OnElement | None = None,
    *,
    retry_failed: bool = False,
) -> list[ElementRecord]:
    """Relax the elemental phases of the hosts and dopants of a campaign file, but for those that the store has.

    Parameters
    ----------
    campaigns
        Those of one file; they share an engine.
    store
        Where the records go.
    on_element
        Called with each record that is made.
    retry_failed
        Relax those again that did not converge.

    Returns
    -------
    list of ElementRecord
        Of all of them, by element.

    Raises
    ------
    InputError
        If the engine cannot do it, or the structure of an element is not known.
    """
    engine = campaigns[0].engine
    if not isinstance(engine, ForceFieldEngine):
        raise InputError(
            f"Elemental phases are relaxed with the forcefield engine only, and {campaigns[0].title} has {engine.name}: write "
            "their energies into a table and give it as `definet-flows energies --elements FILE`."
        )
    phases = [elemental_phase(element) for element in sorted(elements_of(campaigns))]
    keys = {_key(phase, engine): phase for phase in phases}
    there = {one.key: one for one in store.read(COLLECTION, ElementRecord, {"key": {"$in": list(keys)}})}
    records = []
    for key, phase in keys.items():
        known = there.get(key)
        if known is None or (retry_failed and known.state != "converged"):
            known = record_of_phase(phase, engine, relax_phase(engine, phase))
            store.write(COLLECTION, [known])
            if on_element is not None:
                on_element(known)
        records.append(known)
    return records


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


def record_of_phase(phase: ElementalPhase, engine: ForceFieldEngine, outcome: PhaseRelaxation) -> ElementRecord:
    """The record of a relaxed phase.

    Parameters
    ----------
    phase
        Where it started.
    engine
        What relaxed it.
    outcome
        Where it ended.
    """
    state: State = "converged" if outcome.converged else ("failed" if outcome.error else "unconverged")
    limit = f"forces or stress were above {engine.force_threshold:g} eV/Å after {outcome.ionic_steps} evaluations"
    return ElementRecord(
        key=_key(phase, engine),
        element=phase.element,
        phase=phase.name,
        source=phase.source,
        physics_hash=engine.physics_hash,
        engine=EngineSummary(
            name=engine.name,
            version=outcome.engine_version,
            physics=engine.physics,
            physics_hash=engine.physics_hash,
            execution=engine.execution,
        ),
        state=state,
        reason=None if outcome.converged else outcome.error or limit,
        n_atoms=len(phase.structure),
        energy_per_atom=outcome.energy_per_atom,
        lattice=outcome.lattice,
        positions=outcome.positions,
        ionic_steps=outcome.ionic_steps,
        max_force=outcome.max_force,
        wall_seconds=outcome.wall_seconds,
        core_hours=outcome.wall_seconds * engine.cores / 3600,
    )


def _key(phase: ElementalPhase, engine: ForceFieldEngine) -> str:
    return element_key(phase.element, phase.name, engine.physics_hash, None)
