from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from definet_flows.defects import VACANCY, DefectConfiguration, Host, enumerate_configurations, high_density
from definet_flows.errors import InputError
from tests.defects.conftest import host_of

HOSTS = [
    ("MoS2", (4, 4, 1)),
    ("GaSe", (3, 3, 1)),
    ("BP", (3, 3, 1)),
    ("hBN", ((4, 1, 0), (-1, 3, 0), (0, 0, 1))),
    ("CdTe", (3, 2, 2)),
]
SUBSTITUTIONS = {"CdTe": {"Cd": ("Zn", "Te", VACANCY), "Te": ("Cd", VACANCY)}}


@st.composite
def placements(draw, largest=4):
    """A host and one to `largest` changed sites, in random order."""
    name, supercell = draw(st.sampled_from(HOSTS))
    host = host_of(name, supercell)
    options = SUBSTITUTIONS.get(name) or high_density(name).substitutions
    sites = draw(st.lists(st.integers(0, host.n_sites - 1), min_size=1, max_size=largest, unique=True))
    return host, {site: draw(st.sampled_from(options[host.species[site]])) for site in sites}


@given(placements(), st.data())
def test_the_id_does_not_change_under_symmetry_or_order(placement, draws):
    host, defects = placement
    configuration = DefectConfiguration.create(host, defects)
    permutation = host.permutations[draws.draw(st.integers(0, len(host.permutations) - 1))]
    shuffled = draws.draw(st.permutations(list(defects)))
    image = DefectConfiguration.create(host, {int(permutation[site]): defects[site] for site in shuffled})
    assert image == configuration
    assert image.id == configuration.id
    assert image.multiplicity == configuration.multiplicity


def test_the_id_does_not_change_under_any_operation(make_host):
    for name, supercell in HOSTS:
        host = make_host(name, supercell)
        defects = {0: VACANCY, host.n_cells - 1: VACANCY, host.n_sites - 1: VACANCY}
        images = [{int(p[site]): new for site, new in defects.items()} for p in host.permutations]
        assert len({DefectConfiguration.create(host, image).id for image in images}) == 1


@given(placements())
def test_multiplicity_counts_the_distinct_images(placement):
    host, defects = placement
    images = {tuple(sorted((int(p[site]), new) for site, new in defects.items())) for p in host.permutations}
    configuration = DefectConfiguration.create(host, defects)
    assert configuration.multiplicity == len(images)
    assert configuration.defects == min(images), "the canonical image is the smallest"


@given(placements())
def test_json_round_trip(placement):
    host, defects = placement
    configuration = DefectConfiguration.create(host, defects)
    text = json.dumps(configuration.to_dict())
    assert len(text) < 120
    again = DefectConfiguration.from_dict(json.loads(text), Host.from_dict(json.loads(json.dumps(host.to_dict()))))
    assert (again, again.id, again.multiplicity) == (configuration, configuration.id, configuration.multiplicity)


@given(placements())
def test_markers_numbers_and_occupancy_agree_with_the_defects(placement):
    host, defects = placement
    configuration = DefectConfiguration.create(host, defects)
    changed = dict(configuration.defects)
    for site in range(host.n_sites):
        new = changed.get(site)
        assert configuration.markers[site] == {None: 0, VACANCY: 2}.get(new, 1)
        assert configuration.occupied[site] == (new != VACANCY)
        assert configuration.species[site] == (host.species[site] if new in {None, VACANCY} else new)
    assert configuration.markers.dtype == np.int8
    assert configuration.n_defects == len(defects)
    assert configuration.concentration == len(defects) / host.n_sites
    assert sorted(configuration.defect_sites) == sorted(changed)


def test_structures_with_and_without_placeholders(mos2):
    configuration = next(enumerate_configurations(mos2, "W_Mo+V_S+Se_S"))
    atoms, everything = configuration.structure(), configuration.placeholder_structure()
    assert len(everything) == mos2.n_sites == len(atoms) + 1
    assert everything.site_properties["defect_marker"] == configuration.markers.tolist()
    occupied = np.flatnonzero(configuration.occupied)
    np.testing.assert_allclose(atoms.cart_coords, mos2.positions[occupied], atol=1e-12)
    np.testing.assert_allclose(everything.cart_coords, mos2.positions, atol=1e-12)
    assert [site.specie.symbol for site in atoms] == [configuration.species[site] for site in occupied]
    assert [site.specie.Z for site in everything] == configuration.atomic_numbers.tolist()
    assert np.array_equal(atoms.lattice.matrix, mos2.lattice)
    moved = configuration.structure(mos2.positions + 0.1)
    np.testing.assert_allclose(moved.cart_coords, mos2.positions[occupied] + 0.1, atol=1e-12)


def test_labels_are_in_the_hosts_order_with_vacancies_first(mos2):
    labels = {c.label for c in enumerate_configurations(mos2, "Se_S+V_S+W_Mo")}
    assert labels == {"W_Mo+V_S+Se_S"}
    assert str(DefectConfiguration.create(mos2, {0: "V"})).startswith("Vanadium_Mo in MoS2 (")


def test_a_configuration_survives_pickling_with_its_host(mos2):
    configuration = next(enumerate_configurations(mos2, "V_Mo+V_S"))
    again = pickle.loads(pickle.dumps(configuration))
    assert again == configuration
    assert again.multiplicity == configuration.multiplicity


def test_the_same_placement_in_another_host_is_another_configuration(make_host):
    small, large = make_host("MoS2", (4, 4, 1)), make_host("MoS2", (5, 5, 1))
    assert DefectConfiguration.create(small, {0: "W"}).id != DefectConfiguration.create(large, {0: "W"}).id


@pytest.mark.parametrize(
    ("defects", "message"),
    [
        ({}, "at least one defect"),
        ({75: "W"}, "sites 0 to 74"),
        ({-1: "W"}, "Site -1 does not exist"),
        ({0: "Mo"}, "Mo_Mo changes nothing"),
        ({0: "Xy"}, "'Xy' is not an element"),
    ],
)
def test_impossible_defects_are_refused(mos2, defects, message):
    with pytest.raises(InputError, match=message):
        DefectConfiguration.create(mos2, defects)


def test_records_that_are_not_of_this_host_are_refused(mos2, make_host):
    content = DefectConfiguration.create(mos2, {0: "W"}).to_dict()
    with pytest.raises(InputError, match=f"belongs to host {mos2.fingerprint}, not to MoS2"):
        DefectConfiguration.from_dict(content, make_host("MoS2", (4, 4, 1)))
    for broken in ({}, {"host": mos2.fingerprint}, {"host": mos2.fingerprint, "defects": [[0]]}, {"defects": 3}):
        with pytest.raises(InputError, match="not the record of a defect configuration"):
            DefectConfiguration.from_dict(broken, mos2)
