from __future__ import annotations

import pytest

from definet_flows.engines import ForceFieldEngine, VaspEngine
from definet_flows.errors import InputError
from definet_flows.records import RecordStore, open_store
from definet_flows.records.energetics import ElementTable, check_table, references_for, screen_energies
from definet_flows.records.energetics.elements import converged_phases
from definet_flows.records.energetics.level import level_hash
from definet_flows.records.extract import pristine_configuration
from tests.records.building.test_builder import campaign
from tests.records.energetics.element_records import element

OTHER_ENGINE = ForceFieldEngine(potential="another.Potential")

# 32 copper atoms of -3 eV; a vacancy costs 1.5 eV, so its cell is at -96 + 3 + 1.5 = -91.5 eV. Aluminium is at -2 eV in
# its phase and dissolves for -0.4 eV: -96 + 3 - 2 - 0.4 = -95.4 eV. Side by side they are bound by 0.25 eV, which leaves
# -91.5 - 95.4 + 96 - 0.25 = -91.15 eV, and 0.85 eV of formation energy; far apart by 0.01 eV.
PRISTINE, VACANCY, ALUMINIUM, NEAR, FAR = -96.0, -91.5, -95.4, -91.15, -90.91
PLACES = {"V": {0: "Vac"}, "Al": {0: "Al"}, "near": {0: "Vac", 1: "Al"}, "far": {0: "Vac", 7: "Al"}}


def filled(store, copper):
    store.put_campaign(campaign(copper))
    store.add_relaxations([copper.record(pristine_configuration(copper.host()), energy=PRISTINE)])
    energies = {"V": VACANCY, "Al": ALUMINIUM, "near": NEAR, "far": FAR}
    store.add_relaxations([copper.record(place(copper, name), energy=e) for name, e in energies.items()])
    return store


@pytest.fixture
def store(copper):
    with RecordStore.in_memory() as opened:
        yield filled(opened, copper)


def place(copper, name):
    return copper.configuration(PLACES[name])


def screened(store, copper, **elements):
    (screen,) = screen_energies(store, ElementTable(physics_hash=copper.ENGINE.physics_hash, elements=elements))
    return screen


def test_formation_energies_by_hand(store, copper):
    screen = screened(store, copper, Al=-2.0)
    found = {one.configuration_id: one for one in screen.formation}
    (limit,) = screen.limits
    assert (limit.limit, limit.values) == ("Cu-rich", {"Cu": -3.0, "Al": -2.0})
    by_hand = {"V": 1.5, "Al": -0.4, "near": 0.85, "far": 1.09}
    for name, expected in by_hand.items():
        record = found[place(copper, name).id]
        assert record.formation_energies == {"Cu-rich": pytest.approx(expected)}
    assert found[place(copper, "near").id].added == {"Al": 1, "Cu": -2}
    assert (record.energy, record.pristine_energy, record.charge) == (FAR, PRISTINE, 0)


def test_binding_energies_and_their_distance_by_hand(store, copper):
    screen = screened(store, copper)  # nothing of the elements is needed
    assert [one.binding_energy for one in screen.binding] == [pytest.approx(0.25), pytest.approx(0.01)]
    near, far = screen.binding
    assert (near.defect_distance, far.defect_distance) == (pytest.approx(3.61), pytest.approx(3.61 * 3**0.5))
    assert sorted(near.parts) == sorted([place(copper, "V").id, place(copper, "Al").id])
    assert screen.left_out == {}


@pytest.mark.parametrize("kind", ["embedded", "database"])
def test_a_directory_and_a_database_give_the_same_energies(store, copper, kind, request, tmp_path):
    table = ElementTable(physics_hash=copper.ENGINE.physics_hash, elements={"Al": -2.0})
    expected = screen_energies(store, table)[0]
    with open_store(tmp_path if kind == "embedded" else request.getfixturevalue("mongo_address")) as other:
        (found,) = screen_energies(filled(other, copper), table)
    assert (found.formation, found.binding, found.ranking) == (expected.formation, expected.binding, expected.ranking)


def test_the_ranking_within_a_recipe_by_hand(store, copper):
    ranking = {one.configuration_id: (one.rank, one.relative_energy) for one in screened(store, copper).ranking}
    assert ranking[place(copper, "near").id] == (1, 0.0)
    assert ranking[place(copper, "far").id] == (2, pytest.approx(0.24))
    assert ranking[place(copper, "V").id] == (1, 0.0)


def test_the_lowest_of_several_relaxations_counts(store, copper):
    predicted = copper.prediction(place(copper, "V"))
    store.add_relaxations([copper.record(place(copper, "V"), predicted, energy=VACANCY - 0.5)])
    (vacancy,) = (one for one in screened(store, copper, Al=-2.0).formation if one.label == "V_Cu")
    assert (vacancy.start, vacancy.formation_energies["Cu-rich"]) == ("prerelaxed", pytest.approx(1.0))


def test_an_element_that_is_missing_leaves_out_what_needs_it(store, copper):
    screen = screened(store, copper)
    known = {one.label: one.formation_energies for one in screen.formation}
    assert known["V_Cu"] == {"Cu-rich": pytest.approx(1.5)}
    assert known["Al_Cu"] == known["V_Cu+Al_Cu"] == {}
    assert screen.remarks == ["There is no energy of the elemental phase of Al."]


def test_elements_of_another_engine_are_not_used(store, copper):
    table = ElementTable(physics_hash=OTHER_ENGINE.physics_hash, elements={"Al": -2.0})
    (screen,) = screen_energies(store, table)
    assert screen.limits[0].values == {"Cu": -3.0}
    with pytest.raises(InputError, match="energies of different engines or settings cannot be combined"):
        check_table(table, [screen])


def test_engines_and_supercells_are_kept_apart(store, copper):
    store.add_relaxations([copper.record(place(copper, "V"), engine=OTHER_ENGINE, energy=-10.0)])
    screens = screen_energies(store)
    assert [len(one.ranking) for one in screens] == [4, 1]
    assert screens[1].remarks == [
        "The pristine supercell has no converged relaxation, so that only rankings are known."
    ]
    assert screens[1].formation == screens[1].binding == []
    assert screens[1].left_out == {}


def test_what_is_left_out_is_counted(store, copper):
    charged = copper.record(place(copper, "V"), energy=VACANCY).model_copy(update={"key": "f" * 32, "charge": -1})
    lost = copper.record(copper.configuration({0: "Ni"}), converged=False)
    unpaired = copper.record(copper.configuration({0: "Ni", 1: "Al"}), energy=-94.0)
    store.add_relaxations([charged, lost, unpaired])
    screen = screened(store, copper)
    assert screen.left_out == {
        "did not converge": 1,
        "charged, which needs a finite-size correction": 1,
        "without a binding energy, for a part of it has no converged relaxation alone": 1,
    }
    assert {one.charge for one in screen.ranking if one.label == "V_Cu"} == {0, -1}


def test_the_lowest_converged_phase_of_each_element_and_compound_is_taken(copper):
    other = copper.record(place(copper, "V"), engine=OTHER_ENGINE).engine
    phases = [
        element("Al", -1.9, "old"),
        element("Al", -2.0, "new"),
        element("Cu", -3.5, state="failed"),
        element("AlCu2", -2.5),
        element("Al", -9.0, engine=other),
    ]
    with RecordStore.in_memory() as store:
        store.write("elements", phases)
        found = converged_phases(store)
    mine = references_for(phases[0].engine, found)
    assert (mine.elements, mine.compounds) == ({"Al": -2.0}, {"AlCu2": -7.5})
    assert references_for(other, found).elements == {"Al": -9.0}


def test_of_one_phase_the_finest_k_points_count():
    phases = [
        element("Al", energy, "fcc").model_copy(update={"kpoint_density": d})
        for energy, d in ((-2.0, 200.0), (-2.3, 30.0))
    ]
    found = references_for(phases[0].engine, [*phases, element("Al", -1.0, "bcc")])
    assert found.elements == {"Al": -2.0}


def test_phases_go_with_supercells_of_the_same_level_whatever_their_k_points():
    engines = [VaspEngine(), VaspEngine(kpoints=(2, 2, 1), rattle=0.01), VaspEngine(user_incar_settings={"ENCUT": 400})]
    mine, finer, coarser = (level_hash(engine.physics) for engine in engines)
    assert mine == finer != coarser
    assert len({engine.physics_hash for engine in engines}) == 3
