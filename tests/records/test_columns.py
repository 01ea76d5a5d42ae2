from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from montydb.engine.queries import QueryFilter

from definet_flows.records import columns, conditions
from definet_flows.records.documents import PredictionRecord, RelaxationRecord, SavingsRecord
from definet_flows.records.fields import leaves

NAMES = ("state", "steps", "host.name")
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, -1.5, float("nan"), float("inf"), 2**63, -(2**63), 2**70]),
    st.sampled_from(["", "a", "b", "é", "1", "true"]),
)
STORED = st.one_of(VALUES, st.lists(st.integers(0, 1), max_size=2), st.just({"deep": 1}))
NAMED = st.fixed_dictionaries({"name": STORED})
HOST = st.one_of(STORED, NAMED, st.lists(NAMED, max_size=2))
DOCUMENTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={"state": STORED, "steps": STORED, "host": HOST},
    ),
    min_size=1,
    max_size=8,
)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([1.0, 2**63, "a", "1", "true"]))
OPERATORS = st.one_of(
    PLAIN,
    st.builds(lambda name, value: {name: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$eq", "$ne"]), PLAIN),
    st.builds(lambda name, values: {name: values}, st.sampled_from(["$in", "$nin"]), st.lists(PLAIN, max_size=3)),
    st.builds(lambda there: {"$exists": there}, st.booleans()),
    st.builds(lambda pattern: {"$regex": pattern}, st.sampled_from(["a", "^é?$", "1|b", "A"])),
    st.builds(lambda pattern: {"$regex": pattern, "$options": "i"}, st.sampled_from(["A", "^B"])),
)
FIELDS = st.dictionaries(st.sampled_from([*NAMES, "other"]), OPERATORS, min_size=1, max_size=2)
CRITERIA = st.recursive(
    FIELDS,
    lambda inner: st.builds(
        lambda word, branches: {word: branches},
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)


def let_through(documents, criteria):
    """Numbers of the documents that the columns do not rule out."""
    condition = conditions.necessary(criteria, NAMES)
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE documents(k PRIMARY KEY, v)")
        table = columns.Table.of(NAMES)
        table.create(connection, "documents")
        conditions.let_match(connection)
        connection.executemany(
            "INSERT INTO documents VALUES (?, NULL)", [(number,) for number in range(len(documents))]
        )
        table.insert(connection, enumerate(documents))
        text, values = condition[:2] if condition else ("1", [])
        rows = connection.execute(
            f"SELECT d.k FROM documents d LEFT JOIN {table.name} f ON f.k = d.k WHERE f.k IS NULL OR {text}", values
        )
        return {number for (number,) in rows}


@given(DOCUMENTS, CRITERIA)
def test_no_document_that_fits_is_ever_ruled_out(documents, criteria):
    fitting = {number for number, document in enumerate(documents) if QueryFilter(criteria)(document)}
    through = let_through(documents, criteria)
    assert fitting <= through
    condition = conditions.necessary(criteria, NAMES)
    if condition is not None and condition.exact:
        assert through - let_through(documents, {"state": {"$in": ["no", "such"]}}) <= fitting


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"state": "failed"}, {1}),
        ({"state": {"$ne": "converged"}}, {1, 2}),
        ({"state": None}, {2}),
        ({"state": {"$exists": False}}, {2}),
        ({"steps": {"$gte": 20}, "state": {"$in": ["failed", "converged"]}}, {0}),
        ({"$and": [{"steps": {"$lt": 20}}, {"host.name": "MoS2"}]}, {1}),
        ({"$or": [{"state": "failed"}, {"steps": {"$gt": 20}}]}, {0, 1}),
        ({"$or": [{"state": "failed"}, {"other": 1}]}, {0, 1, 2}),
        ({"other": 1}, {0, 1, 2}),
        ({"state": {"$nin": ["failed", None]}}, {0}),
        ({"state": {"$in": [*map(str, range(1000)), "failed"]}}, {1}),
        ({"state": {"$nin": [*map(str, range(1000)), "failed"]}}, {0, 2}),
        ({"state": {"$in": [*map(str, range(1000)), None]}}, {2}),
        ({"steps": {"$in": list(range(100, 1000))}}, {0, 1, 2}),
        ({"host.name": {"$regex": "^Mo"}}, {0, 1}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_fit_is_ruled_out(criteria, expected):
    documents = [
        {"state": "converged", "steps": 30, "host": {"name": "MoS2"}},
        {"state": "failed", "steps": 10, "host": {"name": "MoS2"}},
        {"steps": 5, "host": {"name": "WSe2"}},
    ]
    assert let_through(documents, criteria) == expected


@pytest.mark.parametrize(
    ("collection", "document"),
    [("relaxations", RelaxationRecord), ("predictions", PredictionRecord), ("savings", SavingsRecord)],
)
def test_every_column_is_a_field(collection, document):
    names = columns.COLUMNS[collection]
    assert set(names) <= {name for name, _ in leaves(document)}
    assert {"key", "label", "host.name", "defect_distance", "concentration", "charge", "exposure"} <= set(names)
