from __future__ import annotations

from definet_flows.records import SavingsBuilder
from definet_flows.records.building.seal import is_sealed

CHANGES = ({0: "Vac"}, {0: "Al"})


def campaign(copper, name):
    planned = [copper.configuration(each).id for each in CHANGES]
    return copper.campaign_record(name, key=name, configuration_ids=planned)


def fill(store, copper):
    store.put_campaign(campaign(copper, "copper"))
    for changes in CHANGES:
        configuration = copper.configuration(changes)
        predicted = copper.prediction(configuration)
        store.add_predictions([predicted])
        store.add_relaxations([copper.record(configuration), copper.record(configuration, predicted)])


def test_a_whole_build_is_sealed_until_anything_is_written_or_lost(store, copper):
    fill(store, copper)
    assert not is_sealed(store)
    configuration = copper.configuration({0: "Al"})
    written = {
        "a run": lambda: store.add_relaxations([copper.record(configuration, steps=99)]),
        "a prediction": lambda: store.add_predictions([copper.prediction(configuration)]),
        "a campaign": lambda: store.put_campaign(campaign(copper, "another")),
        "a lost record": lambda: store.remove("savings", [next(store.savings()).key]),
        "a record of something else": lambda: store.put_savings(
            [one.model_copy(update={"key": "e" * 32}) for one in store.savings()]
        ),
    }
    broken = []
    for what, write in written.items():
        SavingsBuilder(store).build()
        assert is_sealed(store), what
        write()
        broken += [what] if not is_sealed(store) else []
    assert broken == list(written)


def test_a_build_of_some_configurations_is_not_sealed(store, copper):
    fill(store, copper)
    SavingsBuilder(store, {"label": "V_Cu"}).build()
    assert not is_sealed(store)
    SavingsBuilder(store).build()
    before = list(store.contents("arrays", {"key": "savings-seal"}, ["key", "last_updated"]))
    SavingsBuilder(store, {"label": "V_Cu"}).build()
    SavingsBuilder(store).build()
    assert is_sealed(store)
    assert list(store.contents("arrays", {"key": "savings-seal"}, ["key", "last_updated"])) == before


def test_a_pair_that_failed_leaves_no_seal_that_holds(store, copper):
    fill(store, copper)
    broken = copper.record(copper.configuration({0: "Vac"})).model_copy(update={"positions": [[0.0, 0.0, 0.0]]})
    store.add_relaxations([broken])
    assert SavingsBuilder(store).build().failed == 1
    assert not is_sealed(store)
