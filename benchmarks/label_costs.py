"""What labels have cost: relaxations, how many of them converged, and core-hours, of each journal that label_six_hosts.py wrote.

Relaxations that failed or did not converge are no labels, and count. benchmarks/records/costs.csv keeps what came out for the
labels of this repository. The rows of label_mos2.py, and those that do not tell how many were relaxed, are what the labelling
scripts printed at their end: their journals are not kept. Of h-BN at low density up to 6×6 neither is. Run with

    python benchmarks/label_costs.py OUT_DIR
"""

from __future__ import annotations

import argparse
from pathlib import Path

from labelling import load_journal


def row(journal: Path) -> str:
    """One line of comma-separated values; a relaxation that does not tell its core-hours makes them unknown."""
    outcomes = [one["outcome"] for one in load_journal(journal).values()]
    hours = [one["core_hours"] for one in outcomes]
    total = "" if None in hours else f"{sum(hours):.3f}"
    return f"labels {journal.stem},{len(outcomes)},{sum(one['converged'] for one in outcomes)},{total}"


def main() -> None:
    """Print a row for each journal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder with the journals")
    print("what,relaxations,converged,core_hours")
    for journal in sorted(parser.parse_args().out.glob("*.jsonl")):
        print(row(journal))


if __name__ == "__main__":
    main()
