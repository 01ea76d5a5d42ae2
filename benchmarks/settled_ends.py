"""Whether pairs whose two starts ended apart found two minima, or one that the engine's force threshold left unsettled.

Soft waves of a large cell feel less than the threshold long before they are at rest. Goes on from both ends of every such pair of
a campaign's directory with the same force field to a smaller threshold, and compares them again. Run with

    python benchmarks/settled_ends.py CAMPAIGN.yaml DIR [--threshold 0.001]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from labelling import settling

from definet_flows.analysis.tabular import Row, markdown_table
from definet_flows.engines import ForceFieldEngine
from definet_flows.flows.reading import load_campaigns
from definet_flows.records import RecordStore, ResultsStore, SavingsRecord
from definet_flows.records.minimum import Comparison, End, compare_ends


def settled(store: RecordStore, pair: SavingsRecord, engine: ForceFieldEngine) -> Comparison | None:
    """The ends of both runs after going on with an engine; None where one did not converge."""
    ends = []
    for key in (pair.unrelaxed.key, pair.prerelaxed.key):
        run = next(store.relaxations({"key": key}, positions=True))
        configuration = store.configuration(run)
        outcome = engine.relax(configuration, np.array(run.positions))
        if not outcome.converged:
            return None
        ends.append(End(np.array(outcome.positions)[configuration.occupied], outcome.energy, outcome.total_moment))
    return compare_ends(ends[0], ends[1], configuration.host.lattice, engine.name)


def rows(results: ResultsStore, engine: ForceFieldEngine) -> Iterator[Row]:
    """A line for each pair that ended apart."""
    for pair in results.savings(same_minimum=False).records:
        found = settled(results.store, pair, engine)
        yield {
            "host": pair.host.title,
            "defect": pair.label,
            "configuration": pair.configuration_id,
            "apart (Å)": pair.largest_distance,
            "energy (eV)": pair.energy_difference,
            "apart after (Å)": found.distance if found else None,
            "energy after (eV)": found.energy if found else None,
            "minimum": "not converged" if not found else "same" if found.same else f"{found.lower} lower",
        }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--threshold", type=float, default=0.001, help="eV/Å")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    engine = load_campaigns(arguments.campaign)[0].engine
    if not isinstance(engine, ForceFieldEngine):
        parser.error(f"{arguments.campaign} relaxes with {engine.name}; this goes on with a force field only.")
    further = settling(engine, arguments.threshold)
    with ResultsStore(arguments.directory) as results:
        lines = list(rows(results, further))
    print(markdown_table(lines))
    same = sum(line["minimum"] == "same" for line in lines)
    print(f"{same} of {len(lines)} pairs that ended apart are the same minimum at {arguments.threshold:g} eV/Å.")


if __name__ == "__main__":
    main()
