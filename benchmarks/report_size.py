"""Size, time and memory of the report page of a large campaign: a synthetic one, or one that is there.

python benchmarks/report_size.py --configurations 6000
python benchmarks/report_size.py --store demo-run
"""

from __future__ import annotations

import argparse
import re
import resource
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from definet_flows.analysis.report import report_page, write_page
from definet_flows.analysis.results import campaign_results
from definet_flows.defects import DefectConfiguration, Host
from definet_flows.defects.distances import minimum_image
from definet_flows.defects.enumeration import enumerate_configurations
from definet_flows.definet import GuardVerdict, Prediction
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.plan import campaign_record
from definet_flows.records import RecordStore, open_store
from definet_flows.records.documents import ModelSummary
from definet_flows.records.extract import record_from_prediction, record_from_relaxation

MODEL = ModelSummary(checkpoint="synthetic", checkpoint_hash="c" * 16, guard_hash="d" * 16)
ENGINE = ForceFieldEngine()
RECIPES = ("V_Mo+V_S+V_S", "V_Mo+Se_S+Se_S", "V_Mo+V_S+Se_S", "W_Mo+V_S+V_S", "W_Mo+Se_S+Se_S", "W_Mo+V_S+Se_S")
REACH, LENGTH = 3.0, 0.15
"""Å; displacements fall off with the distance from a defect over the one, from the other."""

PREDICTION_ERROR, SCATTER = 0.004, 0.002
"""Å; of a predicted coordinate, and between the ends of two runs: those of the shipped checkpoint on held-out configurations."""

BATCH = 100
Positions = npt.NDArray[np.float64]


def configurations(host: Host, number: int) -> list[DefectConfiguration]:
    """Low-density placements, each once."""
    every = (one for recipe in RECIPES for one in enumerate_configurations(host, recipe))
    return list(islice(every, number))


def relaxed(configuration: DefectConfiguration, rng: np.random.Generator) -> Positions:
    """Atoms drawn towards each defect or pushed from it, and scattered."""
    host = configuration.host
    moved = rng.normal(scale=PREDICTION_ERROR, size=host.positions.shape)
    for site in configuration.defect_sites:
        away = minimum_image(host.positions - host.positions[site], host.lattice)
        distance = np.linalg.norm(away, axis=1, keepdims=True) + 1e-9
        moved += rng.uniform(-1, 1) * LENGTH * np.exp(-distance / REACH) * away / distance
    return host.positions + moved


def relaxation(positions: Positions, energy: float, steps: int, rng: np.random.Generator) -> Relaxation:
    """A run whose forces fall, unevenly, to the threshold."""
    forces = np.geomspace(0.5, 0.009, steps) * rng.uniform(0.7, 1.3, size=steps)
    forces[-1] = 0.009
    return Relaxation(
        converged=True,
        ionic_steps=steps,
        max_force_history=forces.tolist(),
        max_force=0.009,
        energy=energy,
        wall_seconds=float(steps * rng.uniform(0.3, 0.4)),
        cores=1,
        core_hours=float(steps * rng.uniform(1e-4, 2e-4)),
        positions=positions.tolist(),
        engine_version="synthetic",
    )


def fill(store: RecordStore, number: int) -> None:
    """A campaign in 8×8 MoS2 (192 sites), every configuration relaxed from both starts."""
    host = Host.from_preset("MoS2", (8, 8, 1), vacuum=15)
    settings = {"name": "synthetic", "host": {"preset": "MoS2", "supercell": [8, 8, 1], "vacuum": 15}}
    campaign = Campaign.model_validate({**settings, "configurations": {"recipes": list(RECIPES)}})
    listed = configurations(host, number)
    store.put_campaign(campaign_record(campaign, host, MODEL, listed))
    rng = np.random.default_rng(0)
    for first in range(0, len(listed), BATCH):
        add(store, listed[first : first + BATCH], rng)


def add(store: RecordStore, batch: list[DefectConfiguration], rng: np.random.Generator) -> None:
    """The prediction and both runs of each configuration."""
    predictions, runs = [], []
    for configuration in batch:
        end = relaxed(configuration, rng)
        predicted, other = (end + rng.normal(scale=scale, size=end.shape) for scale in (PREDICTION_ERROR, SCATTER))
        energy = float(-1430 + rng.normal())
        seen = Prediction(configuration, predicted, GuardVerdict.of([], 0.15), 0.01, "new")
        prediction = record_from_prediction(seen, MODEL, "synthetic")
        predictions.append(prediction)
        for positions, steps, start in ((end, rng.integers(10, 40), None), (other, rng.integers(1, 8), prediction)):
            run = relaxation(positions, energy, int(steps), rng)
            runs.append(record_from_relaxation(configuration, run, ENGINE, "synthetic", start))
    store.add_predictions(predictions)
    store.add_relaxations(runs)


def blocks(page: str) -> Iterator[tuple[str, int]]:
    """Bytes of the page by what they are."""
    sizes: dict[str, int] = {}
    for kind, text in re.findall(r'id="packed-([a-z]+)[-0-9]*">([^<]*)<', page):
        sizes[kind] = sizes.get(kind, 0) + len(text)
    yield from sizes.items()
    yield "the rest", len(page) - sum(sizes.values())


def measure(place: str, output: Path) -> None:
    """Write the page of a store and print what it took."""
    began = time.process_time()
    with open_store(place, read_only=True) as store:
        results = campaign_results(store)
        settled = time.process_time()
        page = report_page(store, results)
    write_page(page, output)
    done = time.process_time()
    print(f"{len(results.campaign.configuration_ids)} configurations, {len(results.relaxations)} relaxations")
    print(f"{output.stat().st_size / 1e6:.2f} MB: {', '.join(f'{name} {n / 1e6:.2f}' for name, n in blocks(page))}")
    print(f"{settled - began:.1f} s of processor time to read and count, {done - settled:.1f} s to write")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most")


def main() -> None:
    """Fill a store where none is given, and measure its page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", type=int, default=6000)
    parser.add_argument("--store", metavar="DIR", help="measure the page of this store instead of a synthetic one")
    parser.add_argument("--output", type=Path, default=Path("report-size.html"))
    parser.add_argument("--fill", metavar="DIR", help="keep the synthetic store here, and only fill it")
    arguments = parser.parse_args()
    if arguments.store:
        measure(arguments.store, arguments.output)
        return
    with tempfile.TemporaryDirectory() as temporary:
        place = arguments.fill or temporary
        with open_store(place) as store:
            fill(store, arguments.configurations)
        if not arguments.fill:
            measure(place, arguments.output)


if __name__ == "__main__":
    main()
