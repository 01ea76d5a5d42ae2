"""A second, plain implementation of symmetry, placements and distances, sharing no code with the package.

It sees a supercell as nothing but a lattice, coordinates and species. Operations are found by trying every isometry of the
lattice with every translation that could map an atom onto another; placements are listed one by one.
"""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
from scipy.spatial import cKDTree

TOLERANCE = 1e-3  # Å


def lattice_isometries(lattice):
    """Integer matrices W (rows) with the metric of the lattice: row i of W @ lattice is the image of lattice vector i."""
    metric = lattice @ lattice.T
    lengths = np.sqrt(metric.diagonal())
    # A vector of at most this length has no larger coefficients than these.
    reach = np.ceil(lengths.max() * np.linalg.norm(np.linalg.inv(lattice), axis=0) + 1e-9).astype(int)
    lattice_points = np.array(list(product(*[range(-n, n + 1) for n in reach])))
    norms = np.linalg.norm(lattice_points @ lattice, axis=1)
    images = [lattice_points[abs(norms - length) < TOLERANCE] for length in lengths]
    return [
        np.array(rows)
        for rows in product(*images)
        if np.allclose(np.array(rows) @ metric @ np.array(rows).T, metric, atol=TOLERANCE * lengths.max())
    ]


def site_permutations(lattice, positions, species):
    """All distinct site permutations of a periodic structure, [n_permutations, n_sites]."""
    frac = _wrapped(positions @ np.linalg.inv(lattice))
    species = np.array(species)
    tree = cKDTree(frac, boxsize=1.0)
    anchor = min(set(species), key=lambda symbol: (species == symbol).sum())
    anchors = np.flatnonzero(species == anchor)
    found = set()
    for rotation in lattice_isometries(lattice):
        rotated = frac @ rotation
        for target in anchors:
            moved = rotated + frac[target] - rotated[anchors[0]]
            images = tree.query(_wrapped(moved))[1]
            gaps = moved - frac[images]
            misses = np.linalg.norm((gaps - np.rint(gaps)) @ lattice, axis=1)
            if misses.max() < TOLERANCE and (species[images] == species).all():
                found.add(tuple(images.tolist()))
    return np.array(sorted(found))


def placements(species, recipe):
    """Every way to put a recipe on the sites: sorted rows of (site, kind) pairs as one number each, [n_placements, n_defects].

    Kinds are numbered by their sorted names; a pair is site * n_kinds + kind.
    """
    kinds = sorted(set(recipe.split("+")))
    rows = [()]
    for number, kind in enumerate(kinds):
        sites = [site for site, symbol in enumerate(species) if symbol == kind.split("_")[1]]
        wanted = recipe.split("+").count(kind)
        rows = [
            (*row, *(site * len(kinds) + number for site in chosen))
            for row in rows
            for chosen in combinations([s for s in sites if s not in {code // len(kinds) for code in row}], wanted)
        ]
    return np.sort(np.array(rows), axis=1)


def n_placements(species, recipe):
    """How many placements there are, from binomial coefficients."""
    total, taken = 1, dict.fromkeys(species, 0)
    for kind in sorted(set(recipe.split("+"))):
        host, wanted = kind.split("_")[1], recipe.split("+").count(kind)
        total *= comb(list(species).count(host) - taken[host], wanted)
        taken[host] += wanted
    return total


def count_by_fixed_points(permutations, rows, n_kinds):
    """Orbits by Burnside's lemma, the fixed placements of every permutation found by applying it to each of them."""
    fixed = sum(int((_image(permutation, rows, n_kinds) == rows).all(axis=1).sum()) for permutation in permutations)
    assert fixed % len(permutations) == 0
    return fixed // len(permutations)


def orbits(permutations, rows, n_kinds):
    """Orbit number of every placement, by joining each one with its images (union-find)."""
    number = {tuple(row): i for i, row in enumerate(rows.tolist())}
    parent = np.arange(len(rows))
    for permutation in permutations:
        images = np.array([number[tuple(row)] for row in _image(permutation, rows, n_kinds).tolist()])
        while (parent[images] != parent).any():
            low = np.minimum(parent[images], parent)
            np.minimum.at(parent, images, low)
            parent = np.minimum(parent, low)
    return parent


def shortest_distance(lattice, a, b, reach=None):
    """Å between two points of a periodic cell, over every image that could be the nearest."""
    difference = np.asarray(b) - np.asarray(a)
    if reach is None:
        # No image farther than the difference itself needs to be looked at.
        reach = np.ceil(2 * np.linalg.norm(difference) * np.linalg.norm(np.linalg.inv(lattice), axis=0)).astype(int)
    shifts = np.array(list(product(*[range(-n, n + 1) for n in np.broadcast_to(reach, 3)])))
    return float(np.linalg.norm(difference + shifts @ lattice, axis=1).min())


def _image(permutation, rows, n_kinds):
    return np.sort(permutation[rows // n_kinds] * n_kinds + rows % n_kinds, axis=1)


def _wrapped(frac):
    folded = frac % 1.0
    return np.where(folded >= 1.0, 0.0, folded)
