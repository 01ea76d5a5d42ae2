"""What the shipped checkpoint saves on held-out MoS2 configurations, losers counted.

Runs (or goes on with) the three campaigns workflows/held-out-mos2-*.yaml and prints one savings table over all of them, with one
row for each of: clusters seen in training at the same size, at another size, new. A second table, the headline, holds only the
configurations of workflows/mos2/new-*.jsonl, the same ones for every checkpoint. Run with

    python benchmarks/held_out.py OUT_DIR [--workers 2] [--model DIR]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from definet_flows.analysis import savings_table
from definet_flows.analysis.savings import Threshold
from definet_flows.cli.reports import show_savings
from definet_flows.flows import load_campaign
from definet_flows.launch.local import run_campaign
from definet_flows.records import SavingsRecord

WORKFLOWS = Path(__file__).parent.parent / "workflows"
SIZES = (5, 6, 8)


def measure(out: Path, workers: int, checkpoint: str | None) -> list[SavingsRecord]:
    """Run what is missing of the campaigns and return the savings of a checkpoint, by default the shipped one."""
    savings = []
    for n in SIZES:
        campaign = load_campaign(WORKFLOWS / f"held-out-mos2-{n}x{n}.yaml")
        if checkpoint and campaign.model:
            model = campaign.model.model_copy(update={"checkpoint": checkpoint})
            campaign = campaign.model_copy(update={"model": model})
        summary = run_campaign(campaign, out / f"{n}x{n}", workers)
        savings += summary.savings
        print(f"{n}x{n}: {summary.n_configurations} configurations, {summary.failed} failed", flush=True)
    return savings


def show(savings: list[SavingsRecord], title: str) -> None:
    """Print the tables at both thresholds: everything, and what was drawn as new before any label existed."""
    files = sorted((WORKFLOWS / "mos2").glob("new-*.jsonl"))
    drawn = {json.loads(line)["id"] for file in files for line in file.read_text(encoding="utf-8").splitlines()}
    headline = [record for record in savings if record.configuration_id in drawn]
    for name, records in ((title, savings), (f"{title}, drawn as new", headline)):
        show_savings(savings_table(records, {Threshold.COARSE: 0.05, Threshold.ENGINE: 0.01}), name)


def main() -> None:
    """Measure one checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", help="checkpoint to use in place of the shipped one")
    arguments = parser.parse_args()
    show(measure(arguments.out, arguments.workers, arguments.model), "held-out MoS2")


if __name__ == "__main__":
    main()
