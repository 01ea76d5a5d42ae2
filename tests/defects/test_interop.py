from __future__ import annotations

import sys

import ase.io
import numpy as np
import pytest
from pymatgen.analysis.defects.core import Interstitial, Substitution, Vacancy
from pymatgen.analysis.defects.thermo import DefectEntry
from pymatgen.core import PeriodicSite
from pymatgen.entries.computed_entries import ComputedStructureEntry

from definet_flows.defects import (
    VACANCY,
    DefectConfiguration,
    MatchError,
    configuration_from_entry,
    configuration_from_structure,
    enumerate_configurations,
    read_structure,
    to_defect_entry,
    write_extxyz,
    write_structure,
)
from definet_flows.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib, asked by pymatgen


@pytest.fixture
def triple(mos2):
    """Three kinds of defects, which interleave the species."""
    return list(enumerate_configurations(mos2, "W_Mo+V_S+Se_S"))[5]


def relaxed_positions(configuration):
    return configuration.host.positions + np.random.default_rng(3).normal(
        scale=0.05, size=(configuration.host.n_sites, 3)
    )


def same_atoms(structure, expected, atol):
    assert [site.specie.symbol for site in structure] == [site.specie.symbol for site in expected]
    np.testing.assert_allclose(structure.lattice.matrix, expected.lattice.matrix, atol=atol)
    gaps = structure.frac_coords - expected.frac_coords
    np.testing.assert_allclose((gaps - np.rint(gaps)) @ expected.lattice.matrix, 0, atol=atol)


@pytest.mark.parametrize(("name", "atol"), [("POSCAR", 1e-9), ("relaxed.vasp", 1e-9), ("relaxed.cif", 1e-6)])
@pytest.mark.parametrize("relaxed", [False, True])
def test_written_files_keep_the_site_order(tmp_path, triple, name, atol, relaxed):
    positions = relaxed_positions(triple) if relaxed else None
    file = write_structure(triple, tmp_path / name, positions)
    same_atoms(read_structure(file), triple.structure(positions), atol)
    assert configuration_from_structure(triple.host, read_structure(file)) == triple
    by_ase = ase.io.read(file)
    assert by_ase.get_chemical_symbols() == [site.specie.symbol for site in triple.structure()]


def test_extxyz_keeps_site_order_and_says_which_site_is_which(tmp_path, mos2, triple):
    other = next(enumerate_configurations(mos2, "V_Mo+V_S"))
    moved = relaxed_positions(other)
    file = write_extxyz([triple, other], tmp_path / "many.extxyz", [None, moved])
    frames = ase.io.read(file, index=":")
    for atoms, configuration, positions in zip(frames, (triple, other), (mos2.positions, moved), strict=True):
        sites = np.flatnonzero(configuration.occupied)
        assert atoms.get_array("host_site").tolist() == sites.tolist()
        assert atoms.numbers.tolist() == configuration.atomic_numbers[sites].tolist()
        np.testing.assert_allclose(atoms.positions, positions[sites], atol=1e-7)
        np.testing.assert_allclose(atoms.cell[:], mos2.lattice, atol=1e-7)
        assert atoms.info["label"] == configuration.label
        assert str(atoms.info["configuration_id"]) == configuration.id
        assert atoms.pbc.all()
    assert configuration_from_structure(mos2, read_structure(file)) == triple


def test_extxyz_ids_stay_text(tmp_path, mos2):
    """An id of digits only, or one that looks like a power of ten, must not become a number."""
    configuration = next(enumerate_configurations(mos2, "V_Mo+V_S"))
    for digits in ("1234567890123456", "12345678901234e6", "0000000000000001", "12345678901234ab"):
        configuration.__dict__["id"] = digits
        atoms = ase.io.read(write_extxyz([configuration], tmp_path / "one.extxyz"))
        assert atoms.info["configuration_id"] == digits


@pytest.mark.parametrize(
    ("site", "species", "kind"), [(30, VACANCY, Vacancy), (30, "Se", Substitution), (4, "S", Substitution)]
)
def test_pymatgen_entries_go_both_ways(mos2, site, species, kind):
    configuration = DefectConfiguration.create(mos2, {site: species})
    positions = relaxed_positions(configuration)
    entry = to_defect_entry(configuration, positions)
    assert isinstance(entry, DefectEntry)
    assert isinstance(entry.defect, kind)
    assert entry.defect.site.specie.symbol == (mos2.species[site] if species == VACANCY else species)
    changed = configuration.defects[0][0]
    np.testing.assert_allclose(np.array(entry.sc_defect_frac_coords) @ mos2.lattice, mos2.positions[changed], atol=1e-9)
    same_atoms(entry.sc_entry.structure, configuration.structure(positions), 1e-9)
    assert configuration_from_entry(mos2, entry) == configuration
    assert configuration_from_entry(mos2, entry.sc_entry.structure) == configuration


def test_entries_made_by_pymatgen_are_read(make_host):
    host = make_host("MgO", (3, 3, 3))
    cell = host.unit_cell
    made = {
        "V_O": Vacancy(cell, cell[1]),
        "Ca_Mg": Substitution(cell, PeriodicSite("Ca", cell[0].frac_coords, cell.lattice)),
    }
    for label, defect in made.items():
        supercell = defect.get_supercell_structure(sc_mat=np.array(host.supercell_matrix))
        entry = DefectEntry(defect, 0, ComputedStructureEntry(supercell, -1.0))
        assert configuration_from_entry(host, entry).label == label


def test_an_interstitial_entry_is_refused(make_host):
    host = make_host("MgO", (3, 3, 3))
    defect = Interstitial(host.unit_cell, PeriodicSite("O", [0.25, 0.25, 0.25], host.unit_cell.lattice))
    supercell = defect.get_supercell_structure(sc_mat=np.array(host.supercell_matrix))
    with pytest.raises(MatchError, match="interstitials cannot be represented"):
        configuration_from_entry(host, DefectEntry(defect, 0, ComputedStructureEntry(supercell, -1.0)))


@pytest.mark.filterwarnings("ignore")  # doped and what it imports warn of each other
def test_doped_entries_are_read(make_host):
    from doped import core as doped

    host = make_host("CdTe", (3, 3, 3))
    configuration = DefectConfiguration.create(host, {0: "Te"})
    made = doped.Substitution(host.unit_cell, PeriodicSite("Te", host.unit_cell[0].frac_coords, host.unit_cell.lattice))
    supercell = configuration.structure()
    generated = doped.DefectEntry(made, 0, sc_entry=None, defect_supercell=supercell)
    calculated = doped.DefectEntry(
        made, 0, sc_entry=ComputedStructureEntry(supercell, -1.0), defect_supercell=supercell
    )
    for entry in (generated, calculated):
        assert configuration_from_entry(host, entry) == configuration
    assert type(to_defect_entry(configuration)).__mro__[0] in doped.DefectEntry.__mro__


def test_several_defects_have_no_entry(triple):
    with pytest.raises(InputError, match=r"no class for W_Mo\+V_S\+Se_S; export it as POSCAR or extxyz"):
        to_defect_entry(triple)


def test_entries_without_the_package(monkeypatch, mos2):
    monkeypatch.setitem(sys.modules, "pymatgen.analysis.defects.core", None)
    with pytest.raises(InputError, match="pip install pymatgen-analysis-defects"):
        to_defect_entry(DefectConfiguration.create(mos2, {0: "W"}))


def test_what_holds_no_structure_is_refused(mos2):
    with pytest.raises(InputError, match="str holds no supercell; give a DefectEntry"):
        configuration_from_entry(mos2, "V_S")


def test_a_file_name_that_says_no_format_is_refused(tmp_path, mos2, triple):
    with pytest.raises(InputError, match="names no format"):
        write_structure(triple, tmp_path / "triple.xyz")
