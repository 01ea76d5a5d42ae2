"""How far forces of GPAW depend on where the atoms lie between the points of its grid, and what a finer grid costs.

Prints, for the pristine h-BN 3x3 cell, the force along z where the layer lies a quarter of a grid spacing off a
plane of points (where it should be zero), and the processor seconds of the self-consistent cycle. Run with

    python benchmarks/gpaw_grid.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from definet_flows.defects import Host
from definet_flows.engines import GpawEngine
from definet_flows.engines.gpaw.settings import grid_points

UNIT_CELL = Path(__file__).parent.parent / "workflows" / "hbn-gpaw" / "hBN.cif"
SPACINGS = (0.19, 0.18, 0.167, 0.16)


def main() -> None:
    """Print a row per grid."""
    host = Host.from_file(UNIT_CELL, (3, 3, 1))
    print("spacing, Å  points        largest force on an atom off the planes, eV/Å  processor seconds")
    for spacing in SPACINGS:
        points = grid_points(host, spacing)
        off = shifted(host, 0.25 / points[2])
        with tempfile.TemporaryDirectory() as directory:
            engine = GpawEngine(grid_spacing=spacing, max_steps=1, directory=Path(directory))
            began = time.process_time()
            found = engine.relax_pristine(off)
            seconds = time.process_time() - began
        print(
            f"{spacing:<10}  {'×'.join(map(str, points)):12}  {found.max_force:.4f}  {seconds:.0f}",
            flush=True,
        )


def shifted(host: Host, fraction: float) -> Host:
    """The host with its layer moved along c, in units of c."""
    unit_cell = host.unit_cell.copy()
    unit_cell.translate_sites(range(len(unit_cell)), np.array([0, 0, fraction]))
    return Host.from_structure(unit_cell, host.supercell_matrix, host.name, host.dimensionality)


if __name__ == "__main__":
    main()
