from __future__ import annotations

import json
import logging
import pickle

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Poscar

from definet_flows.defects import Host, HostReference, available_hosts
from definet_flows.errors import InputError
from tests.defects import brute_force
from tests.defects.conftest import RECTANGULAR, bulk

SUPERCELLS = [
    ("MoS2", (3, 2, 1)),
    ("BP", RECTANGULAR),
    ("CdTe", (2, 2, 2)),
    ("MgO", ((-1, 1, 1), (1, -1, 1), (1, 1, -1))),
]


@pytest.mark.parametrize(("name", "supercell"), SUPERCELLS)
def test_the_supercell_is_pymatgens(make_host, name, supercell):
    """Same lattice and the same atoms, in whatever order."""
    host = make_host(name, supercell)
    matrix = np.diag(supercell) if np.ndim(supercell) == 1 else np.array(supercell)
    expected = host.unit_cell.make_supercell(matrix, in_place=False)
    np.testing.assert_allclose(host.lattice, expected.lattice.matrix, atol=1e-12)
    assert host.n_sites == len(expected) == len(host.species) == len(host.atomic_numbers)
    distances = expected.lattice.get_all_distances(host.structure.frac_coords, expected.frac_coords)
    partners = distances.argmin(axis=1)
    assert distances.min(axis=1).max() < 1e-6
    assert sorted(partners) == list(range(host.n_sites))
    assert [expected[i].specie.symbol for i in partners] == list(host.species)


def test_copies_of_a_unit_cell_site_stand_together(mos2):
    assert mos2.species == ("Mo",) * 25 + ("S",) * 50
    offsets = mos2.nominal_positions.reshape(3, 25, 3) - mos2.nominal_positions.reshape(3, 25, 3)[:, :1]
    np.testing.assert_allclose(offsets[0], offsets[1], atol=1e-12)


@pytest.mark.parametrize("name", available_hosts())
@pytest.mark.parametrize("write", ["cif", "vasp"])
def test_a_host_read_back_from_its_own_file_is_the_same_host(tmp_path, name, write):
    preset = Host.from_preset(name, (3, 3, 1), vacuum=15)
    file = tmp_path / f"{name}.{write}"
    if write == "cif":
        preset.unit_cell.to(filename=str(file), fmt="cif")
    else:
        Poscar(preset.unit_cell).write_file(file)
    read = Host.from_file(file, (3, 3, 1))
    assert read == preset
    assert (read.name, read.dimensionality, read.family) == (name, 2, preset.family)


def test_bulk_crystals_are_recognised_from_files(tmp_path):
    for name, group in (("MgO", 225), ("CdTe", 216), ("diamond", 227)):
        Poscar(bulk(name)).write_file(tmp_path / "POSCAR")
        host = Host.from_file(tmp_path / "POSCAR", (2, 2, 2))
        assert (host.dimensionality, host.vacuum, host.vacuum_warning) == (3, None, None)
        assert host.crystal == f"{host.unit_cell.composition.reduced_formula}-{group}"
        assert host.n_sites == 16


def test_a_coordinate_a_hair_below_zero_is_zero():
    cells = [Structure(Lattice.cubic(4.2), ["Cs", "Cl"], [[x, 0, -x], [0.5, 0.5, 0.5]]) for x in (0.0, -1e-9, 1e-9)]
    assert len({Host.from_structure(cell, (2, 2, 2)).fingerprint for cell in cells}) == 1


def test_the_fingerprint_tells_hosts_apart():
    hosts = [Host.from_preset("MoS2", (4, 4, 1), vacuum=v) for v in (15, 20)]
    hosts += [Host.from_preset("MoS2", (5, 5, 1), vacuum=15), Host.from_preset("WSe2", (4, 4, 1), vacuum=15)]
    hosts += [Host.from_preset("MoS2", ((4, 0, 0), (4, 4, 0), (0, 0, 1)), vacuum=15)]
    assert len({host.fingerprint for host in hosts}) == len(hosts)
    assert len({host.family for host in hosts}) == 2
    assert {host.crystal for host in hosts} == {"MoS2-187", "WSe2-187"}


def test_oxidation_states_and_site_properties_are_dropped():
    plain = bulk("MgO")
    decorated = plain.copy(site_properties={"magmom": [1.0, 2.0]})
    decorated.add_oxidation_state_by_element({"Mg": 2, "O": -2})
    assert Host.from_structure(decorated, (2, 2, 2)) == Host.from_structure(plain, (2, 2, 2))


REFERENCE = HostReference("test", "0" * 16, ((0.0, 0.0, 0.0), (0.0, 0.0, -0.02), (0.0, 0.0, 0.02)), 0.3, 1e-4)


def test_a_reference_moves_the_positions_and_nothing_else(mos2):
    relaxed = mos2.with_reference(REFERENCE)
    assert relaxed.fingerprint == mos2.fingerprint
    assert relaxed != mos2
    assert np.array_equal(relaxed.nominal_positions, mos2.positions)
    moved = (relaxed.positions - mos2.positions).reshape(3, 25, 3)
    np.testing.assert_allclose(
        moved, np.broadcast_to(np.array(REFERENCE.displacements)[:, None], moved.shape), atol=1e-12
    )
    larger = relaxed.with_supercell((7, 7, 1))
    assert larger.reference == REFERENCE
    assert larger.with_supercell((5, 5, 1)) == relaxed


def test_json_and_pickle_round_trips(mos2):
    for host in (mos2, mos2.with_reference(REFERENCE)):
        again = Host.from_dict(json.loads(json.dumps(host.to_dict())))
        assert again == host == pickle.loads(pickle.dumps(host))
        assert again.to_dict() == host.to_dict()
        np.testing.assert_allclose(again.positions, host.positions, atol=1e-12)
    assert host.permutations is not None
    assert len(pickle.dumps(host)) < 10_000, "permutations are rebuilt, not sent"


@pytest.mark.parametrize("broken", [{}, {"name": "x"}, {"lattice": "abc"}])
def test_a_record_that_is_no_host(mos2, broken):
    content = mos2.to_dict() | broken if "lattice" in broken else broken
    with pytest.raises(InputError, match="not the record of a host"):
        Host.from_dict(content)


def test_hosts_are_compared_only_with_hosts(mos2):
    assert mos2 != "MoS2"
    assert hash(mos2) == hash(Host.from_preset("MoS2", (5, 5, 1), vacuum=15))


def test_the_name_is_the_files_or_the_formula(tmp_path):
    assert Host.from_structure(bulk("CdTe"), (1, 1, 1)).name == "CdTe"
    Poscar(bulk("CdTe")).write_file(tmp_path / "zincblende.vasp")
    assert Host.from_file(tmp_path / "zincblende.vasp", (1, 1, 1)).name == "zincblende"


@pytest.mark.parametrize(
    ("supercell", "message"),
    [
        ((2, 2, 0), "must be positive"),
        ((-2, 2, 1), "must be positive"),
        ((2.5, 2, 1), "is not integer"),
        ((float("nan"), 2, 1), "is not integer"),
        ((2, 2), "has shape"),
        (((1, 0), (0, 1)), "has shape"),
        ("2x2x1", "is not numeric"),
        (((1, 0, 0), (2, 0, 0), (0, 0, 1)), "is singular"),
        (((1, 0.5, 0), (0, 1, 0), (0, 0, 1)), "is not integer"),
    ],
)
def test_impossible_supercells(supercell, message):
    with pytest.raises(InputError, match=message):
        Host.from_preset("MoS2", supercell, vacuum=15)


def test_supercells_may_be_arrays_and_integral_floats():
    assert Host.from_preset("MoS2", np.diag([2, 2, 1]), vacuum=15) == Host.from_preset("MoS2", [2.0, 2, 1], vacuum=15)


def test_unknown_hosts_and_dimensions():
    with pytest.raises(InputError, match=r"no host preset 'MoS3'; choose one of MoS2, WSe2, hBN, GaSe, InSe, BP"):
        Host.from_preset("MoS3")
    with pytest.raises(InputError, match="Dimensionality 1 is neither 2"):
        Host.from_structure(bulk("MgO"), (1, 1, 1), dimensionality=1)


def test_the_smallest_vectors_of_a_sheared_supercell(make_host):
    plain, sheared = make_host("MoS2", (4, 4, 1)), make_host("MoS2", ((4, 0, 0), (12, 4, 0), (0, 0, 1)))
    cell = plain.unit_cell.lattice.matrix
    lengths = [np.sort(np.linalg.norm(host.compact_supercell @ cell, axis=1)) for host in (plain, sheared)]
    np.testing.assert_allclose(*lengths)
    images = brute_force.site_permutations(sheared.lattice, sheared.nominal_positions, sheared.species)
    assert len(images) == len(plain.permutations)


def test_a_thin_vacuum_is_logged_with_what_to_do(caplog):
    with caplog.at_level(logging.WARNING):
        Host.from_preset("MoS2", (2, 2, 1))
    assert "MoS2 has 11.7 Å of vacuum, under the recommended 15 Å; vacuum=15 (--vacuum 15) widens it." in caplog.text
    caplog.clear()
    Host.from_preset("MoS2", (2, 2, 1), vacuum=15)
    assert not caplog.records
