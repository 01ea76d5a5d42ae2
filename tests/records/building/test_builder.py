from __future__ import annotations

import pickle
import random

import pytest

from definet_flows.records import RecordStore, SavingsBuilder, StoreContentError, build_savings, open_store
from definet_flows.records.documents import BuildFailure

CHANGES = ({0: "Vac"}, {0: "Al"}, {0: "Vac", 1: "Al"}, {0: "Vac", 9: "Al"})
QUANTILES = [(0.5, 0.05), (0.99, 0.2), (1.0, 0.5)]


@pytest.fixture(scope="module")
def models(copper):
    return [
        copper.MODEL.model_copy(update={"checkpoint_hash": letter * 16, "displacement_quantiles": QUANTILES})
        for letter in "ef"
    ]


def campaign(copper, model=None, drawn=CHANGES, **changes):
    planned = [copper.configuration(each).id for each in CHANGES]
    fields = {"configuration_ids": planned, "baseline_ids": [copper.configuration(each).id for each in drawn]}
    return copper.campaign_record(model=model, **fields | changes)


@pytest.fixture(scope="module")
def steps(copper, models):
    """Everything that a campaign with two checkpoints writes, one document at a time; the last prediction is refused."""
    found = [("put_campaign", campaign(copper, models[0]))]
    for number, changes in enumerate(CHANGES):
        configuration = copper.configuration(changes)
        found.append(("add_relaxations", [copper.record(configuration, steps=10 + number)]))
        for model in models:
            refused = changes is CHANGES[-1] and model is models[1]
            predicted = copper.prediction(configuration, passed=not refused, model=model)
            found.append(("add_predictions", [predicted]))
            if not refused:
                run = copper.record(configuration, predicted, steps=3 + number, shift=0.01)
                found.append(("add_relaxations", [run]))
    return found


def written(store, *steps):
    for method, documents in steps:
        getattr(store, method)(documents)
    return store


def content(records):
    return {one.key: one.model_dump(exclude={"last_updated"}) for one in records}


@pytest.fixture(scope="module")
def from_scratch(steps):
    with RecordStore.in_memory() as store:
        yield content(build_savings(written(store, *steps)))


@pytest.mark.parametrize("seed", range(3))
def test_built_in_pieces_in_any_order_the_records_are_those_from_scratch(store, steps, from_scratch, seed):
    rng = random.Random(seed)
    shuffled = rng.sample(steps, len(steps))
    while shuffled:
        n_taken = rng.randint(1, 5)
        written(store, *shuffled[:n_taken])
        shuffled = shuffled[n_taken:]
        SavingsBuilder(store, chunk_size=3).build()
    assert len(from_scratch) == 8
    assert content(store.savings()) == from_scratch
    assert SavingsBuilder(store).build().unchanged == 8
    assert SavingsBuilder(store, from_scratch=True).build().built == 8
    assert content(store.savings()) == from_scratch
    assert list(store.read("build_failures", BuildFailure)) == []


def test_only_what_a_new_document_belongs_to_is_built_again(store, steps, copper):
    SavingsBuilder(written(store, *steps)).build()
    before = content(store.savings())
    store.add_relaxations([copper.record(copper.configuration(CHANGES[1]), steps=99)])
    assert SavingsBuilder(store).build().built == 2  # one for each checkpoint
    after = content(store.savings())
    assert {after[key]["label"] for key in after if after[key] != before[key]} == {"Al_Cu"}
    assert {one.unrelaxed.ionic_steps for one in store.savings({"label": "Al_Cu"})} == {99}


def test_pairs_that_are_no_more_are_removed(store, steps, copper, models):
    assert SavingsBuilder(written(store, *steps)).build().removed == 0
    store.put_campaign(campaign(copper, models[0], drawn=CHANGES[:1]))  # the refused one is not drawn any more
    assert SavingsBuilder(store).build().removed == 1
    assert content(store.savings()) == content(build_savings(store))


def test_what_cannot_be_built_is_marked_left_alone_and_tried_again_on_request(store, steps, copper):
    written(store, *steps)
    broken = copper.record(copper.configuration(CHANGES[0]))
    store.add_relaxations([broken.model_copy(update={"positions": [[0.0, 0.0, 0.0]]})])
    first = SavingsBuilder(store).build()
    assert (first.pairs, first.built, first.failed, first.left) == (8, 6, 2, 0)
    (reason,) = {failure.reason for failure in store.read("build_failures", BuildFailure)}
    assert reason.startswith(f"Document {broken.key} has coordinates of 1 sites, its host 32")
    second = SavingsBuilder(store).build()
    assert (second.built, second.failed, second.left) == (0, 0, 2)
    third = SavingsBuilder(store, retry_failed=True).build()
    assert (third.failed, third.left) == (2, 0)
    store.add_relaxations([copper.record(copper.configuration(CHANGES[0]))])
    assert SavingsBuilder(store).build().built == 2  # it changed, so nobody has to ask
    assert list(store.read("build_failures", BuildFailure)) == []


def test_an_unreadable_document_costs_its_own_pair_only(store, steps):
    written(store, *steps)
    (document,) = store.stores["relaxations"].query({"label": "V_Cu", "start": "unrelaxed"})
    store.stores["relaxations"].update([{name: value for name, value in document.items() if name != "_id"} | {"no": 1}])
    summary = SavingsBuilder(store).build()
    assert (summary.built, summary.failed) == (6, 2)
    assert all("Extra inputs" in one.reason for one in store.read("build_failures", BuildFailure))
    with pytest.raises(StoreContentError, match="Extra inputs"):
        build_savings(store)


def test_runs_of_a_host_that_no_campaign_has_are_marked(steps):
    with RecordStore.in_memory() as store:
        written(store, *steps[1:])
        assert SavingsBuilder(store).build().failed == 7  # who was drawn is not known either
        assert {one.reason[:11] for one in store.read("build_failures", BuildFailure)} == {"No campaign"}


def test_records_of_the_first_schema_version_are_read_and_migrated(store, steps, from_scratch):
    SavingsBuilder(written(store, *steps)).build()
    added = ("provenance", "trust", "committee_size", "committee_spread", "displacement_quantile")
    old = [
        {name: value for name, value in one.items() if name not in (*added, "_id")}
        for one in store.contents("savings", {}, None)
    ]
    store.stores["savings"].update([one | {"schema_version": 1} for one in old])
    assert {(one.provenance, one.trust) for one in store.savings()} == {(None, None)}
    assert SavingsBuilder(store).build().built == len(old)
    assert content(store.savings()) == from_scratch


def test_builders_that_share_the_work_do_the_whole(store, steps, from_scratch):
    written(store, *steps)
    queries = list(SavingsBuilder(store).prechunk(3))
    assert 1 < len(queries) <= 3
    for each in queries:
        builder = SavingsBuilder(store)
        for name, value in each.items():  # as maggma's distributed runner does
            setattr(builder, name, value)
        assert builder.build().removed == 0
    assert content(store.savings()) == from_scratch


def test_a_builder_travels_to_another_process_by_its_place(tmp_path, steps, from_scratch):
    with open_store(tmp_path / "run") as store:
        written(store, *steps)
    builder = SavingsBuilder(tmp_path / "run", chunk_size=3)
    worker = pickle.loads(pickle.dumps(builder))
    builder.connect()
    items = list(builder.get_items())
    assert builder.total == len(items) == 8
    builder.update_targets([worker.process_item(pickle.loads(pickle.dumps(item))) for item in items])
    builder.finalize()
    with open_store(tmp_path / "run") as store:
        assert content(store.savings()) == from_scratch


def test_what_a_record_says_of_its_origin(steps, copper, models):
    with RecordStore.in_memory() as store:
        written(store, *steps)
        store.put_campaign(campaign(copper, models[1], key="other", name="again"))
        record = build_savings(store, {"checkpoint_hash": "e" * 16, "label": "V_Cu"})[0]
    said = record.provenance
    assert said.campaigns == ["again", "copper"]
    assert (said.prediction_key, said.engine_version) == (
        copper.prediction(copper.configuration(), model=models[0]).key,
        "test 1",
    )
    assert said.code_versions == [record.code_version]
    assert record.unrelaxed.key != record.prerelaxed.key
