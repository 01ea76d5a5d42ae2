from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import bson
import pytest
from maggma.stores import MemoryStore, MontyStore

from definet_flows.records.embedded import EmbeddedStore

DOCUMENTS = [
    {"key": f"{number:032x}", "number": number, "label": label, "nested": {"energy": number / 3}, "sites": [number, 2]}
    for number, label in enumerate(["V_S", "Se_S", "V_S", "V_Mo+V_S"])
]
CRITERIA = [
    {},
    {"label": "V_S"},
    {"label": {"$in": ["Se_S", "V_S"]}},
    {"number": {"$gt": 0, "$lte": 2}},
    {"nested.energy": {"$lt": 0.5}},
    {"label": {"$regex": "Mo"}},
    {"$or": [{"number": 0}, {"label": "Se_S"}]},
    {"sites": {"$size": 2}},
    {"sites": 3},
    {"key": DOCUMENTS[1]["key"]},
    {"key": {"$in": [DOCUMENTS[2]["key"], DOCUMENTS[0]["key"], "absent"]}},
    {"key": "absent"},
    {"key": DOCUMENTS[1]["key"], "label": "V_S"},
    {"key": {"$ne": DOCUMENTS[1]["key"]}},
    {"missing": {"$exists": False}},
]


COLUMNS = ("number", "label", "nested.energy")


@pytest.fixture
def store(tmp_path):
    opened = EmbeddedStore("things", str(tmp_path / "store"), columns=COLUMNS)
    opened.connect()
    return opened


def without_id(documents):
    return sorted(({k: v for k, v in one.items() if k != "_id"} for one in documents), key=lambda one: one["key"])


@pytest.mark.parametrize("criteria", CRITERIA, ids=str)
def test_queries_answer_as_maggma_in_memory(store, criteria):
    memory = MemoryStore(key="key")
    memory.connect()
    for each in (store, memory):
        each.update(DOCUMENTS)
    assert without_id(store.query(criteria)) == without_id(memory.query(criteria))
    assert store.count(criteria) == memory.count(criteria)


UNEVEN = [
    {"key": "all", "number": 1, "label": "a", "nested": {"energy": True, "other": 1}},
    {"key": "null", "number": 1, "label": None, "nested": {"energy": None}},
    {"key": "none", "number": 1},
    {"key": "listed", "number": 1, "label": "b", "nested": [{"energy": 0.5, "other": 1}, {"other": 2}]},
    {"key": "flat", "number": 2.0, "label": "c", "nested": 4},
]
PROPERTIES = [
    ["key", "number"],
    ["key", "label"],
    ["key", "nested.energy"],
    ["key", "label", "nested"],
    ["key", "sites"],
]


@pytest.mark.parametrize("properties", PROPERTIES, ids=str)
@pytest.mark.parametrize("criteria", [{}, {"number": 1}, {"label": {"$ne": None}}, {"sites": None}], ids=str)
def test_some_fields_are_those_of_maggma_in_memory(store, criteria, properties):
    """Whether columns tell them or the documents have to."""
    memory = MemoryStore(key="key")
    memory.connect()
    for each in (store, memory):
        each.update([*DOCUMENTS, *UNEVEN])
    expected = without_id(memory.query(criteria, properties=properties))
    assert without_id(store.query(criteria, properties=properties)) == expected


def test_texts_are_told_with_what_columns_lack(store):
    store.update([*DOCUMENTS, *UNEVEN[:4]])
    labels = dict(store.texts(["key", "label"]))
    assert (labels["all"], labels["null"], labels["none"], labels["listed"]) == ("a", None, None, "b")
    assert len(labels) == 8


def test_sorting_limits_and_properties_pass_through(store):
    store.update(DOCUMENTS)
    found = list(store.query({}, properties=["number"], sort={"number": -1}, skip=1, limit=2))
    assert [one["number"] for one in found] == [2, 1]
    assert all("label" not in one for one in found)
    assert "label" not in store.query_one({"key": DOCUMENTS[0]["key"]}, properties=["number"])


def test_an_update_replaces_the_document_of_the_same_key(store):
    store.update(DOCUMENTS)
    store.update({**DOCUMENTS[1], "label": "new"})
    assert store.count() == len(DOCUMENTS)
    assert store.query_one({"key": DOCUMENTS[1]["key"]})["label"] == "new"


def test_the_files_stay_montydbs_own(store, tmp_path):
    store.update(DOCUMENTS)
    plain = MontyStore("things", database_path=str(tmp_path / "store"), key="key", storage_kwargs=store.storage_kwargs)
    plain.connect()
    assert without_id(plain.query()) == without_id(DOCUMENTS)
    plain.update({**DOCUMENTS[0], "label": "theirs"})
    assert store.query_one({"key": DOCUMENTS[0]["key"]})["label"] == "theirs"
    store.remove_docs({"label": "theirs"})
    assert plain.count() == len(DOCUMENTS) - 1


@pytest.fixture
def decoded(monkeypatch):
    """Every document that is decoded from now on."""
    found = []
    true_decode = bson.decode
    monkeypatch.setattr(bson, "decode", lambda content: found.append(content) or true_decode(content))
    monkeypatch.setattr(bson.BSON, "decode", lambda *_: pytest.fail("MontyDB read the collection"))
    return found


def test_writing_and_looking_up_read_no_other_document(store, decoded):
    store.update([{"key": f"{number:032x}", "number": number} for number in range(300)])
    store.update({"key": f"{7:032x}", "number": -7})
    assert decoded == []
    assert store.query_one({"key": f"{7:032x}"})["number"] == -7
    assert len(decoded) == 1


def test_a_query_decodes_only_what_the_columns_let_through(store, decoded):
    store.update([{"key": f"{number:032x}", "number": number, "label": f"V_{number % 3}"} for number in range(300)])
    found = list(store.query({"label": {"$in": ["V_1", 5]}, "number": {"$lt": 30}}, properties=["key", "number"]))
    assert [one["number"] for one in found] == list(range(1, 30, 3))
    assert len(decoded) == 10
    assert store.count() == 300
    assert len(decoded) == 10


def test_documents_that_others_write_are_found_all_the_same(store, tmp_path):
    store.update(DOCUMENTS)
    plain = MontyStore("things", database_path=str(tmp_path / "store"), key="key", storage_kwargs=store.storage_kwargs)
    plain.connect()
    plain.update([{**DOCUMENTS[0], "label": "theirs"}, {"key": "new", "label": "theirs", "number": 9}])
    plain.remove_docs({"key": DOCUMENTS[1]["key"]})
    assert {one["key"] for one in store.query({"label": "theirs"})} == {DOCUMENTS[0]["key"], "new"}
    assert [one["key"] for one in store.query({"label": "V_S"})] == [DOCUMENTS[2]["key"]]
    assert list(store.query({"label": "Se_S"})) == []


def test_a_store_of_an_earlier_version_gets_its_columns(tmp_path, decoded):
    earlier = EmbeddedStore("things", str(tmp_path / "store"))
    earlier.connect()
    earlier.update(DOCUMENTS)
    reader = EmbeddedStore("things", str(tmp_path / "store"), read_only=True, columns=COLUMNS)
    reader.connect()
    assert [one["number"] for one in reader.query({"label": "Se_S"})] == [1]
    assert len(decoded) == len(DOCUMENTS)
    store = EmbeddedStore("things", str(tmp_path / "store"), columns=COLUMNS)
    store.connect()
    decoded.clear()
    assert [one["number"] for one in reader.query({"label": "Se_S"})] == [1]
    assert len(decoded) == 1


OLD_LAYOUT = """
CREATE TABLE figures(k PRIMARY KEY, "label") WITHOUT ROWID;
INSERT INTO figures SELECT k, 'Se_S' FROM documents WHERE rowid = 2;
CREATE TRIGGER forget_at_insert AFTER INSERT ON documents BEGIN DELETE FROM figures WHERE k = NEW.k; END;
CREATE TRIGGER forget_at_update AFTER UPDATE ON documents BEGIN DELETE FROM figures WHERE k = OLD.k; END;
CREATE TRIGGER forget_at_delete AFTER DELETE ON documents BEGIN DELETE FROM figures WHERE k = OLD.k; END;
"""


def test_columns_of_another_layout_are_read_and_a_writer_replaces_them(tmp_path, decoded):
    folder = str(tmp_path / "store")
    before = EmbeddedStore("things", folder)
    before.connect()
    before.update(DOCUMENTS)
    with closing(sqlite3.connect(before.collection_file)) as connection:
        connection.executescript(OLD_LAYOUT)
    reader = EmbeddedStore("things", folder, read_only=True, columns=COLUMNS)
    reader.connect()
    assert [one["number"] for one in reader.query({"label": "V_Mo+V_S"})] == [3]
    assert len(decoded) == len(DOCUMENTS) - 1
    assert [one["number"] for one in reader.query({"number": 2})] == [2]
    for columns in (COLUMNS, ("number",), COLUMNS):
        writer = EmbeddedStore("things", folder, columns=columns)
        writer.connect()
        decoded.clear()
        assert [one["label"] for one in writer.query({"number": 1})] == ["Se_S"]
        assert len(decoded) == 1
        writer.update({**DOCUMENTS[1], "label": "new"})
        writer.update(DOCUMENTS[1])
    with closing(sqlite3.connect(before.collection_file)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")]
    assert not [name for name in names if name in {"figures", "forget_at_insert"}]
    assert len(names) == 5


def test_texts_of_every_document_are_read_without_decoding_any(store, decoded):
    store.update(DOCUMENTS)
    assert sorted(one["label"] for one in store.query({}, properties=["label"])) == sorted(
        one["label"] for one in DOCUMENTS
    )
    assert decoded == []
    assert sorted(one["number"] for one in store.query({}, properties=["number"])) == [0, 1, 2, 3]


def test_a_batch_is_written_whole_or_not_at_all(store):
    with pytest.raises(bson.errors.InvalidDocument):
        store.update([DOCUMENTS[0], {"key": "broken", "content": object()}])
    assert store.count() == 0


def test_only_the_stores_own_key_identifies(store):
    with pytest.raises(ValueError, match="identifies documents by 'key', not by 'label'"):
        store.update(DOCUMENTS, key="label")


def test_reading_leaves_the_folder_alone(store, tmp_path):
    folder = tmp_path / "store"
    store.update(DOCUMENTS)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    reader = EmbeddedStore("things", str(folder), read_only=True)
    reader.connect()
    never_written = EmbeddedStore("others", str(folder), read_only=True)
    never_written.connect()
    assert reader.count() == len(DOCUMENTS)
    assert list(never_written.query({})) == list(never_written.query({"key": "a"})) == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


WRITER = """
import sys, time
from definet_flows.records.embedded import EmbeddedStore
store = EmbeddedStore("things", sys.argv[1])
store.connect()
for number in range(100000):
    store.update({"key": f"{number:032x}", "number": number, "positions": [[0.1, 0.2, 0.3]] * 200})
    print(number, flush=True)
    time.sleep(0.002)
"""


def test_what_was_written_survives_kill_9_and_can_be_read_meanwhile(tmp_path):
    generator = random.Random(5)
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
        try:
            writer.stdout.readline()
            reader = EmbeddedStore("things", str(folder), read_only=True)
            reader.connect()
            time.sleep(generator.uniform(0.05, 0.3))
            assert reader.count() > 0
        finally:
            writer.send_signal(signal.SIGKILL)
            told = [0, *map(int, writer.communicate()[0].splitlines())]
        found = sorted(one["number"] for one in reader.query({}))
        assert found[: len(told)] == told
        assert len(found) <= len(told) + 1
