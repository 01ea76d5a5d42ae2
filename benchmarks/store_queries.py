"""Time of queries over a results store of many relaxations: in a directory, and in a database where --store names one.

python benchmarks/store_queries.py --records 100000
python benchmarks/store_queries.py --records 100000 --store mongodb://127.0.0.1:27017/benchmark
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from definet_flows.defects import Host, enumerate_configurations
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.records import RecordStore, RelaxationRecord, open_store
from definet_flows.records.extract import record_from_relaxation

QUERIES: dict[str, dict[str, Any]] = {
    "one label, converged": {"$and": [{"label": {"$in": ["label-7"]}}, {"state": {"$in": ["converged"]}}]},
    "all that failed": {"state": "failed"},
    "not converged": {"state": {"$nin": ["converged"]}},
    "many steps": {"ionic_steps": {"$gt": 48}},
    "a field without a column": {"reason": "it crashed"},
}
BATCH = 1000


def relaxations(number: int) -> Iterator[RelaxationRecord]:
    """Relaxations of 25 steps on an 8×8 MoS2, told apart by their keys; a hundredth of them failed."""
    host = Host.from_preset("MoS2", (8, 8, 1), vacuum=15)
    forces = [1.0 / (step + 1) for step in range(25)]
    positions = host.positions.tolist()
    relaxation = Relaxation(
        converged=True,
        ionic_steps=25,
        max_force_history=forces,
        max_force=forces[-1],
        energy=-1.0,
        wall_seconds=60.0,
        cores=1,
        core_hours=1 / 60,
        positions=positions,
        engine_version="benchmark",
    )
    configuration = next(enumerate_configurations(host, "V_S"))
    record = record_from_relaxation(configuration, relaxation, ForceFieldEngine(), "benchmark")
    for index in range(number):
        lost = {"state": "failed", "reason": "it crashed"} if index % 100 == 0 else {}
        own = {"key": f"{index:032x}", "label": f"label-{index % 97}", "ionic_steps": index % 50}
        yield record.model_copy(update={**own, **lost, "positions": None})


def measure(store: RecordStore, number: int) -> None:
    """Fill a store and print what each query takes."""
    began = time.perf_counter()
    records = relaxations(number)
    while batch := list(itertools.islice(records, BATCH)):
        store.add_relaxations(batch)
    print(f"{number} relaxations written in {time.perf_counter() - began:.1f} s")
    for name, criteria in QUERIES.items():
        began = time.perf_counter()
        found = sum(1 for _ in store.relaxations(criteria))
        print(f"{name:26s}{found:8d} found{time.perf_counter() - began:8.2f} s")


def main() -> None:
    """Measure the store that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--store", help="a new directory or an empty database; by default a directory for this run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_store(arguments.store or folder) as store:
        measure(store, arguments.records)


if __name__ == "__main__":
    main()
