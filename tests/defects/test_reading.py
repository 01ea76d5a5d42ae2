from __future__ import annotations

import sys
from types import ModuleType

import pytest
from ase import Atoms
from ase.io import write as write_ase
from pymatgen.core import Lattice, Structure

from definet_flows.defects import Host, read_structure
from definet_flows.defects.reading import read_cif
from definet_flows.errors import InputError
from tests.defects.conftest import bulk

INTERLEAVED = Structure(
    Lattice.orthorhombic(4, 5, 6),
    ["O", "Mg", "O", "Mg", "S"],
    [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0.5], [0.2, 0.8, 0.6]],
)


@pytest.mark.parametrize("name", ["cell.cif", "POSCAR", "cell.vasp", "cell.json"])
def test_files_keep_the_order_of_their_atoms(tmp_path, name):
    INTERLEAVED.to(filename=str(tmp_path / name))
    read = read_structure(tmp_path / name)
    assert [site.specie.symbol for site in read] == ["O", "Mg", "O", "Mg", "S"]
    assert read.lattice.get_all_distances(read.frac_coords, INTERLEAVED.frac_coords).diagonal().max() < 1e-6


def test_cifs_of_other_programs_keep_their_order(tmp_path):
    """ASE numbers its labels by element."""
    atoms = Atoms([s.specie.symbol for s in INTERLEAVED], INTERLEAVED.cart_coords, cell=[4, 5, 6], pbc=True)
    write_ase(tmp_path / "ase.cif", atoms)
    assert [site.specie.symbol for site in read_structure(tmp_path / "ase.cif")] == ["O", "Mg", "O", "Mg", "S"]


def interleaved_by_ase(path):
    atoms = Atoms([s.specie.symbol for s in INTERLEAVED], INTERLEAVED.cart_coords, cell=[4, 5, 6], pbc=True)
    write_ase(path, atoms)


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib, asked by pymatgen
@pytest.mark.parametrize(
    "written",
    [
        lambda path: INTERLEAVED.to(filename=str(path)),
        interleaved_by_ase,
        lambda path: bulk("MgO").to(filename=str(path), symprec=1e-3),
        lambda path: Structure(Lattice.cubic(4), [{"Mg": 0.5, "Ca": 0.5}], [[0, 0, 0]]).to(filename=str(path)),
        lambda path: Structure(Lattice.cubic(4), ["Mg2+", "O2-"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(filename=str(path)),
    ],
)
def test_cifs_read_quickly_are_the_same_structures(tmp_path, written):
    written(tmp_path / "cell.cif")
    quick, whole = read_cif(tmp_path / "cell.cif"), read_structure(tmp_path / "cell.cif")
    assert [site.species.elements[0].symbol for site in quick] == [site.species.elements[0].symbol for site in whole]
    assert quick.lattice.get_all_distances(quick.frac_coords, whole.frac_coords).diagonal().max() < 1e-6
    assert quick.is_ordered == whole.is_ordered


def test_cifs_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(InputError, match="There is no structure file"):
        read_cif(tmp_path / "none.cif")
    (tmp_path / "text.cif").write_text("no structure here")
    with pytest.raises(InputError, match="cannot be read as a structure"):
        read_cif(tmp_path / "text.cif")


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib, asked by pymatgen
def test_cifs_with_symmetry_are_expanded(tmp_path):
    bulk("MgO").to(filename=str(tmp_path / "sym.cif"), symprec=1e-3)
    assert len(Host.from_file(tmp_path / "sym.cif", (1, 1, 1)).unit_cell) == 8


def test_extended_xyz(tmp_path):
    atoms = Atoms("MgO", [[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True)
    write_ase(tmp_path / "cell.extxyz", atoms)
    assert [site.specie.symbol for site in read_structure(tmp_path / "cell.extxyz")] == ["Mg", "O"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.cif", b"", "is empty; give a CIF or POSCAR"),
        ("text.cif", b"no structure here", "cannot be read as a structure"),
        ("bytes.cif", bytes(range(256)), "cannot be read as a structure"),
        ("POSCAR", b"comment\n1.0\n1 0 0\n", "cannot be read as a structure"),
        ("cell.xyz", b"2\n\nMg 0 0 0\n", "cannot be read as a structure"),
        ("cell.unknown", b"Mg 0 0 0", "cannot be read as a structure"),
    ],
)
def test_files_without_a_structure(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        Host.from_file(tmp_path / name, (1, 1, 1))
    assert name in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "nowhere.cif", tmp_path):
        with pytest.raises(InputError, match="There is no structure file"):
            Host.from_file(path, (1, 1, 1))


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (
            Structure(Lattice.cubic(4), ["Mg", "Mg"], [[0, 0, 0], [0.999, 0, 0]]),
            r"Atoms 1 and 2 overlap \(0.00 Å apart\)",
        ),
        (
            Structure(Lattice.cubic(4), ["Mg", "O", "O"], [[0, 0, 0], [0.5] * 3, [0.6, 0.5, 0.5]]),
            "Atoms 2 and 3 overlap",
        ),
        (Structure(Lattice.cubic(4), [{"Mg": 0.5, "Ca": 0.5}], [[0, 0, 0]]), "partially occupied sites"),
        (Structure(Lattice.cubic(4), [{"Mg": 0.5}], [[0, 0, 0]]), "partially occupied sites"),
        (Structure(Lattice.cubic(4), [], []), "holds no atoms"),
        (Structure(Lattice.cubic(4), ["Mg"], [[float("nan"), 0, 0]]), "not finite numbers"),
        (Structure(Lattice([[0, 0, 0], [0, 1, 0], [0, 0, 1]]), ["Mg"], [[0, 0, 0]]), "no volume"),
    ],
)
def test_structures_that_cannot_be_a_host(structure, message):
    with pytest.raises(InputError, match=message):
        Host.from_structure(structure, (1, 1, 1))


def test_partial_occupancy_in_a_file(tmp_path):
    disordered = Structure(Lattice.cubic(4), [{"Mg": 0.5, "Ca": 0.5}, "O"], [[0, 0, 0], [0.5] * 3])
    disordered.to(filename=str(tmp_path / "alloy.cif"))
    with pytest.raises(InputError, match="partially occupied sites"):
        Host.from_file(tmp_path / "alloy.cif", (1, 1, 1))


def test_materials_project_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "mp_api", None)
    monkeypatch.setitem(sys.modules, "mp_api.client", None)
    with pytest.raises(InputError, match="pip install mp-api, and set MP_API_KEY"):
        Host.from_mp_id("mp-2815", (4, 4, 1))


class RestError(Exception):
    """Stands for the client's own error."""


class Rester:
    """Stands for the client: it knows magnesium oxide, and wants a key."""

    key = "secret"

    def __init__(self):
        if not self.key:
            raise RestError("Please obtain a valid API key")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return False

    def get_structure_by_material_id(self, material_id):
        return {"mp-1265": bulk("MgO")}.get(material_id)


@pytest.fixture
def client(monkeypatch):
    module = ModuleType("mp_api.client")
    module.MPRester = Rester
    monkeypatch.setitem(sys.modules, "mp_api", ModuleType("mp_api"))
    monkeypatch.setitem(sys.modules, "mp_api.client", module)
    core = ModuleType("mp_api.client.core")
    core.MPRestError = RestError
    monkeypatch.setitem(sys.modules, "mp_api.client.core", core)


def test_materials_project_host(client):
    host = Host.from_mp_id("mp-1265", (2, 2, 2))
    assert (host.name, host.dimensionality) == ("mp-1265", 3)
    assert host.unit_cell.composition.reduced_formula == "MgO"


def test_materials_project_without_key_or_with_an_unknown_id(client, monkeypatch):
    with pytest.raises(InputError, match="has no structure for mp-0"):
        Host.from_mp_id("mp-0", (1, 1, 1))
    monkeypatch.setattr(Rester, "key", None)
    with pytest.raises(InputError, match=r"no structure for mp-1265: Please obtain a valid API key"):
        Host.from_mp_id("mp-1265", (1, 1, 1))
