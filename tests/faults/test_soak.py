from __future__ import annotations

import json

import pytest

from tests.database.environment import NoDatabaseError, database_python
from tests.faults.soak import Soak

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_a_dozen_faults_of_every_kind_change_no_result(tmp_path):
    """The queue's faults are in tests/cluster; benchmarks/fault_soak.py injects hundreds."""
    try:
        database_python()
    except NoDatabaseError as error:
        pytest.skip(str(error))
    soak = Soak(tmp_path, faults=12, seed=3, minutes=5, size=8, with_slurm=False)
    is_well = soak.run()
    journal = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert is_well, journal
    assert sum(soak.injected.values()) == 12
    assert soak.recovered == soak.injected
    assert sum("fault" in entry for entry in journal) == 12
