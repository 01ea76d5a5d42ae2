"""What it costs to hand a campaign to FireWorks: seconds, documents and bytes per configuration, memory.

Nothing is relaxed. The configurations are those of `low-density-mos2` (5,933), or 100,000 quadruple defects of MoS2; the jobs
that predictions would add are built from them as if every prediction had passed the guard.

    python benchmarks/launch_overhead.py                  # on the tests' own database
    python benchmarks/launch_overhead.py --large --uri mongodb://localhost:27017
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bson
from jobflow.core.flow import Flow
from jobflow.managers.fireworks import flow_to_workflow

from definet_flows.defects import Host
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.plan import PlannedRun
from definet_flows.jobs.hosts import configuration_from
from definet_flows.launch.fireworks.chunks import CHUNKS
from definet_flows.launch.fireworks.cluster import Cluster
from definet_flows.launch.fireworks.jobs import relax_job
from definet_flows.launch.fireworks.routing import routed
from definet_flows.launch.fireworks.submitting import Plan, plan_submission, submit
from definet_flows.launch.fireworks.waves import Waves

QUADRUPLES = {
    "recipes": ["V_Mo+W_Mo+V_S+Se_S", "V_Mo+W_Mo+V_S+V_S"],
    "select": {"count": 100_000, "stratify": None},
}


@contextmanager
def timed(figures: dict[str, Any], what: str) -> Iterator[None]:
    """Note the seconds of a step, those of this process's own work, and the memory after it."""
    began, busy = time.perf_counter(), time.process_time()
    yield
    figures[f"{what}, s"] = round(time.perf_counter() - began, 2)
    figures[f"{what}, processor s"] = round(time.process_time() - busy, 2)
    figures[f"memory after {what}, MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def campaign(large: bool) -> Campaign:
    """The campaign to be submitted."""
    return Campaign.model_validate(
        {
            "name": "overhead",
            "host": {"preset": "MoS2", "supercell": [8, 8, 1], "vacuum": 15.0},
            "configurations": QUADRUPLES if large else {"preset": "low-density"},
            "model": {"checkpoint": "definet-mos2-chgnet", "device": "cpu"},
            "baseline_fraction": 0.05,
            "resources": {
                "predict": {"partition": "gpu", "gres": "gpu:1", "walltime": "00:30:00"},
                "relax": {"partition": "cpu", "nodes": 1, "cores": 64, "walltime": "24:00:00"},
            },
        }
    )


def measured(cluster: Cluster, large: bool) -> dict[str, Any]:
    """Submit the campaign and let its first wave go."""
    figures: dict[str, Any] = {}
    with timed(figures, "listing and planning"):
        plan = plan_submission(campaign(large), cluster, Path(tempfile.mkdtemp()))
    with timed(figures, "submitting"):
        submit(plan, cluster)
    waves = Waves(cluster.launchpad, plan.submission.key)
    waves.note_prepared()
    with timed(figures, "releasing the first wave"):
        released = waves.release()
    launchpad = cluster.launchpad
    n_fireworks = launchpad.fireworks.count_documents({})
    size, largest = stored(cluster)
    figures |= {
        "configurations": plan.n_configurations,
        "building and submitting, s": round(figures["listing and planning, s"] + figures["submitting, s"], 2),
        "chunks": len(plan.chunks),
        "chunks in the first wave": released,
        "Fireworks then": n_fireworks,
        "bytes per configuration, submitted": round(size / plan.n_configurations),
        "largest document, kB": round(largest / 1000, 1),
    }
    return figures | relaxations(plan, cluster)


def relaxations(plan: Plan, cluster: Cluster) -> dict[str, Any]:
    """Build and insert the relaxations of one chunk, as its prediction does."""
    figures: dict[str, Any] = {}
    host = Host.from_dict(next(iter(plan.record.hosts.values())))
    chunk = plan.chunks[0]
    runs = []
    for defects, both in zip(chunk.configurations, chunk.drawn, strict=True):
        configuration = configuration_from(defects, host)
        starts = ("a" * 32, None) if both else ("a" * 32,)
        runs += [PlannedRun(uuid.uuid4().hex, configuration, prediction) for prediction in starts]
    with timed(figures, "building the jobs of a chunk"):
        flow = Flow([relax_job(plan.submission.key, plan.submission.place, run) for run in runs])
        workflow = flow_to_workflow(routed(flow, plan.submission.plan.resources))
    before = stored(cluster)[0]
    with timed(figures, "inserting them"):
        cluster.launchpad.add_wf(workflow)
    size = (stored(cluster)[0] - before) / len(chunk.ids)
    waiting = max(len(bson.encode(one)) / one["n_configurations"] for one in cluster.launchpad.db[CHUNKS].find({}))
    each = 1000 / len(runs)
    return {
        "ms per relaxation, built": round(figures["building the jobs of a chunk, s"] * each, 2),
        "ms per relaxation, inserted": round(figures["inserting them, s"] * each, 2),
        "bytes per configuration, waiting": round(waiting),
        "bytes per configuration, as jobs": round(size + waiting),
    }


def stored(cluster: Cluster) -> tuple[int, int]:
    """Bytes of all documents in the database, and of the largest."""
    sizes = [
        len(bson.encode(document))
        for name in cluster.launchpad.db.list_collection_names()
        for document in cluster.launchpad.db[name].find({})
    ]
    return sum(sizes), max(sizes)


@contextmanager
def database(uri: str | None) -> Iterator[Cluster]:
    """A configuration folder and an empty database of this run's own."""
    from tests.database.server import DatabaseServer
    from tests.hpc_folders import written

    with tempfile.TemporaryDirectory() as folder:
        server = None if uri else DatabaseServer(Path(folder) / "mongo").start()
        name = f"overhead_{uuid.uuid4().hex[:8]}"
        place = written(
            Path(folder) / "configuration", database={"host": uri or server.uri, "name": name, "login": False}
        )
        with Cluster.open(place) as cluster:
            yield cluster
            cluster.launchpad.connection.drop_database(name)
        if server:
            server.stop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="100,000 configurations")
    parser.add_argument("--uri", help="address of a MongoDB; by default the tests' database is started")
    options = parser.parse_args()
    with database(options.uri) as cluster:
        print(json.dumps(measured(cluster, options.large), indent=2))


if __name__ == "__main__":
    main()
