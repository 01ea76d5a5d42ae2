from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from maggma.stores import MemoryStore
from montydb.engine.queries import QueryFilter

from definet_flows.records.matching import fits, may_fit

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, 1.5, float("nan"), float("inf"), "", "a", "Vac", "b1"]),
)
LISTS = st.lists(st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.fixed_dictionaries({"b": SCALARS})), max_size=3)
STORED = st.one_of(SCALARS, LISTS, st.fixed_dictionaries({}, optional={"b": st.one_of(SCALARS, LISTS), "0": SCALARS}))
DOCUMENTS = st.fixed_dictionaries({}, optional={"a": STORED, "c": STORED})

WANTED = st.one_of(st.none(), st.integers(-2, 2), st.sampled_from([1.5, True, "a", "Vac"]))
SIMPLE = st.one_of(
    st.builds(lambda name, value: {name: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$eq", "$ne"]), WANTED),
    st.builds(lambda name, values: {name: values}, st.sampled_from(["$in", "$nin"]), st.lists(WANTED, max_size=3)),
    st.builds(lambda pattern: {"$regex": pattern}, st.sampled_from(["a", "^V", "^$"])),
    st.builds(lambda there: {"$exists": there}, st.booleans()),
    st.builds(lambda number: {"$size": number}, st.integers(0, 3)),
    st.builds(lambda low, high: {"$gte": low, "$lt": high}, st.integers(-2, 2), st.integers(-2, 2)),
)
OPERATORS = st.one_of(
    WANTED,
    SIMPLE,
    st.builds(lambda inner: {"$elemMatch": inner}, SIMPLE),
    st.builds(lambda inner: {"$elemMatch": {"b": inner}}, SIMPLE),
    st.builds(lambda inner: {"$elemMatch": {"$elemMatch": inner}}, SIMPLE),
    st.builds(lambda inner: {"$not": inner}, SIMPLE),
)
FIELDS = st.dictionaries(st.sampled_from(["a", "c", "a.b", "a.0", "a.b.0"]), OPERATORS, min_size=1, max_size=2)
CRITERIA = st.one_of(
    FIELDS,
    st.builds(
        lambda word, branches: {word: branches},
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(FIELDS, min_size=1, max_size=2),
    ),
)


@given(DOCUMENTS, CRITERIA)
def test_every_document_that_fits_passes_the_quick_look(document, criteria):
    assert may_fit(criteria)(document) or not QueryFilter(criteria)(document)


NESTED = [
    {
        "defects": [[0, "Vac"], [3, "Ni"]],
        "reasons": ["too close", "too far"],
        "attempts": [{"source": "a", "steps": 3}],
    },
    {"defects": [[7, "Al"]], "reasons": [], "attempts": [{"source": "b", "steps": 9}, {"source": "a", "steps": 1}]},
    {"defects": "Ni", "reasons": "too far", "attempts": {"source": "a"}},
]


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"defects": {"$elemMatch": {"$elemMatch": {"$eq": "Ni"}}}}, {0}),
        ({"defects": {"$elemMatch": {"$eq": "Ni"}}}, set()),
        ({"defects": {"$elemMatch": {"$eq": [7, "Al"]}}}, {1}),
        ({"defects": {"$not": {"$elemMatch": {"$elemMatch": {"$eq": "Ni"}}}}}, {1, 2}),
        ({"reasons": {"$elemMatch": {"$regex": "far$"}}}, {0}),
        ({"reasons": {"$elemMatch": {"$regex": "^t", "$ne": "too far"}, "$size": 2}}, {0}),
        ({"attempts": {"$elemMatch": {"source": "a", "steps": {"$gt": 2}}}}, {0}),
        ({"attempts": {"$elemMatch": {"$or": [{"source": "b"}, {"steps": 3}]}}}, {0, 1}),
        ({"$nor": [{"attempts": {"$elemMatch": {"steps": {"$lt": 2}}}}, {"reasons": "too close"}]}, {2}),
    ],
    ids=str,
)
def test_elements_are_matched_as_mongodb_documents_it(criteria, expected):
    found = {number for number, document in enumerate(NESTED) if fits(criteria)(document)}
    assert found == expected


PLAIN = st.fixed_dictionaries({}, optional={"a": st.lists(st.integers(-2, 2), max_size=3), "c": st.integers(-2, 2)})
ON_NUMBERS = st.builds(
    lambda name, value: {name: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$eq", "$ne"]), st.integers(-2, 2)
)
ASKED = st.one_of(
    st.builds(lambda inner: {"a": {"$elemMatch": inner}}, ON_NUMBERS),
    st.builds(lambda inner, other: {"a": {"$elemMatch": inner | other}}, ON_NUMBERS, ON_NUMBERS),
    st.builds(lambda inner, other: {"$or": [{"a": {"$elemMatch": inner}}, {"c": other}]}, ON_NUMBERS, ON_NUMBERS),
    st.builds(lambda inner, other: {"a": {"$elemMatch": inner}, "c": other}, ON_NUMBERS, ON_NUMBERS),
)


@given(st.lists(PLAIN, min_size=1, max_size=4), ASKED)
def test_lists_of_numbers_are_matched_as_in_memory(documents, criteria):
    memory = MemoryStore(key="key")
    memory.connect()
    memory.update([{**document, "key": number} for number, document in enumerate(documents)])
    expected = {document["key"] for document in memory.query(criteria)}
    assert {number for number, document in enumerate(documents) if fits(criteria)(document)} == expected


@pytest.mark.parametrize(
    "criteria",
    [
        {"reason": "it crashed"},
        {"engine.physics.steps": {"$gt": 300}},
        {"forces": {"$elemMatch": {"$lt": 0.01}}},
        {"forces": {"$lt": 0.01}},
        {"defects": {"$elemMatch": {"$elemMatch": {"$in": ["Se", "W"]}}}},
        {"attempts": {"$elemMatch": {"source": "."}}},
        {"attempts.source": {"$regex": r"^\.$"}},
        {"$or": [{"reason": "it crashed"}, {"forces": 7}]},
        {"missing": 3, "reason": None},
    ],
    ids=str,
)
def test_what_plainly_does_not_fit_is_held_back(criteria):
    document = {
        "reason": None,
        "engine": {"physics": {"steps": 200}},
        "forces": [0.3, 0.02],
        "defects": [[12, "Vac"]],
        "attempts": [{"source": "error.1"}],
    }
    assert not may_fit(criteria)(document)
