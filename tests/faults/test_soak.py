from __future__ import annotations

import json

import pytest

from tests.database.environment import NoDatabaseError, database_python
from tests.faults.kinds import AGAIN, BETWEEN, CLOCK, DATABASE, KILLED, MEMORY, RECOVERY
from tests.faults.soak import Soak

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


KINDS = frozenset({KILLED, BETWEEN, RECOVERY, DATABASE, MEMORY, AGAIN, CLOCK})
"""Without the queue's, which are in tests/cluster, and those that take a campaign each, which are in tests/launch/fireworks."""


def test_a_dozen_faults_change_no_result(tmp_path):
    """benchmarks/fault_soak.py injects hundreds, of every kind."""
    try:
        database_python()
    except NoDatabaseError as error:
        pytest.skip(str(error))
    soak = Soak(tmp_path, faults=12, seed=3, minutes=15, size=8, kinds=KINDS)
    is_well = soak.run()
    journal = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert is_well, journal
    assert sum(soak.injected.values()) == 12
    assert soak.recovered == soak.injected
    assert sum("fault" in entry for entry in journal) == 12
