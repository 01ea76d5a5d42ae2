"""A run of the engine's own, through custodian, adopted as if a group had made it."""

from __future__ import annotations

import numpy as np

from definet_flows.records import RecordStore
from definet_flows.records.adoption import adopt_directories, named_origin


def test_adoption_tells_the_same_as_the_engine(engine, pair, tmp_path):
    bracketing = {"do": "print", "text": "ZBRENT: fatal error in bracketing", "after": 3, "times": 1}
    ours = engine([bracketing]).relax(pair)
    with RecordStore.in_memory() as store:
        (found,) = adopt_directories(store, [tmp_path / "vasp"], pair.host, named_origin(), 0.01, "adopted")
    record = found.record
    assert (record.configuration_id, record.start, record.state) == (pair.id, "unrelaxed", "converged")
    assert (record.ionic_steps, record.electronic_steps) == (ours.ionic_steps, ours.electronic_steps)
    assert (record.energy, record.max_force_history) == (ours.energy, ours.max_force_history)
    assert (record.details.attempts, record.details.corrections) == (ours.details.attempts, ours.details.corrections)
    assert [attempt.source for attempt in record.details.attempts] == ["error.1.tar.gz", "."]
    assert [correction.errors for correction in record.details.corrections] == [["zbrent"]]
    assert np.allclose(record.positions, ours.positions)
