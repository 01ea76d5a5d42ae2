"""Springs between neighbours, cut off smoothly: enough structure for a relaxation, and milliseconds a step."""

from __future__ import annotations

from itertools import product

import numpy as np

STIFFNESS = 4.0  # eV/Å²
COHESION = 0.5  # eV per bond: energies must be negative, or custodian takes them for a failure
INNER, OUTER = 1.12, 1.28  # multiples of the bond length between which a spring fades
RADII = {"Cu": 1.31, "Al": 1.42, "Ni": 1.25, "Ag": 1.46, "Mo": 1.46, "W": 1.47, "S": 1.02, "Se": 1.14}
METALS, ANIONS = {"Mo", "W"}, {"S", "Se"}
LAYER = 3.24  # Å, between like neighbours of a dichalcogenide layer


def bond_length(a, b):
    if {a, b} <= METALS or {a, b} <= ANIONS:
        return LAYER
    return RADII.get(a, 1.2) + RADII.get(b, 1.2)


class Springs:
    """Energy and forces; the neighbours are found once, for atoms move little."""

    def __init__(self, lattice, species, positions):
        kinds = sorted(set(species))
        lengths = np.array([[bond_length(a, b) for b in kinds] for a in kinds])
        index = np.array([kinds.index(symbol) for symbol in species])
        self.first, self.second, self.offsets = self._pairs(lattice, positions, lengths.max() * OUTER + 1.0)
        self.length = lengths[index[self.first], index[self.second]]

    @staticmethod
    def _pairs(lattice, positions, reach):
        found = []
        heights = np.abs(np.linalg.det(lattice)) / np.linalg.norm(
            np.cross(np.roll(lattice, -1, axis=0), np.roll(lattice, -2, axis=0)), axis=1
        )
        images = [range(-n, n + 1) for n in np.ceil(reach / heights).astype(int)]
        for cell in product(*images):
            shift = np.array(cell) @ lattice
            distance = np.linalg.norm(positions[None] + shift - positions[:, None], axis=2)
            first, second = np.nonzero((distance < reach) & (distance > 1e-6))
            found += [
                (i, j, shift)
                for i, j in zip(first, second, strict=True)
                if cell > (0, 0, 0) or (cell == (0, 0, 0) and i < j)
            ]
        if not found:
            return np.zeros(0, int), np.zeros(0, int), np.zeros((0, 3))
        return np.array([i for i, _, _ in found]), np.array([j for _, j, _ in found]), np.array([s for *_, s in found])

    def evaluate(self, positions):
        """Energy in eV and forces [n_atoms, 3] in eV/Å."""
        vectors = positions[self.second] + self.offsets - positions[self.first]
        distance = np.linalg.norm(vectors, axis=1)
        x = np.clip((distance / self.length - INNER) / (OUTER - INNER), 0, 1)
        fade, slope = 1 - x**2 * (3 - 2 * x), -6 * x * (1 - x) / (OUTER - INNER) / self.length
        stretch = distance - self.length
        bond = 0.5 * STIFFNESS * stretch**2 - COHESION
        pull = (STIFFNESS * stretch * fade + bond * slope)[:, None] * vectors / distance[:, None]
        forces = np.zeros_like(positions)
        np.add.at(forces, self.first, pull)
        np.add.at(forces, self.second, -pull)
        return float((bond * fade).sum()) - len(positions), forces

    def strain(self, positions):
        """By how much the cell has to grow for its bonds to have their length, as a fraction; 0 without bonds."""
        distance = np.linalg.norm(positions[self.second] + self.offsets - positions[self.first], axis=1)
        near = distance < OUTER * self.length
        return float((self.length[near] / distance[near]).mean() - 1) if near.any() else 0.0
