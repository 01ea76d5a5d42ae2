from __future__ import annotations

import pytest

from definet_flows.records.extract import record_from_relaxation
from definet_flows.records.revision import revision
from definet_flows.records.store import open_store


@pytest.fixture(params=["directory", "database"])
def place(request, tmp_path):
    return tmp_path if request.param == "directory" else request.getfixturevalue("mongo_address")


def test_a_store_has_changed_after_a_write_and_not_without_one(copper, place):
    def run(energy):
        configuration = copper.configuration()
        relaxation = copper.relaxation(configuration, energy=energy)
        return record_from_relaxation(configuration, relaxation, copper.ENGINE, "test")

    seen = []
    for energy in (None, -1.0, -2.0):
        if energy is not None:
            with open_store(place) as store:
                store.add_relaxations([run(energy)])
        with open_store(place) as store:
            seen += [revision(store), revision(store)]
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]
    assert seen[4] == seen[5]
    assert len(set(seen)) == 3
