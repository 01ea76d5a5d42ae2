"""Which clusters drawn as new are one reading of a training label whose cluster is undefined, and the savings without them.

A label whose periodic images tie has no cluster id, so that holding out by cluster id cannot drop it. Here every cluster
that such a label can be read as is compared with the drawn ones. Run after benchmarks/held_out.py:

    python benchmarks/held_out_overlap.py OUT_DIR
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import held_out

from definet_flows.analysis import savings_table
from definet_flows.analysis.savings import Threshold
from definet_flows.cli.reports import show_savings
from definet_flows.definet import load_checkpoint
from definet_flows.training.datasets.labels import LabelSet

MOS2 = held_out.WORKFLOWS / "mos2"


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
    touched = {reading for configuration in undefined for reading in configuration.possible_cluster_ids} & drawn
    print(f"{len(undefined)} undefined labels; {len(touched)} of {len(drawn)} drawn clusters are a reading of one")
    savings = held_out.measure(arguments.out, 2, None)
    for name, wanted in (("a reading of a label", touched), ("of none", drawn - touched)):
        records = [record for record in savings if record.cluster_id in wanted]
        show_savings(savings_table(records, {Threshold.COARSE: 0.05, Threshold.ENGINE: 0.01}), f"drawn as new, {name}")


if __name__ == "__main__":
    main()
