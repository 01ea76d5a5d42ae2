from __future__ import annotations

import pytest

from definet_flows.records import RecordStore, open_store


@pytest.fixture(params=["memory", "embedded", "database"])
def store(request, tmp_path):
    """The same records are built in every kind of store."""
    place = {"embedded": lambda: tmp_path / "run", "database": lambda: request.getfixturevalue("mongo_address")}
    opened = RecordStore.in_memory() if request.param == "memory" else open_store(place[request.param]())
    with opened:
        yield opened
