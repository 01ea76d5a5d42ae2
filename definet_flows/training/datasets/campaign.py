"""Labels from the relaxations that a campaign has finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from definet_flows.defects import DefectConfiguration
from definet_flows.training.datasets.labels import LabelError, LabelSet


def is_store(source: str | Path) -> bool:
    """Whether a source of labels is the address of a database or a store file, and not a path of its own."""
    return "://" in str(source) or Path(source).suffix in {".yaml", ".yml"}


def read_campaign(place: str | Path) -> list[LabelSet]:
    """Converged relaxations of a results store, each configuration once; the unrelaxed start wins where both ended.

    Charged cells are left out: a network has no input that would tell it of a charge.

    Raises
    ------
    LabelError
        If there are none.
    InputError
        If it is no campaign directory, database or store file.
    """
    from definet_flows.records import open_store

    found: dict[tuple[str, str], dict[str, tuple[DefectConfiguration, Any]]] = {}
    physics: dict[str, dict[str, Any]] = {}
    with open_store(place, read_only=True) as store:
        location = store.location  # without the password that an address may have
        records = store.relaxations({"state": "converged", "kind": "defect", "charge": 0}, positions=True)
        for record in sorted(records, key=lambda record: record.start):
            physics[record.engine.physics_hash] = record.engine.physics
            of_host = found.setdefault((record.host.fingerprint, record.engine.physics_hash), {})
            of_host[record.configuration_id] = (store.configuration(record), record.positions)
    if not found:
        raise LabelError(f"{location} holds no converged relaxation to learn from; run the campaign first.")
    return [LabelSet.of(of_host.values(), physics[teacher]) for (_, teacher), of_host in sorted(found.items())]
