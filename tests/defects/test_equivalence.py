from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from definet_flows.defects import VACANCY, DefectConfiguration
from definet_flows.defects.distances import minimum_image
from definet_flows.defects.equivalence import canonical_images
from tests.defects.conftest import SQRT3, host_of

HOSTS = [
    ("MoS2", (3, 3, 1)),
    ("BP", (3, 2, 1)),
    ("hBN", (3, 3, 1)),
    ("MgO", (2, 2, 2)),
    ("MoS2", SQRT3),
    ("triclinic", (2, 2, 1)),
]


@pytest.mark.parametrize(("name", "supercell"), HOSTS)
def test_every_permutation_with_its_rotation_maps_the_crystal_onto_itself(name, supercell):
    """Differences between sites rotate with the sites: what makes a pair of permutation and rotation a symmetry."""
    host = host_of(name, supercell)
    positions = host.nominal_positions
    for permutation, rotation in zip(host.permutations, host.permutation_rotations, strict=True):
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
        rotated = (positions - positions[0]) @ rotation
        images = positions[permutation] - positions[permutation[0]]
        np.testing.assert_allclose(minimum_image(images - rotated, host.lattice), 0, atol=2e-3)


def pulled(configuration):
    """Displacements that follow from the geometry alone: each site towards each defect, by species and distance."""
    host = configuration.host
    moved = np.zeros((host.n_sites, 3))
    for site, species in configuration.defects:
        # Six nearby images are summed, because the nearest one alone is not defined at half the cell.
        shifts = (
            np.array([[a, b, c] for a in (-2, -1, 0, 1, 2) for b in (-2, -1, 0, 1, 2) for c in (-1, 0, 1)])
            @ host.lattice
        )
        vectors = minimum_image(host.nominal_positions[site] - host.nominal_positions, host.lattice)[:, None] + shifts
        strength = {VACANCY: 0.2}.get(species, -0.1)
        moved += strength * (vectors * np.exp(-np.linalg.norm(vectors, axis=-1, keepdims=True))).sum(axis=1)
    return moved


@given(st.sampled_from(HOSTS), st.data())
def test_a_field_made_by_the_defects_is_carried_to_that_of_the_canonical_image(crystal, draws):
    host = host_of(*crystal)
    sites = draws.draw(st.lists(st.integers(0, host.n_sites - 1), min_size=1, max_size=4, unique=True))
    species = draws.draw(st.lists(st.sampled_from([VACANCY, "Zn"]), min_size=len(sites), max_size=len(sites)))
    placement = DefectConfiguration(host, tuple(sorted(zip(sites, species, strict=True))))
    canonical, images = canonical_images(placement, pulled(placement))
    assert canonical == DefectConfiguration.create(host, dict(placement.defects))
    for image in images:
        np.testing.assert_allclose(image, pulled(canonical), atol=2e-2 * 0.2)


def test_images_differ_where_the_field_has_less_symmetry_than_the_placement(mos2):
    vacancy = DefectConfiguration.create(mos2, {0: VACANCY})
    field = np.zeros((mos2.n_sites, 3))
    field[1] = [0.1, 0, 0]
    canonical, images = canonical_images(vacancy, field)
    assert canonical == vacancy
    assert len(images) == len(mos2.permutations) // vacancy.multiplicity
    assert len(np.unique(np.round(images, 6), axis=0)) > 1
    np.testing.assert_allclose(np.linalg.norm(images, axis=-1).sum(axis=1), 0.1)
