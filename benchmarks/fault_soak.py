"""Hundreds of faults injected into campaigns on FireWorks, and what became of them: nothing lost, nothing twice, the same totals.

Launchers are killed at random moments and between any two changes of the database, queue jobs cancelled and timed out, the
database killed and restarted, disks full, predictions that kill their process, submissions repeated, clocks wrong. It takes the
tests' own database and a one-node Slurm (as root; without it the two kinds of queue faults are left out, and it says so).

    python benchmarks/fault_soak.py --faults 200 --seed 1 --minutes 25
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from tests.faults.soak import Soak


def table(soak: Soak) -> str:
    """What was injected, and what then held."""
    lines = ["| fault | injected | recovered |", "| --- | --: | --: |"]
    lines += [f"| {kind} | {count} | {soak.recovered[kind]} |" for kind, count in soak.injected.most_common()]
    lines.append(f"| all | {sum(soak.injected.values())} | {sum(soak.recovered.values())} |")
    lines += ["", "| in the end of every campaign | campaigns in which it held |", "| --- | --: |"]
    names = dict.fromkeys(name for check in soak.checks for name in check)
    held = {name: sum(check.get(name, False) for check in soak.checks) for name in names}
    lines += [f"| {name} | {count} of {len(soak.checks)} |" for name, count in held.items()]
    lines += [f"{kind}: left out, {why}" for kind, why in soak.skipped.items()]
    return "\n".join(lines)


def main() -> int:
    """Run the soak; 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=20.0, help="after which nothing more is injected")
    parser.add_argument("--size", type=int, default=23, help="configurations of each campaign")
    parser.add_argument("--no-slurm", action="store_true")
    parser.add_argument("--dir", type=Path, help="where everything goes, journal.jsonl among it")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that processes and file systems are put away
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    from tests.faults.kinds import QUEUED, SHARES
    from tests.faults.soak import Soak

    kinds = frozenset(SHARES).difference(QUEUED if chosen.no_slurm else ())
    folder = chosen.dir or Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"What happens is written to {folder / 'journal.jsonl'}", flush=True)
    soak = Soak(folder, chosen.faults, chosen.seed, chosen.minutes, chosen.size, kinds)
    is_well = soak.run()
    print(table(soak))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
