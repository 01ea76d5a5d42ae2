"""Time of queries over a results store of many relaxations, or of many pairs of runs, in a directory or in a database.

python benchmarks/store_queries.py --records 100000
python benchmarks/store_queries.py --pairs 100000
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
from definet_flows.records import RecordStore, RelaxationRecord, ResultsStore, SavingsBuilder, open_store
from definet_flows.records.building.builder import pairs_in, read_pairs
from definet_flows.records.building.paired import savings_of
from definet_flows.records.documents import (
    CampaignRecord,
    ConfigurationSummary,
    ModelSummary,
    PredictionRecord,
    SavingsRecord,
    utc_now,
)
from definet_flows.records.extract import record_from_relaxation
from definet_flows.records.keys import relaxation_key
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
SAVINGS: dict[str, dict[str, Any]] = {
    "label": {"label": "V_Mo+V_S"},
    "savings": {"savings": (0.98, None)},
    "state": {"state": "prerelaxed_lost"},
    "other minimum": {"same_minimum": False},
    "exposure": {"exposure": "same_size"},
    "model": {"model": "other"},
    "campaign": {"campaign": "small"},
    "three filters": {"defect": "V_S", "state": "both_converged", "savings": (0.9, None)},
    "trust < 0.01, a query": {"where": {"trust": {"$lt": 0.01}}},
}
BATCH = 1000
SMALL = 500
LABELS = ["+".join(both) for both in itertools.product(("V_S", "Se_S", "V_Mo", "V_Mo+V_S"), repeat=2)]
MODEL = ModelSummary(checkpoint="a model", checkpoint_hash="c" * 16, guard_hash="d" * 16)


def first_record() -> RelaxationRecord:
    """A relaxation of 25 steps of a sulphur vacancy in 8×8 MoS2."""
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
    return record.model_copy(update={"positions": None})


def relaxations(record: RelaxationRecord, number: int) -> Iterator[RelaxationRecord]:
    """Relaxations told apart by their keys; each property that is asked for is that of a few."""
    for index in range(number):
        own = {
            "key": f"{index:032x}",
            "label": LABELS[index % 16],
            "ionic_steps": index % 50,
            "concentration": index % 200 / 1000,
            "defect_distance": 2 + index % 200 / 20,
        }
        yield record.model_copy(update={**own, **rarely(record, index % 100)})


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


def pairs(
    record: RelaxationRecord, number: int
) -> Iterator[tuple[RelaxationRecord, RelaxationRecord, PredictionRecord]]:
    """Both runs of so many configurations, and the predictions between them."""
    hashes = MODEL.checkpoint_hash, MODEL.guard_hash
    about = record.model_dump(include=set(ConfigurationSummary.model_fields))
    prediction = PredictionRecord(
        **about,
        **MODEL.identity,
        reference_hash="",
        positions=None,
        passed=True,
        reasons=[],
        max_displacement=0.1,
        exposure="new",
        seconds=1.0,
    )
    for index in range(number):
        identity = f"{index:032x}"
        own = {"configuration_id": identity, "label": LABELS[index % 16], "defect_distance": 2 + index % 200 / 20}
        keys = [relaxation_key(identity, 0, "unrelaxed", record.engine.physics_hash)]
        keys.append(relaxation_key(identity, 0, "prerelaxed", record.engine.physics_hash, *hashes))
        yield (
            record.model_copy(update={**own, "key": keys[0]}),
            record.model_copy(update={**own, "key": keys[1], "start": "prerelaxed", **MODEL.identity}),
            prediction.model_copy(update={**own, "key": f"p{identity}"}),
        )


def savings(store: RecordStore) -> Iterator[SavingsRecord]:
    """A savings record for each pair: one of them built, the others after its likeness, told apart as `pairs` are."""
    found = list(pairs_in(store).values())
    record = savings_of(next(read_pairs(store, found[:1])))
    told = record.provenance
    for pair in found:
        identity = pair.unrelaxed.configuration_id
        index = int(identity, 16)
        own = {
            "key": pair.key,
            "configuration_id": identity,
            "label": LABELS[index % 16],
            "defect_distance": 2 + index % 200 / 20,
            "steps_saved_fraction": index % 100 / 100,
            "trust": index % 200 / 200,
            "provenance": told and told.model_copy(update={"sources_hash": pair.sources_hash}),
        }
        yield record.model_copy(update={**own, **rarely_saved(index % 100)})


def rarely_saved(turn: int) -> dict[str, Any]:
    """What only one pair in a hundred has."""
    changes: dict[int, dict[str, Any]] = {
        0: {"pair_state": "prerelaxed_lost"},
        1: {"same_minimum": False},
        2: {"exposure": "same_size"},
        3: {"checkpoint": "other"},
    }
    return changes.get(turn, {})


def campaign(name: str, configurations: int = 0) -> CampaignRecord:
    """One that planned so many configurations."""
    return CampaignRecord(
        key=name,
        name=name,
        content_hash="h",
        settings={},
        hosts={},
        engine_name="forcefield",
        physics={},
        physics_hash="p",
        model=MODEL,
        configuration_ids=[f"{index:032x}" for index in range(configurations)],
    )


def fill(store: RecordStore, number: int) -> None:
    """Write relaxations that are alone, and say how long that took."""
    store.put_campaign(campaign("benchmark"))
    began = time.perf_counter()
    records = relaxations(first_record(), number)
    while batch := list(itertools.islice(records, BATCH)):
        store.add_relaxations(batch)
    print(f"{number} relaxations written in {time.perf_counter() - began:.1f} s")


def fill_with_pairs(store: RecordStore, number: int) -> None:
    """Write pairs of runs and what they saved, and say how long that took."""
    record = first_record()
    hosts = {record.host.fingerprint: Host.from_preset("MoS2", (8, 8, 1), vacuum=15).to_dict()}
    store.put_campaign(campaign("benchmark", number).model_copy(update={"hosts": hosts}))
    store.put_campaign(campaign("small", SMALL))
    began = time.perf_counter()
    records = pairs(record, number)
    while batch := list(itertools.islice(records, BATCH)):
        store.add_relaxations([run for *both, _ in batch for run in both])
        store.add_predictions([prediction for *_, prediction in batch])
    built = savings(store)
    while some := list(itertools.islice(built, BATCH)):
        store.put_savings(some)
    summary = SavingsBuilder(store).build()
    print(f"{summary.unchanged} pairs written in {time.perf_counter() - began:.1f} s")


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


def measure_pairs(place: str) -> None:
    """Print what each question about pairs takes, and about the runs of one campaign among others."""
    with ResultsStore(place) as results:
        asked: dict[str, Selection[Any]] = {name: results.savings(**filters) for name, filters in SAVINGS.items()}
        asked["runs of a campaign"] = results.relaxations(campaign="small")
        for name, selection in asked.items():
            timed(name, selection.__len__)


def measure_pairs_with_a_new_run(place: str) -> None:
    """Print what a question takes when a run was written since the pairs were built."""
    with open_store(place) as store:
        (run,) = store.relaxations({"configuration_id": f"{0:032x}", "start": "prerelaxed"})
        store.add_relaxations([run.model_copy(update={"ionic_steps": 9, "last_updated": utc_now()})])
    with ResultsStore(place) as results:
        timed("savings, one run newer", results.savings(savings=(0.98, None)).__len__)


def main() -> None:
    """Measure the store that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, help="so many pairs of runs instead")
    parser.add_argument("--store", help="a new directory or an empty database; by default a directory for this run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.store or folder
        with open_store(place) as store:
            if arguments.pairs:
                fill_with_pairs(store, arguments.pairs)
            else:
                fill(store, arguments.records)
        if arguments.pairs:
            measure_pairs(place)
            measure_pairs_with_a_new_run(place)
        else:
            measure(place)


if __name__ == "__main__":
    main()
