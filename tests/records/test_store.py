from __future__ import annotations

import errno
import sqlite3

import numpy as np
import pytest
from maggma.stores import MemoryStore

from definet_flows.records import (
    RecordStore,
    StoreContentError,
    StoreError,
    StoreInUseError,
    build_savings,
    open_store,
)
from definet_flows.records.documents import SCHEMA_VERSION
from definet_flows.records.extract import pristine_configuration


@pytest.fixture(params=["memory", "embedded", "database"])
def store(request, tmp_path):
    """The same answers are asked of every kind of store."""
    if request.param == "memory":
        opened = RecordStore.in_memory()
    else:
        opened = open_store(
            tmp_path / "run" if request.param == "embedded" else request.getfixturevalue("mongo_address")
        )
    with opened:
        yield opened


@pytest.fixture
def runs(copper):
    """Three configurations, each from the unrelaxed start; the first from its prediction as well."""
    configurations = [copper.configuration(changes) for changes in ({0: "Vac"}, {0: "Al"}, {0: "Vac", 1: "Al"})]
    prediction = copper.prediction(configurations[0])
    prerelaxed = copper.record(configurations[0], prediction, steps=2)
    return [copper.record(one) for one in configurations] + [prerelaxed], [prediction]


def by_key(records):
    return sorted(records, key=lambda record: record.key)


def test_what_goes_in_comes_out(store, runs):
    relaxations, predictions = runs
    store.add_relaxations(relaxations)
    store.add_predictions(predictions)
    assert by_key(store.relaxations(positions=True)) == by_key(relaxations)
    assert list(store.predictions(positions=True)) == predictions


def test_figures_are_read_without_coordinates(store, runs):
    store.add_relaxations(runs[0])
    assert all(record.positions is None for record in store.relaxations())
    assert all("positions" not in document for document in store.stores["relaxations"].query({}))
    keys = [runs[0][0].key, runs[0][3].key, "absent"]
    found = store.positions(keys)
    assert set(found) == set(keys[:2])
    assert found[keys[0]] == runs[0][0].positions


def test_criteria_select(store, runs):
    store.add_relaxations(runs[0])
    assert {record.label for record in store.relaxations({"label": "V_Cu"})} == {"V_Cu"}
    assert len(list(store.relaxations({"start": "prerelaxed"}))) == 1
    assert len(list(store.relaxations({"n_defects": {"$gt": 1}, "host.name": "Cu"}))) == 1
    assert store.states() == {record.key: "converged" for record in runs[0]}


def test_a_record_of_the_same_key_takes_its_place(store, copper):
    configuration = copper.configuration()
    store.add_relaxations([copper.record(configuration, error="it crashed")])
    store.add_relaxations([copper.record(configuration, steps=9)])
    (found,) = store.relaxations(positions=True)
    assert (found.state, found.ionic_steps) == ("converged", 9)
    assert found.positions is not None


def test_a_late_report_of_a_loss_takes_no_result_away(store, copper):
    configuration = copper.configuration()
    converged = copper.record(configuration, steps=9)
    store.add_relaxations([converged])
    store.add_relaxations([copper.record(configuration, error="its launcher died")])
    assert list(store.relaxations(positions=True)) == [converged]
    again = copper.record(configuration, steps=7)
    store.add_relaxations([again])
    assert list(store.relaxations(positions=True)) == [again]


def test_records_of_two_writers_keep_their_own_coordinates(store, copper):
    """Both have written their coordinates before either writes its record, and the first one's record comes last."""
    configuration = copper.configuration()
    first, second = (copper.record(configuration, steps=steps) for steps in (5, 6))
    moved = second.model_copy(update={"positions": (np.array(second.positions) + 0.1).tolist()})
    store.add_relaxations([first])
    (document,) = store.stores["relaxations"].query({})
    store.add_relaxations([moved])
    store.stores["relaxations"].update({name: value for name, value in document.items() if name != "_id"})
    assert list(store.relaxations(positions=True)) == [first]
    assert store.positions([first.key]) == {first.key: first.positions}


def test_coordinates_written_by_earlier_versions_are_found(store, copper):
    record = copper.record(copper.configuration())
    store.stores["arrays"].update([{"key": record.key, "positions": record.positions}])
    store.stores["relaxations"].update([record.model_dump(mode="json", exclude={"positions"})])
    assert list(store.relaxations(positions=True)) == [record]
    assert store.positions([record.key]) == {record.key: record.positions}


CRITERIA = [
    {},
    {"label": "V_Cu"},
    {"label": {"$in": ["V_Cu", "Al_Cu"]}, "state": "converged"},
    {"label": {"$nin": ["V_Cu"]}},
    {"ionic_steps": {"$gt": 2, "$lte": 5}},
    {"energy": {"$lt": 0}},
    {"reason": None},
    {"electronic_steps": None, "start": "prerelaxed"},
    {"host.name": {"$regex": "^C"}},
    {"$and": [{"n_defects": {"$gte": 2}}, {"charge": {"$in": [0, "0"]}}]},
    {"$or": [{"start": "prerelaxed"}, {"n_defects": 2}]},
    {"defects": {"$size": 2}},
    {"details": {"$exists": True}},
    {"details.functional": {"$ne": "PBE"}},
    {"max_force_history": {"$elemMatch": {"$lt": 0.01}}},
]


@pytest.mark.parametrize("criteria", CRITERIA, ids=str)
def test_questions_have_the_same_answers_everywhere(store, runs, copper, criteria):
    with RecordStore.in_memory() as oracle:
        for each in (oracle, store):
            each.add_relaxations(
                [*runs[0], copper.record(copper.configuration({0: "Al", 1: "Al"}), error="it crashed")]
            )
        expected = by_key(oracle.relaxations(criteria, positions=True))
    assert by_key(store.relaxations(criteria, positions=True)) == [
        one.model_copy(update={"last_updated": other.last_updated})
        for one, other in zip(expected, by_key(store.relaxations(criteria)), strict=True)
    ]


def test_every_structure_can_be_rebuilt(store, copper, runs):
    store.put_campaign(copper.campaign_record())
    store.add_relaxations([*runs[0], copper.record(pristine_configuration(copper.host()))])
    for record in store.relaxations(positions=True):
        configuration = store.configuration(record)
        assert configuration.id == record.configuration_id
        structure = configuration.structure(record.positions)
        assert len(structure) == record.host.n_sites - record.label.count("V_")


def test_a_host_that_no_campaign_has_is_named(store, runs):
    store.add_relaxations(runs[0])
    with pytest.raises(StoreContentError, match=f"has the host {runs[0][0].host.fingerprint}"):
        store.configuration(runs[0][0])


def test_a_campaign_is_put_in_place_of_itself(store, copper):
    store.put_campaign(copper.campaign_record())
    store.put_campaign(copper.campaign_record(baseline_ids=["a"]))
    store.put_campaign(copper.campaign_record(key="other", name="another"))
    assert [(one.name, one.baseline_ids) for one in store.campaigns()] == [("another", []), ("copper", ["a"])]


def test_savings_are_kept(store, copper, runs):
    store.put_campaign(copper.campaign_record())
    store.add_relaxations(runs[0])
    store.add_predictions(runs[1])
    savings = build_savings(store)
    store.put_savings(savings)
    store.put_savings(savings)
    assert list(store.savings()) == savings
    assert len(list(store.savings({"unrelaxed.ionic_steps": 5}))) == 1


def test_a_document_of_another_version_is_named(store, runs):
    store.stores["relaxations"].update([runs[0][0].model_dump(mode="json") | {"schema_version": 99, "novelty": 1}])
    with pytest.raises(StoreContentError, match=rf"schema version {SCHEMA_VERSION} .it says 99.*install the version"):
        list(store.relaxations())


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (
            sqlite3.OperationalError("database or disk is full"),
            "is full: free some space, then the same command goes on",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "is full: free some space, then the same command goes on"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied.: check the disk and the permissions"),
        (sqlite3.DatabaseError("file is not a database"), "file is not a database"),
    ],
)
def test_a_disk_that_fails_is_one_sentence(copper, failure, sentence):
    class Failing(MemoryStore):
        def update(self, *_):
            raise failure

    with (
        RecordStore(lambda name: Failing(name, key="key"), location="DIR") as store,
        pytest.raises(StoreError, match=sentence) as caught,
    ):
        store.add_relaxations([copper.record(copper.configuration())])
    assert caught.value.exit_code == 1
    assert "DIR" in str(caught.value)


def test_a_directory_has_one_writer_and_any_number_of_readers(tmp_path, runs):
    with open_store(tmp_path / "run") as writer:
        writer.add_relaxations(runs[0])
        with pytest.raises(StoreInUseError):
            open_store(tmp_path / "run")
        with open_store(tmp_path / "run", read_only=True) as reader:
            assert len(list(reader.relaxations(positions=True))) == len(runs[0])
    open_store(tmp_path / "run").close()


def test_a_directory_without_results_is_named(tmp_path):
    with pytest.raises(StoreContentError, match="holds no results; run a campaign with --dir") as caught:
        open_store(tmp_path, read_only=True)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store_is_named(tmp_path, runs):
    with open_store(tmp_path) as store:
        store.add_relaxations(runs[0])
        file = store.stores["relaxations"].collection_file
    file.write_bytes(b"this is not a database" * 100)
    with open_store(tmp_path, read_only=True) as store, pytest.raises(StoreError, match=f"{tmp_path}.*not a database"):
        list(store.relaxations())


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be read or written"):
        open_store(tmp_path / "file")
