"""Records of elemental phases with given energies."""

from __future__ import annotations

from definet_flows.records.documents import EngineSummary
from definet_flows.records.energetics import ElementRecord
from definet_flows.records.energetics.elements import element_key

ENGINE = EngineSummary(name="forcefield", version="test 1", physics={}, physics_hash="p" * 16, execution={})


def element(symbol, energy, phase="phase", state="converged", engine=ENGINE):
    return ElementRecord(
        key=element_key(symbol, phase, engine.physics_hash, None),
        element=symbol,
        phase=phase,
        source="by hand",
        physics_hash=engine.physics_hash,
        engine=engine,
        state=state,
        n_atoms=1,
        energy_per_atom=energy,
        lattice=[[3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0]],
        positions=[[0.0, 0, 0]],
        ionic_steps=1,
        max_force=0.0,
        wall_seconds=1.0,
        core_hours=1 / 3600,
    )
