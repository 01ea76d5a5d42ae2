"""Which clusters drawn as new are one reading of a training label whose cluster is undefined, and the savings without them.

A label whose periodic images tie has no cluster id, so that holding out by cluster id cannot drop it. Here every way of taking
each defect at its nearest distance from the first one is compared with the drawn clusters. Run after benchmarks/held_out.py:

    python benchmarks/held_out_overlap.py OUT_DIR
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import held_out
import numpy as np

from definet_flows.analysis import savings_table
from definet_flows.analysis.savings import Threshold
from definet_flows.cli.reports import show_savings
from definet_flows.defects import DefectConfiguration
from definet_flows.defects.cluster import _canonical
from definet_flows.defects.host import content_hash
from definet_flows.definet import load_checkpoint
from definet_flows.training.datasets.labels import LabelSet

TIE = 1e-3
MOS2 = held_out.WORKFLOWS / "mos2"


def readings(configuration: DefectConfiguration) -> Iterator[str]:
    """Cluster ids that an undefined configuration could be read as."""
    host = configuration.host
    sites = configuration.defect_sites
    sublattices, cells = sites // host.n_cells, host.grid.cells[sites % host.n_cells]
    points = cells + host.unit_cell.frac_coords[sublattices]
    shifts = np.array(list(product((-1, 0, 1), (-1, 0, 1), (0,)))) @ np.array(host.supercell_matrix)
    options = []
    for point in points[1:]:
        lengths = np.linalg.norm((point - points[0] + shifts) @ host.unit_cell.lattice.matrix, axis=1)
        options.append(shifts[lengths < lengths.min() + TIE])
    alphabet = sorted({species for _, species in configuration.defects})
    codes = np.array([alphabet.index(species) for _, species in configuration.defects])
    for choice in product(*options):
        unwrapped = cells + np.vstack([np.zeros(3, dtype=np.int64), *choice])
        table = _canonical(host, sublattices, unwrapped, codes)
        yield content_hash({"family": host.family, "species": alphabet, "cluster": table.tolist()})


def main() -> None:
    """Count the overlap and print the savings of the drawn configurations without it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    lines = [line for file in MOS2.glob("new-*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()]
    drawn = {json.loads(line)["cluster_id"] for line in lines}
    trained = load_checkpoint("definet-mos2-chgnet").card.configuration_ids
    labels = [c for file in (MOS2 / "labels").glob("*.safetensors") for c in LabelSet.load(file).configurations]
    undefined = [c for c in labels if c.cluster_id is None and c.placement_id in trained]
    touched = {reading for configuration in undefined for reading in readings(configuration)} & drawn
    print(f"{len(undefined)} undefined labels; {len(touched)} of {len(drawn)} drawn clusters are a reading of one")
    savings = held_out.measure(arguments.out, 2, None)
    for name, wanted in (("a reading of a label", touched), ("of none", drawn - touched)):
        records = [record for record in savings if record.cluster_id in wanted]
        show_savings(savings_table(records, {Threshold.COARSE: 0.05, Threshold.ENGINE: 0.01}), f"drawn as new, {name}")


if __name__ == "__main__":
    main()
