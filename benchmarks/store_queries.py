"""Time of queries over a results store of many relaxations: in a directory, and in a database where --store names one.

python benchmarks/store_queries.py --records 100000
python benchmarks/store_queries.py --records 100000 --store mongodb://127.0.0.1:27017/benchmark
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from definet_flows.defects import Host, enumerate_configurations
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.records import RecordStore, RelaxationRecord, ResultsStore, open_store
from definet_flows.records.documents import CampaignRecord
from definet_flows.records.extract import record_from_relaxation
from definet_flows.records.query import Selection

FILTERS: dict[str, dict[str, Any]] = {
    "host": {"host": "WSe2"},
    "label": {"label": "V_Mo+V_S"},
    "species": {"species": "Te"},
    "defect": {"defect": "W_Mo"},
    "concentration": {"concentration": (0.07, 0.0705)},
    "distance": {"distance": (9.0, 9.05)},
    "state": {"state": ["failed", "unconverged"]},
    "engine": {"engine": "vasp"},
    "start": {"start": "prerelaxed"},
    "charge": {"charge": -1},
    "exposure": {"exposure": "same_size"},
    "model": {"model": "other"},
    "three filters": {"defect": "V_S", "state": "converged", "distance": (None, 3.0)},
}
QUERIES: dict[str, dict[str, Any]] = {
    "ionic_steps > 48": {"ionic_steps": {"$gt": 48}},
    "reason, a text": {"reason": "it crashed"},
    "label, a pattern": {"label": {"$regex": "^Te"}},
    "a setting of the engine": {"engine.physics.max_steps": {"$lt": 100}},
    "a list of forces": {"max_force_history": {"$elemMatch": {"$lt": 0.001}}},
}
BATCH = 1000


def relaxations(number: int) -> Iterator[RelaxationRecord]:
    """Relaxations of 25 steps on an 8×8 MoS2, told apart by their keys; each property that is asked for is that of a few."""
    host = Host.from_preset("MoS2", (8, 8, 1), vacuum=15)
    forces = [1.0 / (step + 1) for step in range(25)]
    relaxation = Relaxation(
        converged=True,
        ionic_steps=25,
        max_force_history=forces,
        max_force=forces[-1],
        energy=-1.0,
        wall_seconds=60.0,
        cores=1,
        core_hours=1 / 60,
        positions=host.positions.tolist(),
        engine_version="benchmark",
    )
    configuration = next(enumerate_configurations(host, "V_S"))
    record = record_from_relaxation(configuration, relaxation, ForceFieldEngine(), "benchmark")
    parts = itertools.product(("V_S", "Se_S", "V_Mo", "V_Mo+V_S"), repeat=2)
    labels = [f"{first}+{second}" for first, second in parts]
    for index in range(number):
        own = {
            "key": f"{index:032x}",
            "label": labels[index % 16],
            "ionic_steps": index % 50,
            "concentration": index % 200 / 1000,
            "defect_distance": 2 + index % 200 / 20,
        }
        yield record.model_copy(update={"positions": None, **own, **rarely(record, index % 100)})


def rarely(record: RelaxationRecord, turn: int) -> dict[str, Any]:
    """What only one record in a hundred has."""
    changes: dict[int, dict[str, Any]] = {
        0: {"state": "failed", "reason": "it crashed"},
        1: {"host": record.host.model_copy(update={"name": "WSe2"})},
        2: {"label": "Te_S+V_S"},
        3: {"label": "W_Mo+V_S"},
        4: {"engine": record.engine.model_copy(update={"name": "vasp"})},
        5: {"start": "prerelaxed", "checkpoint": "a model", "exposure": "new"},
        6: {"charge": -1},
        7: {"exposure": "same_size"},
        8: {"checkpoint": "other"},
        9: {"label": "V_Mo+V_S"},
    }
    return changes.get(turn, {})


def campaign() -> CampaignRecord:
    """What the records are said to belong to."""
    return CampaignRecord(
        key="k",
        name="benchmark",
        content_hash="h",
        settings={},
        hosts={},
        engine_name="forcefield",
        physics={},
        physics_hash="p",
        model=None,
    )


def fill(store: RecordStore, number: int) -> None:
    """Write the records and say how long that took."""
    store.put_campaign(campaign())
    began = time.perf_counter()
    records = relaxations(number)
    while batch := list(itertools.islice(records, BATCH)):
        store.add_relaxations(batch)
    print(f"{number} relaxations written in {time.perf_counter() - began:.1f} s")


def timed(name: str, found: Callable[[], int]) -> None:
    """Print how many an answer holds, what it took, and how much of that a processor core worked on it."""
    began, worked = time.perf_counter(), time.process_time()
    number = found()
    took, worked = time.perf_counter() - began, time.process_time() - worked
    print(f"{name:26s}{number:8d} found{took:8.2f} s{worked:8.2f} s of a core", flush=True)


def measure(place: str) -> None:
    """Print what each question takes, the opening of the store apart."""
    with ResultsStore(place) as results:
        asked: dict[str, Selection[Any]] = {
            **{name: results.relaxations(**filters) for name, filters in FILTERS.items()},
            **{name: results.relaxations(where=where) for name, where in QUERIES.items()},
            "everything": results.relaxations(),
        }
        for name, selection in asked.items():
            timed(name, selection.__len__)
        timed("everything, as a table", lambda: len(asked["everything"].to_pandas()))
        with tempfile.TemporaryDirectory() as folder:
            for suffix in ("parquet", "csv", "jsonl"):
                path = Path(folder) / f"all.{suffix}"
                timed(f"everything, as {suffix}", lambda path=path: len(str(asked["everything"].write(path))) * 0)
                print(f"{'':26s}{path.stat().st_size / 1e6:8.1f} MB")


def main() -> None:
    """Measure the store that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--store", help="a new directory or an empty database; by default a directory for this run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.store or folder
        with open_store(place) as store:
            fill(store, arguments.records)
        measure(place)


if __name__ == "__main__":
    main()
