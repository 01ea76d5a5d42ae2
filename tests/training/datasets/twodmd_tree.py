"""A small data set in the published 2DMD layout, with relaxations that follow from geometry alone.

As in the published files: vacancies absent, relaxed coordinates wrapped into the cell, placements not canonical. Harder than
them: each file has its atoms in an order of its own, and relaxed layers have drifted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from definet_flows.defects import HOST_PRESETS, DefectConfiguration, Host
from definet_flows.defects.distances import minimum_image

UNIT_CELLS = {"MoS2": "MoS2", "WSe2": "WSe2", "hBN": "BN", "GaSe": "GaSe", "InSe": "InSe", "BP": "P"}
HIGH_DENSITY_FOLDERS = {
    "MoS2": "MoS2_500",
    "WSe2": "WSe2_500",
    "hBN": "hBN_spin_500",
    "GaSe": "GaSe_spin_500",
    "InSe": "InSe_spin_500",
    "BP": "BP_spin_500",
}
SHARES = ("train", "val", "test")

TRIES = 1000
"""Draws without a new placement after which there is taken to be none."""


def unit_cell(name, c=None):
    """The preset's unit cell, its c reset with Cartesian positions kept."""
    cell = HOST_PRESETS[name].unit_cell()
    if c is None:
        return cell
    matrix = cell.lattice.matrix.copy()
    matrix[2] *= c / cell.lattice.c
    return Structure(Lattice(matrix), cell.species, cell.cart_coords, coords_are_cartesian=True)


def pulled(configuration, strength=0.1):
    """Displacements [n_sites, 3] Å: each atom towards each defect, periodic images summed; placeholders stay."""
    host = configuration.host
    shifts = np.array([[a, b, 0] for a in (-2, -1, 0, 1, 2) for b in (-2, -1, 0, 1, 2)]) @ host.lattice
    moved = np.zeros((host.n_sites, 3))
    for site, species in configuration.defects:
        nearest = minimum_image(host.positions[site] - host.positions, host.lattice)[:, None] + shifts
        weights = np.exp(-np.linalg.norm(nearest, axis=-1, keepdims=True))
        moved += strength * {"Vac": 1.0}.get(species, -0.7) * (nearest * weights).sum(axis=1)
    moved[~configuration.occupied] = 0
    return moved


@dataclass
class Tree:
    """What was written: by density and host name, the placement of each sample id."""

    root: object
    placements: dict

    def folder(self, density, name):
        return self.root / (name if density == "low" else HIGH_DENSITY_FOLDERS[name])

    def cifs(self, density, name):
        return self.folder(density, name) / ("CIF_POSCAR" if density == "low" else "CIF")


def write_cif(path, placement, positions, rng):
    """The atoms wrapped into the cell, in random order."""
    structure = placement.structure(positions)
    order = rng.permutation(len(structure))
    shuffled = Structure.from_sites([structure[i] for i in order], to_unit_cell=True)
    CifWriter(shuffled).write_file(path)


def write_sample(folder, identity, placement, rng):
    """Both files of a sample; the relaxed layer has drifted."""
    host = placement.host
    write_cif(folder / f"{identity}_unrelaxed.cif", placement, host.positions, rng)
    relaxed = host.positions + pulled(placement) + rng.normal(scale=0.1, size=3)
    write_cif(folder / f"{identity}_relaxed.cif", placement, relaxed, rng)


def placements_of(host, rng, counts):
    """Random changed sites as they fall, no two equivalent; a host has few single defects."""
    dopants = HOST_PRESETS[host.name].dopants
    found = {}
    for n_defects in counts:
        size = len(found)
        for _ in range(TRIES):
            sites = sorted(int(site) for site in rng.choice(host.n_sites, n_defects, replace=False))
            changed = tuple((site, str(rng.choice([*dopants[host.species[site]], "Vac"]))) for site in sites)
            found.setdefault(DefectConfiguration.create(host, dict(changed)).id, DefectConfiguration(host, changed))
            if len(found) > size:
                break
        else:
            raise ValueError(
                f"{host.name} has no more distinct placements of {n_defects} defects: ask for fewer samples"
            )
    return list(found.values())


def write_tree(root, low=("MoS2",), high=(), supercell=(4, 4, 1), per_host=10, seed=0, high_unit_c=None):
    """A data set; low-density samples have one to three defects and csv files, high-density ones a tenth of the sites.

    `high_unit_c` is the c of the unit cells beside the high-density folders, those of the presets by default.
    """
    rng = np.random.default_rng(seed)
    tree = Tree(root, {})
    for density, names in (("low", low), ("high", high)):
        for name in names:
            cell = unit_cell(name, None if density == "low" else 20.0)
            host = Host.from_structure(cell, supercell, name, 2)
            folder = tree.cifs(density, name)
            folder.mkdir(parents=True)
            CifWriter(unit_cell(name, None if density == "low" else high_unit_c)).write_file(
                root / f"{UNIT_CELLS[name]}.cif"
            )
            few = density == "low"
            counts = [1 + number % 3 if few else host.n_sites // 10 for number in range(per_host)]
            placements = placements_of(host, rng, counts)
            samples = {f"{density}{number:04d}": placement for number, placement in enumerate(placements)}
            tree.placements[density, name] = samples
            for identity, placement in samples.items():
                write_sample(folder, identity, placement, rng)
            if few:
                for start, share in enumerate(SHARES):
                    write_csv(tree.folder(density, name) / f"{share}.csv", list(samples)[start::3])
    return tree


def write_csv(path, ids, column="atoms_id"):
    path.write_text(
        "\n".join([f",{column},energy", *(f"{i},{identity},-1.0" for i, identity in enumerate(ids))]) + "\n"
    )
