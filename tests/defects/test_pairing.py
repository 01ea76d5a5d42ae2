from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from definet_flows.defects import VACANCY, DefectConfiguration, MatchError
from definet_flows.defects.matching import match_structure
from definet_flows.defects.pairing import relaxation_displacements
from tests.defects.conftest import host_of

HOSTS = [("MoS2", (4, 4, 1)), ("BP", (3, 3, 1)), ("MgO", (3, 3, 3)), ("GaSe", ((3, 1, 0), (-1, 4, 0), (0, 0, 1)))]
IDENTITY = np.eye(3)
SEEDS = st.integers(0, 10_000)


def defective(host, rng, n_defects=3):
    sites = rng.choice(host.n_sites, n_defects, replace=False)
    return DefectConfiguration(host, tuple(sorted((int(s), str(rng.choice([VACANCY, "Zn"]))) for s in sites)))


def as_file(configuration, positions, rng, shift=0.0, frame=IDENTITY):
    """The atoms in random order, each in a random image, all shifted, in a turned frame."""
    structure = configuration.structure(positions)
    order = rng.permutation(len(structure))
    images = rng.integers(-1, 2, size=(len(structure), 3))
    coords = structure.cart_coords + shift + images @ structure.lattice.matrix
    species = [structure[i].specie.symbol for i in order]
    return Structure(
        Lattice(structure.lattice.matrix @ frame), species, (coords @ frame)[order], coords_are_cartesian=True
    )


def turn(rng):
    axes, signs = np.linalg.qr(rng.normal(size=(3, 3)))
    return axes * np.sign(np.diag(signs)) * np.sign(np.linalg.det(axes * np.sign(np.diag(signs))))


def centred(configuration, displacements):
    real = configuration.occupied
    return (displacements - displacements[real].mean(axis=0))[real]


@given(st.sampled_from(HOSTS), SEEDS)
def test_displacements_are_found_whatever_order_images_shift_and_frame(crystal, seed):
    host, rng = host_of(*crystal), np.random.default_rng(seed)
    configuration = defective(host, rng)
    moved = rng.normal(scale=0.08, size=(host.n_sites, 3))
    frame = turn(rng)
    unrelaxed = as_file(configuration, host.positions, rng, frame=frame)
    relaxed = as_file(configuration, host.positions + moved, rng, shift=rng.normal(scale=0.2, size=3), frame=frame)
    match = match_structure(host, unrelaxed)
    found = relaxation_displacements(match, relaxed)
    assert match.placement == configuration
    np.testing.assert_allclose(centred(configuration, found), centred(configuration, moved), atol=1e-6)
    assert (found[~configuration.occupied] == 0).all()


def pair(host, moved, order=None):
    """A vacancy and its relaxation, in host order or another."""
    configuration = DefectConfiguration.create(host, {0: VACANCY})
    relaxed = configuration.structure(host.positions + moved)
    if order is not None:
        relaxed = Structure.from_sites([relaxed[i] for i in order])
    return match_structure(host, configuration.structure()), relaxed


def test_an_atom_that_has_gone_to_the_vacancy_is_known_by_the_order_of_the_file(mos2):
    moved = np.zeros((mos2.n_sites, 3))
    moved[1] = mos2.positions[0] - mos2.positions[1] + [0, 0, 0.1]
    match, relaxed = pair(mos2, moved)
    np.testing.assert_allclose(relaxation_displacements(match, relaxed)[1:], moved[1:], atol=1e-9)
    shuffled = np.random.default_rng(0).permutation(len(relaxed))
    with pytest.raises(MatchError, match="keep the atoms in the order of the unrelaxed file"):
        relaxation_displacements(match, pair(mos2, moved, shuffled)[1])


def test_two_atoms_swapped_in_the_file_are_not_swapped_in_the_label(mos2):
    match, relaxed = pair(mos2, np.zeros((mos2.n_sites, 3)), [1, 0, *range(2, mos2.n_sites - 1)])
    np.testing.assert_allclose(relaxation_displacements(match, relaxed), 0, atol=1e-9)


def test_a_file_in_another_order_is_not_believed_for_a_lost_atom(mos2):
    moved = np.zeros((mos2.n_sites, 3))
    moved[30] = [1.3, 0.2, 0]
    match, relaxed = pair(mos2, moved, [1, 0, *range(2, mos2.n_sites - 1)])
    with pytest.raises(MatchError, match=r"Atom 30 \(S\) of the relaxed structure is .* Å from the nearest site"):
        relaxation_displacements(match, relaxed)


def test_other_atoms_and_another_cell_are_refused(mos2):
    match, relaxed = pair(mos2, np.zeros((mos2.n_sites, 3)))
    fewer = Structure.from_sites(relaxed[:-1])
    with pytest.raises(MatchError, match=r"other atoms than the unrelaxed one \(missing: 1 S; extra: none\)"):
        relaxation_displacements(match, fewer)
    replaced = relaxed.copy()
    replaced[0] = "W"
    with pytest.raises(MatchError, match=r"missing: 1 Mo; extra: 1 W"):
        relaxation_displacements(match, replaced)
    strained = relaxed.copy()
    strained.apply_strain(0.002)
    with pytest.raises(
        MatchError, match=r"relaxed cell differs from the unrelaxed one by .* labels are relaxations at fixed"
    ):
        relaxation_displacements(match, strained)
