from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from definet_flows.defects import (
    VACANCY,
    DefectConfiguration,
    Host,
    HostReference,
    MatchError,
    configuration_from_structure,
    enumerate_configurations,
)
from definet_flows.defects.matching import match_structure
from tests.defects.conftest import host_of

HOSTS = {
    "MoS2": ((4, 4, 1), {"Mo": ("W", VACANCY, "S"), "S": ("Se", VACANCY)}),
    "hBN": (((4, 1, 0), (-1, 3, 0), (0, 0, 1)), {"B": ("C", VACANCY), "N": ("C", VACANCY)}),
    "GaSe": ((3, 3, 1), {"Ga": ("In", VACANCY), "Se": ("S", VACANCY)}),
    "BP": ((3, 3, 1), {"P": ("N", VACANCY)}),
    "CdTe": ((3, 3, 2), {"Cd": ("Te", VACANCY), "Te": ("Cd", VACANCY)}),
    "diamond": ((3, 3, 3), {"C": ("N", VACANCY)}),
}


def as_another_program_writes_it(structure, rng, largest=0.12, shift=True):
    """Atoms shuffled, moved by up to `largest` Å, shifted together, wrapped into the cell, some into a neighbouring one."""
    order = rng.permutation(len(structure))
    coords = structure.cart_coords[order] + rng.uniform(-1, 1, (len(order), 3)) * largest / np.sqrt(3)
    coords += rng.uniform(-10, 10, 3) * shift
    frac = coords @ np.linalg.inv(structure.lattice.matrix) % 1.0 + rng.integers(-1, 2, coords.shape)
    return Structure(structure.lattice, [structure[i].specie for i in order], frac), order


@settings(max_examples=60)
@given(st.sampled_from(sorted(HOSTS)), st.integers(0, 2**32 - 1), st.integers(1, 4), st.booleans())
def test_disguised_structures_are_recognised(name, seed, n_defects, shift):
    supercell, options = HOSTS[name]
    host, rng = host_of(name, supercell), np.random.default_rng(seed)
    sites = rng.choice(host.n_sites, n_defects, replace=False)
    configuration = DefectConfiguration.create(
        host, {int(site): str(rng.choice(options[host.species[site]])) for site in sites}
    )
    disguised, _ = as_another_program_writes_it(configuration.structure(), rng, shift=shift)
    assert configuration_from_structure(host, disguised) == configuration


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_predictions_go_back_into_the_files_own_order_cell_and_origin(seed):
    host, rng = host_of("MoS2", (4, 4, 1)), np.random.default_rng(seed)
    sites = rng.choice(host.n_sites, 2, replace=False)
    placed = {int(sites[0]): VACANCY, int(sites[1]): "Te"}
    given_atoms, order = as_another_program_writes_it(
        DefectConfiguration(host, tuple(sorted(placed.items()))).structure(), rng, largest=0.0
    )
    match = match_structure(host, given_atoms)
    displacements = rng.normal(scale=0.05, size=(host.n_sites, 3))
    moved = match.with_displacements(displacements)
    assert moved.species == given_atoms.species
    assert np.array_equal(moved.lattice.matrix, given_atoms.lattice.matrix)
    np.testing.assert_allclose(moved.cart_coords, given_atoms.cart_coords + displacements[match.sites], atol=1e-6)
    assert len(order) == len(match.sites) == host.n_sites - 1
    assert match.placement.label == DefectConfiguration.create(host, placed).label
    vacated = {site for site, new in match.placement.defects if new == VACANCY}
    assert set(range(host.n_sites)) - set(match.sites.tolist()) == vacated


def test_the_placement_is_the_files_not_the_canonical_one(mos2):
    placed = DefectConfiguration(mos2, ((7, "W"), (40, VACANCY)))
    match = match_structure(mos2, placed.structure())
    assert match.placement.defects == placed.defects
    assert configuration_from_structure(mos2, placed.structure()).defects != placed.defects
    np.testing.assert_allclose(match.ideal_positions, mos2.positions, atol=1e-9)


@pytest.mark.parametrize("vacuum", [15, 18, 30])
@pytest.mark.parametrize("shift", [0.0, 0.4, -0.3])
def test_the_files_vacuum_may_differ_from_the_hosts(mos2, vacuum, shift):
    other = Host.from_preset("MoS2", (5, 5, 1), vacuum=vacuum)
    for configuration in list(enumerate_configurations(mos2, "V_Mo+Se_S"))[:3]:
        atoms = DefectConfiguration(other, configuration.defects).structure()
        atoms.translate_sites(range(len(atoms)), [0, 0, shift], to_unit_cell=True)
        assert configuration_from_structure(mos2, atoms) == configuration


def test_a_strained_cell_is_recognised(mos2):
    configuration = next(enumerate_configurations(mos2, "V_Mo+V_S"))
    atoms = configuration.structure()
    strained = Structure(Lattice(atoms.lattice.matrix * [[1.02], [1.02], [1.0]]), atoms.species, atoms.frac_coords)
    assert configuration_from_structure(mos2, strained) == configuration


def test_a_host_that_an_engine_relaxed_is_matched_at_its_own_sites(mos2):
    displacements = ((0.0, 0.0, 0.0), (0.0, 0.0, -0.1), (0.0, 0.0, 0.1))
    relaxed = mos2.with_reference(HostReference("test", "0" * 16, displacements, 0.3, 0.0))
    configuration = next(enumerate_configurations(relaxed, "V_Mo+V_S"))
    match = match_structure(relaxed, configuration.structure())
    np.testing.assert_allclose(match.ideal_positions, relaxed.positions, atol=1e-9)


def test_a_far_relaxed_atom_does_not_shift_the_others(mos2):
    """The first atom of the file, from which the origin is guessed, has moved by 0.9 Å."""
    configuration = next(enumerate_configurations(mos2, "W_Mo+V_S"))
    atoms = configuration.structure()
    atoms.translate_sites([0], [0.9, 0, 0], frac_coords=False)
    match = match_structure(mos2, atoms)
    assert match.placement.defects == configuration.defects
    np.testing.assert_allclose(match.ideal_positions, mos2.positions, atol=1e-6)


@pytest.fixture
def vacancy(mos2):
    return DefectConfiguration.create(mos2, {30: VACANCY}).structure()


def test_an_interstitial_is_refused(mos2, vacancy):
    site = mos2.positions[:3].mean(axis=0) + np.array([0, 0, 3.5])
    vacancy.append("S", site, coords_are_cartesian=True)
    with pytest.raises(MatchError, match=r"Atom 75 \(S\) is .* Å from every site .* interstitials and split defects"):
        configuration_from_structure(mos2, vacancy)


def test_more_atoms_than_sites_are_refused(mos2):
    atoms = mos2.structure
    atoms.append("S", [0, 0, 12], coords_are_cartesian=True)
    with pytest.raises(MatchError, match="76 atoms but MoS2 has 75 sites; interstitials"):
        configuration_from_structure(mos2, atoms)


def test_a_split_defect_is_refused(mos2, vacancy):
    """Two atoms share a site, and another site is empty, so that the number of atoms fits."""
    position = mos2.positions[60]
    (there,) = (i for i, site in enumerate(vacancy) if np.allclose(site.coords, position))
    vacancy.remove_sites([there])
    for shift in (-0.8, 0.8):
        vacancy.append("S", position + np.array([0, shift, 0]), coords_are_cartesian=True)
    with pytest.raises(MatchError, match="Atoms 74, 75 share site 60 of MoS2; split defects are refused"):
        configuration_from_structure(mos2, vacancy)


def test_an_atom_between_two_sites_is_refused(make_host):
    host = make_host("hBN", (4, 4, 1))
    distances = np.linalg.norm(host.positions[16:] - host.positions[0], axis=1)
    nitrogen = 16 + int(distances.argmin())
    bond = host.positions[nitrogen] - host.positions[0]
    atoms = DefectConfiguration(host, ((nitrogen, VACANCY),)).structure()
    atoms.translate_sites([0], 0.42 * bond, frac_coords=False)
    with pytest.raises(MatchError, match=r"Atom 1 \(B\) lies between two sites .* ambiguous"):
        configuration_from_structure(host, atoms)


def test_the_pristine_supercell_is_refused(mos2):
    with pytest.raises(MatchError, match="is the pristine MoS2 supercell; there is no defect"):
        configuration_from_structure(mos2, mos2.structure)


@pytest.mark.parametrize("supercell", [(4, 4, 1), (5, 4, 1), ((5, 0, 0), (5, 5, 0), (0, 0, 1))])
def test_another_cell_is_refused(mos2, make_host, supercell):
    with pytest.raises(MatchError, match=r"is not the MoS2 supercell .* check --host and --supercell"):
        configuration_from_structure(
            mos2, DefectConfiguration.create(make_host("MoS2", supercell), {0: "W"}).structure()
        )


def test_a_bulk_cell_of_another_height_is_refused(make_host):
    host = make_host("MgO", (2, 2, 2))
    atoms = DefectConfiguration.create(host, {0: VACANCY}).structure()
    longer = Structure(Lattice(atoms.lattice.matrix * [[1], [1], [1.2]]), atoms.species, atoms.frac_coords)
    with pytest.raises(MatchError, match="is not the MgO supercell"):
        configuration_from_structure(host, longer)


def test_partial_occupancy_and_no_atoms_are_refused(mos2, vacancy):
    vacancy.replace(0, {"Mo": 0.5, "W": 0.5})
    with pytest.raises(MatchError, match="partially occupied"):
        configuration_from_structure(mos2, vacancy)
    with pytest.raises(MatchError, match="holds no atoms"):
        configuration_from_structure(mos2, Structure(Lattice(mos2.lattice), [], []))


def test_the_smallest_supercell_there_is(make_host):
    """One site in all: its only neighbours are its own images."""
    copper = Structure(Lattice([[0, 1.8, 1.8], [1.8, 0, 1.8], [1.8, 1.8, 0]]), ["Cu"], [[0, 0, 0]])
    host = Host.from_structure(copper, (1, 1, 1))
    configuration = DefectConfiguration.create(host, {0: "Ag"})
    assert configuration_from_structure(host, configuration.structure()) == configuration
