"""How long the low-density section of one host takes to read: 5,933 configurations of MoS2 8×8, two CIFs of some 190 atoms each.

The files are written in the layout of the 2DMD data set, with random displacements, wrapped coordinates and random atom order:

    python benchmarks/label_reading.py OUT_DIR
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from pymatgen.io.cif import CifWriter

from definet_flows.defects import DefectConfiguration, Host, enumerate_configurations, low_density_recipes
from definet_flows.defects.host import FloatArray
from definet_flows.training.datasets.sources import read_source

HEAD = """data_sample
_symmetry_space_group_name_H-M   'P 1'
_cell_length_a   {:.8f}
_cell_length_b   {:.8f}
_cell_length_c   {:.8f}
_cell_angle_alpha   {:.8f}
_cell_angle_beta   {:.8f}
_cell_angle_gamma   {:.8f}
loop_
 _symmetry_equiv_pos_site_id
 _symmetry_equiv_pos_as_xyz
  1  'x, y, z'
loop_
 _atom_site_type_symbol
 _atom_site_label
 _atom_site_symmetry_multiplicity
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
 _atom_site_occupancy
"""


def write_cif(file: Path, configuration: DefectConfiguration, positions: FloatArray, rng: np.random.Generator) -> None:
    """What pymatgen's writer writes, a hundred times as fast."""
    host = configuration.host
    cell = host.structure.lattice
    sites = rng.permutation(np.flatnonzero(configuration.occupied))
    frac_coords = (positions @ np.linalg.inv(host.lattice) % 1)[sites]
    species = configuration.species
    rows = (
        f"  {species[site]}  {species[site]}{number}  1  {x:.8f}  {y:.8f}  {z:.8f}  1\n"
        for number, (site, (x, y, z)) in enumerate(zip(sites, frac_coords, strict=True))
    )
    file.write_text(HEAD.format(*cell.abc, *cell.angles) + "".join(rows), encoding="ascii")


def main() -> None:
    """Write the section and read it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    host, rng = Host.from_preset("MoS2"), np.random.default_rng(0)
    structures = out / "MoS2" / "CIF_POSCAR"
    structures.mkdir(parents=True)
    CifWriter(host.unit_cell).write_file(out / "MoS2.cif")
    configurations = [c for recipe in low_density_recipes("MoS2") for c in enumerate_configurations(host, recipe)]
    for configuration in configurations:
        write_cif(structures / f"{configuration.id}_unrelaxed.cif", configuration, host.positions, rng)
        moved = host.positions + rng.normal(scale=0.05, size=host.positions.shape)
        write_cif(structures / f"{configuration.id}_relaxed.cif", configuration, moved, rng)
    # One process, one thread: processor time is what an idle core would take, whatever else this machine does.
    start, wall = time.process_time(), time.perf_counter()
    (labels,) = read_source(out)
    seconds, elapsed = time.process_time() - start, time.perf_counter() - wall
    file = labels.save(out / "MoS2-low.safetensors")
    wrong = len(set(configurations) ^ set(labels.configurations))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{len(labels)} samples in {seconds:.0f} s of one core ({elapsed:.0f} s elapsed), peak memory {peak:.2f} GB")
    print(f"{wrong} configurations read as others; label set of {file.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
