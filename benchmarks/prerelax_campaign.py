"""The low-density section of MoS2 8x8 (5,933 configurations) from a list of configurations to relaxed coordinates on disk.

    python benchmarks/prerelax_campaign.py OUT_DIR [--limit 500] [--plain]

Enumerates once into OUT_DIR/configurations.jsonl, as `definet-flows enumerate -o` does; that is not part of the time. Then, timed
in a process of its own: reads that file, predicts with the shipped checkpoint and its guard, and writes extended XYZ files of 256
structures each. Prints where the time went, by the wall clock and in processor seconds, and the peak memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections import Counter
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from definet_flows.defects import Host, enumerate_configurations, low_density_recipes
from definet_flows.defects.interop import write_extxyz
from definet_flows.defects.listing import read_configurations, write_configurations
from definet_flows.definet import Prerelaxer

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKPOINT = "definet-mos2-chgnet"
FRAMES = 256

_Item = TypeVar("_Item")


class Shares:
    """Wall and processor seconds by what was going on."""

    def __init__(self) -> None:
        self.wall: Counter[str] = Counter()
        self.processor: Counter[str] = Counter()
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def spent(self, on: str) -> None:
        """Book what has passed since the last booking."""
        wall, processor = time.perf_counter(), time.process_time()
        self.wall[on] += wall - self._wall
        self.processor[on] += processor - self._processor
        self._wall, self._processor = wall, processor


def host() -> Host:
    """Return the published cell with the vacuum widened to 15 Å."""
    return Host.from_preset("MoS2", (8, 8, 1), vacuum=15.0)


def chunks(stream: Iterator[_Item], size: int) -> Iterator[list[_Item]]:
    """Split a stream into lists."""
    while chunk := list(islice(stream, size)):
        yield chunk


def campaign(out: Path, limit: int | None, *, fast: bool) -> None:
    """Read, predict, write; print the account."""
    shares, passed, count = Shares(), 0, 0
    configurations = read_configurations(out / "configurations.jsonl", host())[:limit]
    shares.spent("reading the list")
    prerelaxer = Prerelaxer(CHECKPOINT, device="cpu", fast=fast)
    for number, predictions in enumerate(chunks(prerelaxer.predict(configurations), FRAMES)):
        shares.spent("predicting")
        passed += sum(prediction.verdict.passed for prediction in predictions)
        count += len(predictions)
        positions = [prediction.positions for prediction in predictions]
        write_extxyz([p.configuration for p in predictions], out / f"relaxed-{number:04d}.extxyz", positions)
        shares.spent("writing coordinates")
    print(f"{count} configurations, {passed} passed the guard, {torch.get_num_threads()} thread(s)")
    for part in (*shares.wall, None):
        wall, processor = (sum(c.values()) if part is None else c[part] for c in (shares.wall, shares.processor))
        each = 1e3 * processor / count
        print(f"{part or 'in all':22s} {wall:8.1f} s by the clock {processor:8.1f} s of processor {each:7.2f} ms each")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def main() -> None:
    """Enumerate if that is not done, then run the campaign in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="the plain network instead of the fast route")
    parser.add_argument("--timed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.timed:
        campaign(options.out, options.limit, fast=not options.plain)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    listed = options.out / "configurations.jsonl"
    if not listed.exists():
        pristine = host()
        recipes = low_density_recipes("MoS2")
        write_configurations(chain.from_iterable(enumerate_configurations(pristine, r) for r in recipes), listed)
    subprocess.run([sys.executable, __file__, *sys.argv[1:], "--timed"], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
