"""Every filter against a plain loop over the records, in a directory and in a database alike."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from definet_flows.errors import InputError
from definet_flows.records import RecordStore, ResultFilter, ResultsStore, SavingsBuilder, StoreContentError, open_store
from definet_flows.records.building.paired import savings_of
from definet_flows.records.query import Kind, membership, pairs

LIST = [
    ("relaxations", {}, lambda _: True),
    ("relaxations", {"host": "Cu"}, lambda one: one.host.name == "Cu"),
    ("relaxations", {"host": ["MoS2", "WSe2"]}, lambda _: False),
    ("relaxations", {"label": "V_Cu"}, lambda one: one.label == "V_Cu"),
    ("relaxations", {"label": ["V_Cu", "Al_Cu"]}, lambda one: one.label in {"V_Cu", "Al_Cu"}),
    ("relaxations", {"species": "Al"}, lambda one: "Al" in dict(one.defects).values()),
    ("relaxations", {"species": ["Al", "Ni"]}, lambda one: {"Al", "Ni"} <= set(dict(one.defects).values())),
    ("relaxations", {"species": "V"}, lambda one: "V" in dict(one.defects).values()),
    ("relaxations", {"defect": "V_Cu"}, lambda one: "Vac" in dict(one.defects).values()),
    ("relaxations", {"defect": ["V_Cu", "Al_Cu"]}, lambda one: {"Vac", "Al"} <= set(dict(one.defects).values())),
    ("relaxations", {"concentration": (0.04, None)}, lambda one: one.concentration >= 0.04),
    ("relaxations", {"concentration": (1 / 48, 1 / 32)}, lambda one: 1 / 48 <= one.concentration <= 1 / 32),
    ("relaxations", {"distance": (None, 2.6)}, lambda one: one.defect_distance is not None and one.defect_distance < 2.6),
    ("relaxations", {"distance": (2.6, 9)}, lambda one: one.defect_distance is not None and one.defect_distance > 2.6),
    ("relaxations", {"state": "failed"}, lambda one: one.state == "failed"),
    ("relaxations", {"state": ["failed", "unconverged"]}, lambda one: one.state != "converged"),
    ("relaxations", {"engine": "forcefield"}, lambda _: True),
    ("relaxations", {"engine": "vasp"}, lambda _: False),
    ("relaxations", {"start": "prerelaxed"}, lambda one: one.start == "prerelaxed"),
    ("relaxations", {"charge": -1}, lambda one: one.charge == -1),
    ("relaxations", {"charge": [0, 1]}, lambda one: one.charge == 0),
    ("relaxations", {"exposure": "other_size"}, lambda one: one.exposure == "other_size"),
    ("relaxations", {"exposure": ["new", "same_size"]}, lambda one: one.exposure in {"new", "same_size"}),
    ("relaxations", {"model": "other"}, lambda one: one.checkpoint == "other"),
    ("relaxations", {"model": "c" * 16}, lambda one: one.checkpoint == "tiny"),
    ("relaxations", {"campaign": "wide"}, lambda one: one.host.n_sites == 48),
    (
        "relaxations",
        {"defect": "V_Cu", "state": "converged", "start": "prerelaxed", "concentration": (0.05, None)},
        lambda one: (one.state, one.start) == ("converged", "prerelaxed")
        and "V_" in one.label.replace("Vanadium", "")
        and one.concentration > 0.05,
    ),
    ("predictions", {"exposure": "new", "model": "tiny"}, lambda one: (one.exposure, one.checkpoint) == ("new", "tiny")),
    ("predictions", {"species": "Ni", "distance": (1, 5)}, lambda one: "Ni" in one.label),
    ("predictions", {"campaign": "copper", "charge": 0, "host": "Cu"}, lambda one: one.host.n_sites == 32),
    ("savings", {"savings": (0.5, 1)}, lambda one: (one.steps_saved_fraction or 0) >= 0.5),
    ("savings", {"savings": (None, 0)}, lambda one: one.steps_saved_fraction is not None and one.steps_saved <= 0),
    ("savings", {"same_minimum": True}, lambda one: one.same_minimum is True),
    ("savings", {"same_minimum": False}, lambda one: one.same_minimum is False),
    ("savings", {"state": "prerelaxed_lost"}, lambda one: one.pair_state == "prerelaxed_lost"),
    ("savings", {"engine": "forcefield", "defect": "Al_Cu"}, lambda one: "Al_Cu" in one.label),
    ("savings", {"campaign": "wide", "exposure": "new"}, lambda one: (one.host.n_sites, one.exposure) == (48, "new")),
]  # fmt: skip


def timeless(records):
    """Records as they compare: without the moment they were written, and coordinates, which are read apart."""
    contents = [one.model_dump(exclude={"last_updated", "positions"}) for one in records]
    return sorted(contents, key=lambda content: content["key"])


@pytest.mark.parametrize(
    ("kind", "filters", "fits"), LIST, ids=lambda value: None if callable(value) else str(value)[:60]
)
def test_every_filter_finds_what_a_loop_finds(results, records, kind, filters, fits):
    found = getattr(results, kind)(**filters)
    assert timeless(found.records) == timeless([one for one in getattr(records, kind) if fits(one)])


@pytest.mark.parametrize("kind", list(Kind))
def test_a_campaign_too_large_to_be_listed_is_found_all_the_same(results, records, kind, monkeypatch):
    monkeypatch.setattr(membership, "MOST_LISTED", 3)
    found = results.select(kind, ResultFilter(campaign="wide"))
    assert timeless(found) == timeless([one for one in records.of[kind] if one.host.n_sites == 48])


def test_savings_that_are_sealed_are_not_paired_again(records, tmp_path, monkeypatch):
    copied(records, tmp_path)
    monkeypatch.setattr(pairs, "pairs_in", lambda *_: pytest.fail("the runs were paired again"))
    with ResultsStore(tmp_path) as results:
        assert timeless(results.savings(state="both_converged")) == timeless(
            one for one in records.savings if one.pair_state == "both_converged"
        )


def test_every_filter_is_tried():
    assert set(ResultFilter.model_fields) == {name for _, filters, _ in LIST for name in filters}


WHERE = [
    {},
    {"label": "V_Cu"},
    {"label": {"$in": ["V_Cu", "Al_Cu"]}, "state": {"$ne": "failed"}},
    {"host.n_sites": {"$gt": 32}, "ionic_steps": {"$gte": 5, "$lt": 8}},
    {"engine.physics.force_threshold": {"$lte": 0.02}},
    {"energy": None},
    {"reason": {"$ne": None}},
    {"label": {"$regex": "^Al"}},
    {"label": {"$regex": "vanadium", "$options": "i"}},
    {"max_force_history": {"$elemMatch": {"$lt": 0.01, "$gt": 0.001}}},
    {"max_force_history": {"$size": 3}},
    {"defects": {"$elemMatch": {"$elemMatch": {"$eq": "Ni"}}}},
    {"cluster_id": {"$exists": True}, "charge": {"$nin": [0]}},
    {"$or": [{"charge": -1}, {"$and": [{"start": "prerelaxed"}, {"n_defects": {"$gte": 3}}]}]},
    {"$nor": [{"start": "unrelaxed"}, {"state": "converged"}]},
    {"state": {"$not": {"$in": ["converged"]}}},
    {"prerelax_seconds": 7.2, "exposure": {"$in": ["new", None]}},
]


@pytest.fixture(scope="module")
def memory(records):
    """The oracle of raw queries: maggma's store in memory, which others wrote."""
    with RecordStore.in_memory() as store:
        store.add_relaxations(records.relaxations)
        yield store


@pytest.mark.parametrize("where", WHERE, ids=str)
def test_raw_queries_answer_as_in_memory(results, memory, where):
    expected = timeless(memory.relaxations(where))
    assert timeless(results.relaxations(where=where)) == expected
    assert timeless(results.relaxations(where=where, state="converged")) == [
        one for one in expected if one["state"] == "converged"
    ]


# Values of one type for each field, and fields that may be null only compared for equality: the tests' database, unlike
# MongoDB itself, finds null less than every number and numbers less than every text.
VALUES = {
    "label": ["V_Cu", "Al_Cu", "b"],
    "state": ["converged", "failed"],
    "start": ["prerelaxed"],
    "reason": ["it crashed"],
    "ionic_steps": [3, 5, 6],
    "energy": [-7.0, -3.5],
    "charge": [0, -1],
    "host.n_sites": [32, 48.0],
}
ONE = st.sampled_from(list(VALUES)).flatmap(
    lambda field: st.one_of(
        st.builds(lambda value: {field: value}, st.sampled_from([*VALUES[field], None, "other"])),
        st.builds(
            lambda name, values: {field: {name: values}},
            st.sampled_from(["$in", "$nin"]),
            st.lists(st.sampled_from([*VALUES[field], "other"]), min_size=1, max_size=3),
        ),
        st.builds(
            lambda name, value: {field: {name: value}},
            st.sampled_from(["$ne"] if field in {"reason", "energy"} else ["$gt", "$gte", "$lt", "$lte", "$ne"]),
            st.sampled_from(VALUES[field]),
        ),
    )
)
QUERY = st.recursive(
    ONE,
    lambda inner: st.builds(
        lambda word, parts: {word: parts}, st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=2)
    ),
    max_leaves=3,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=QUERY)
def test_queries_nobody_thought_of_answer_as_in_memory(results, memory, where):
    assert timeless(results.relaxations(where=where)) == timeless(memory.relaxations(where))


def test_a_selection_is_a_sequence_in_a_fixed_order(results):
    found = results.relaxations(defect="V_Cu")
    order = [(one.label, one.configuration_id, one.start, one.key) for one in found]
    assert order == sorted(order)
    assert [one.key for one in found[2:4]] == [key for *_, key in order[2:4]]
    assert found[0].positions is None


def test_distances_of_older_documents_are_told_from_their_configurations(records, tmp_path):
    old = [{**one.model_dump(mode="json", exclude={"positions", "defect_distance"})} for one in records.relaxations]
    with open_store(tmp_path) as target, open_store(records.place, read_only=True) as source:
        for campaign in source.campaigns():
            target.put_campaign(campaign)
        target.stores["relaxations"].update([{**one, "schema_version": 1} for one in old])
    with ResultsStore(tmp_path) as results:
        assert timeless(results.relaxations(distance=(2.6, 9))) == timeless(
            [
                one.model_copy(update={"schema_version": 1})
                for one in records.relaxations
                if (one.defect_distance or 0) > 2.6
            ]
        )


@pytest.mark.parametrize(
    ("kind", "asked", "complaint"),
    [
        ("relaxations", {"hosts": "Cu"}, "There is no filter 'hosts'; did you mean host"),
        ("relaxations", {"concentration": (0.2, 0.1)}, "'concentration' cannot be used: nothing lies between 0.2 and 0.1"),
        ("relaxations", {"distance": (None, None)}, "'distance' cannot be used: a range needs at least one limit"),
        ("relaxations", {"distance": (float("nan"), 1)}, "'distance' cannot be used: Input should be a finite number"),
        ("relaxations", {"species": "Xx"}, "'species' cannot be used: 'Xx' is not an element"),
        ("relaxations", {"defect": "S_i"}, "is an interstitial"),
        ("relaxations", {"start": "elsewhere"}, "'start' cannot be used: Input should be 'unrelaxed' or 'prerelaxed'"),
        ("relaxations", {"state": "both_converged"}, "no state 'both_converged'; the states are converged, unconverged"),
        ("relaxations", {"savings": (0, 1)}, "relaxations have no savings to filter by; ask for savings"),
        ("predictions", {"state": "converged"}, "predictions have no state to filter by; ask for relaxations or savings"),
        ("savings", {"start": "prerelaxed"}, "savings have no start to filter by; ask for relaxations"),
        ("relaxations", {"campaign": "coper"}, "no campaign 'coper' in .*; there is copper"),
        ("relaxations", {"where": {"ionic_step": 3}}, "no field 'ionic_step'; did you mean ionic_steps"),
        ("relaxations", {"where": {"$and": [{"host.nam": 3}]}}, "no field 'host.nam'; did you mean host.name"),
        ("relaxations", {"where": {"charge": {"$gte1": 3}}}, r"'\$gte1' is no operator of queries here; did you mean \$gte"),
        ("relaxations", {"where": {"$where": "1"}}, r"'\$where' is no operator"),
        ("relaxations", {"where": {"charge": {"$not": 5}}}, r"\$not of 'charge' needs a query such as {'\$gt': 1}, not 5"),
        ("relaxations", {"where": {"defects": {"$elemMatch": 5}}}, r"\$elemMatch of 'defects' needs a query"),
        ("relaxations", {"where": {"label": {"$regex": "("}}}, r"'\(' is no regular expression to compare 'label' with"),
        ("relaxations", {"where": {"label": {"$in": "V_Cu"}}}, r"\$in of 'label' needs a list of values"),
        ("relaxations", {"where": {"$or": {}}}, r"\$or needs a list of queries"),
        ("relaxations", {"where": [1]}, "A query is a mapping"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_asked_is_one_sentence(results, kind, asked, complaint):
    with pytest.raises(InputError, match=complaint) as raised:
        getattr(results, kind)(**asked)
    assert "\n" not in str(raised.value)


def test_fields_of_free_form_settings_can_be_asked_for(results):
    assert len(results.relaxations(where={"engine.physics.potential": {"$regex": "EMT$"}})) > 0
    assert Kind.RELAXATIONS.columns.count("engine.physics") == 1


def test_a_store_without_records_is_one_sentence(tmp_path):
    with pytest.raises(StoreContentError, match="holds no results; run a campaign"):
        ResultsStore(tmp_path)
    with open_store(tmp_path):
        pass
    with pytest.raises(StoreContentError, match="holds no results yet; run a campaign first"):
        ResultsStore(tmp_path)


def copied(records, folder):
    with open_store(folder) as target, open_store(records.place, read_only=True) as source:
        for campaign in source.campaigns():
            target.put_campaign(campaign)
        target.add_relaxations(source.relaxations(positions=True))
        target.add_predictions(source.predictions(positions=True))
        SavingsBuilder(target).build()


def test_of_the_savings_only_those_that_changed_are_built_again(records, tmp_path, monkeypatch):
    """Also where the run that changed was on record before the build ended, and its pair missed the build."""
    copied(records, tmp_path)
    built = []
    monkeypatch.setattr(pairs, "savings_of", lambda documents: built.append(documents) or savings_of(documents))
    with ResultsStore(tmp_path) as results:
        assert timeless(results.savings()) == timeless(records.savings)
        assert built == []
    (late,) = [one for one in records.relaxations if one.label == "V_Cu+Al_Cu" and one.host.n_sites == 32][:1]
    with open_store(tmp_path) as store:
        missed = next(store.savings({"unrelaxed.key": late.key}))
        store.remove("savings", [missed.key])
    with ResultsStore(tmp_path) as results:
        assert timeless(results.savings(label="V_Cu")) == timeless(
            one for one in records.savings if one.label == "V_Cu"
        )
        assert built == []
        assert timeless(results.savings()) == timeless(records.savings)
        assert len(built) == 1
