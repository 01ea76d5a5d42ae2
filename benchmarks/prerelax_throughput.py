"""Structures per second of the pre-relaxer beside a plain graph-network code, on the same weights and threads.

Contestants take turns, several rounds, medians. On a machine that others use, --clock cpu counts the process's own seconds.

    python benchmarks/prerelax_throughput.py                        # F 64 128 256 512, cells 4 8 12 16, one thread
    python benchmarks/prerelax_throughput.py -F 64 128 --cells 8 --radial shipped --radial paper
    python benchmarks/prerelax_throughput.py --device cuda --batch 64

``ragged`` is ragged_network.py; ``module`` the network as it trains; ``fast`` what Prerelaxer uses for many structures;
``bf16`` the same with products in bfloat16. F = 64 with the shipped radial functions runs the shipped weights, everything else
random ones. Rows already in the output file are not measured again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from ragged_network import RaggedNetwork

from definet_flows.defects import DefectConfiguration, Host, high_density
from definet_flows.definet import DefiNet, DefiNetConfig, HostGraph, load_checkpoint
from definet_flows.definet.inference import ModuleForward, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from definet_flows.definet.inference import Forward

RADIAL = {
    "shipped": {"n_radial": 32, "radial_cutoff": 7.0},
    "paper": {"n_radial": 128, "radial_cutoff": 30.0},
}
ALLOWED = 1e-5  # Å
LARGEST = 0.2  # Å
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def network(features: int, radial: str, examples: list[DefectConfiguration], graph: HostGraph) -> DefiNet:
    """Return the shipped weights where they fit, else random ones that move atoms by about 0.2 Å at most."""
    if features == 64 and radial == "shipped":
        return load_checkpoint("definet-mos2-chgnet").model
    torch.manual_seed(0)
    model = DefiNet(DefiNetConfig(features=features, **RADIAL[radial])).eval()
    arrays = stacked(examples)
    for _ in range(4):  # damped, because later layers answer to what earlier ones moved
        factor = (LARGEST / model.displacements(*arrays, graph).abs().max()).clamp(0.05, 20) ** 0.8
        for name, parameter in model.coord_update_layers.named_parameters():
            if "vec2coord" in name or "mlp.2" in name:
                parameter.mul_(factor)
    return model


def stacked(configurations: list[DefectConfiguration]) -> tuple[Tensor, Tensor]:
    """Return atomic numbers and markers, int64 [B, N]."""
    arrays = ([c.atomic_numbers for c in configurations], [c.markers for c in configurations])
    numbers, markers = (torch.from_numpy(np.stack(each)).long() for each in arrays)
    return numbers, markers


def draw(host: Host, count: int) -> list[DefectConfiguration]:
    """Return random configurations of one to three defects."""
    generator, options = np.random.default_rng(0), high_density(host.name).substitutions
    configurations = []
    for _ in range(count):
        sites = generator.choice(host.n_sites, size=generator.integers(1, 4), replace=False)
        changes = {int(site): str(generator.choice(options[host.species[site]])) for site in sites}
        configurations.append(DefectConfiguration.create(host, changes))
    return configurations


def plain_operations(config: DefiNetConfig, graph: HostGraph) -> float:
    """Floating-point operations per structure in products of the ragged code."""
    edges, sites, F, layers = int(graph.mask.sum()), graph.n_sites, config.features, config.n_layers
    return 2.0 * layers * (sites * 27 * F * F + edges * (F * F + 4 * F * config.n_radial))


def remaining(host: Host, graph: HostGraph, config: DefiNetConfig, markers: Tensor) -> float:
    """Operations per structure in products that the fast route really does, the first layer only near defects."""
    F, changed = config.features, markers != 0
    edges = graph.mask.nonzero()
    receivers, senders = edges[:, 0], graph.neighbours[graph.mask]
    near = changed.int().index_add(1, receivers, changed[:, senders].int()) > 0
    first_edges = float((near[:, senders] | changed[:, receivers]).sum()) / len(markers)
    first_sites = float(near.sum()) / len(markers)
    later = config.n_layers - 1
    on_sites = (
        19 * first_sites + 27 * host.n_sites * later
    )  # no vectors yet and one state per kind of site in the first
    return 2.0 * F * F * (on_sites + first_edges + len(edges) * later)


def product_rate(features: int, seconds: Stopwatch) -> float:
    """Operations per second of a float32 product [8192, F] x [F, F], the shape of the largest one."""
    a, b = (torch.randn(n, features, device=seconds.device) for n in (8192, features))
    out = torch.empty_like(a)
    times = [seconds(lambda: torch.mm(a, b, out=out)) for _ in range(5)]
    return 2.0 * 8192 * features**2 / statistics.median(times)


class Stopwatch:
    """Seconds that a call takes, by the clock chosen, the device's work included."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.clock, self.device = CLOCKS[options.clock], torch.device(options.device)

    def __call__(self, call: Callable[[], object]) -> float:
        """Run it and return its seconds."""
        begin = self.clock()
        call()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.clock() - begin


def in_batches(forward: Forward, size: int) -> Forward:
    """Return a forward pass in batches of one size."""

    def run(numbers: Tensor, markers: Tensor) -> Tensor:
        return torch.cat([forward(*part) for part in zip(numbers.split(size), markers.split(size), strict=True)])

    return run


def best_batch(forward: Forward, arrays: tuple[Tensor, Tensor], seconds: Stopwatch) -> int:
    """Return the batch size of 1, 2, 4, 8 (and 32, 128 on a GPU) at which a contestant takes least per structure."""
    found = {}
    for size in (1, 2, 4, 8) if seconds.device.type == "cpu" else (1, 8, 32, 128):
        batch = [array[:size] for array in arrays]
        if len(batch[0]) == size:
            forward(*batch)
            found[size] = seconds(lambda batch=batch: forward(*batch)) / size
            if found[size] > 1.5 * min(found.values()):
                break
    return min(found, key=found.__getitem__)


def contestants(model: DefiNet, graph: HostGraph, host: Host, device: torch.device) -> tuple[dict[str, Forward], float]:
    """Return the forward passes by name, and the seconds in which the fast one was made ready."""
    ragged = RaggedNetwork(model, graph)
    begin = time.perf_counter()
    fast = prepare(model, graph, host, torch.float32)
    preparing = time.perf_counter() - begin
    forwards: dict[str, Forward] = {
        "ragged": lambda numbers, markers: ragged.displacements(numbers.to(device), markers.to(device)),
        "module": ModuleForward(model, graph, torch.float32),
        "fast": fast,
        "bf16": prepare(model, graph, host, torch.bfloat16),
    }
    return forwards, preparing


def take_turns(
    runs: dict[str, Forward],
    arrays: tuple[Tensor, Tensor],
    features: int,
    rounds: int,
    seconds: Stopwatch,
    for_ragged: int,
) -> tuple[dict[str, list[float]], float]:
    """Return seconds per structure of each contestant, one number a round, and the rate of a product between the rounds.

    The slow ragged code gets fewer structures.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    rates = []
    for _ in range(rounds):
        rates.append(product_rate(features, seconds))
        for name, run in runs.items():
            part = [array[:for_ragged] if name == "ragged" else array for array in arrays]
            times[name].append(seconds(lambda run=run, part=part: run(*part)) / len(part[0]))
    return times, statistics.median(rates)


def shift(run: Forward, arrays: tuple[Tensor, Tensor], exact: Tensor) -> dict[str, float]:
    """Return how far coordinates are from the ragged code's at most, Å, and in how many structures they are not equal."""
    apart = (run(*arrays) - exact).abs().amax((1, 2))
    return {"largest": float(apart.max()), "above": int((apart > ALLOWED).sum())}


def measure(features: int, cell: int, radial: str, options: argparse.Namespace) -> dict[str, object]:
    """Return one row of the table."""
    device, seconds = torch.device(options.device), Stopwatch(options)
    host = Host.from_preset("MoS2", (cell, cell, 1), vacuum=15.0)
    configurations, graph = draw(host, options.structures), HostGraph.build(host).to(dtype=torch.float32)
    model = network(features, radial, configurations[:2], graph).to(device)
    arrays = stacked(configurations)
    forwards, preparing = contestants(model, graph.to(device), host, device)
    ragged_batch = best_batch(forwards["ragged"], arrays, seconds)
    runs = {
        name: in_batches(each, ragged_batch if name == "ragged" else options.batch) for name, each in forwards.items()
    }
    chosen = {name: run for name, run in runs.items() if name in ("ragged", "fast") or name in options.also}
    for_ragged = max(ragged_batch, options.structures // 4)
    times, rate = take_turns(chosen, arrays, features, options.rounds, seconds, for_ragged)
    exact = runs["ragged"](*arrays)
    compared = {**chosen, "module": runs["module"]}  # the module always: what rounding alone does between two codes
    median = {name: statistics.median(each) for name, each in times.items()}
    done = remaining(host, graph, model.config, arrays[1])
    return {
        "F": features, "cell": cell, "sites": host.n_sites, "radial": radial, "device": options.device,
        "threads": torch.get_num_threads(), "clock": options.clock, "ragged_batch": ragged_batch,
        "ms": {name: 1e3 * each for name, each in median.items()},
        "per_second": 1 / median["fast"],
        "ratio": statistics.median(r / f for r, f in zip(times["ragged"], times["fast"], strict=True)),
        "preparing_s": preparing,
        "gflop": {"ragged": plain_operations(model.config, graph) / 1e9, "remaining": done / 1e9},
        "product_gflops": rate / 1e9,
        "share_of_product_rate": done / median["fast"] / rate,
        "shift": {name: shift(run, arrays, exact) for name, run in compared.items() if name != "ragged"},
        "structures": options.structures,
        "peak_mib": peak_mib(device),
    }  # fmt: skip


def peak_mib(device: torch.device) -> float:
    """Peak memory of this process, or of the device."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


HEADER = (
    "| F | cell | sites | radial | structures/s | ms, fast | ms, ragged (batch) | ratio | GFLOP left (of) "
    "| share of product rate | peak MiB | largest shift from ragged, Å, and structures above 1e-5 | the same for the module |"
    "\n|" + " ---: |" * 13
)


def line(row: dict[str, object]) -> str:
    """Return a row as Markdown."""
    ms, shift, other, gflop = row["ms"], row["shift"]["fast"], row["shift"]["module"], row["gflop"]
    return (
        f"| {row['F']} | {row['cell']}×{row['cell']} | {row['sites']} | {row['radial']} | {row['per_second']:.1f} "
        f"| {ms['fast']:.2f} | {ms['ragged']:.1f} ({row['ragged_batch']}) | {row['ratio']:.1f} "
        f"| {gflop['remaining']:.2f} ({gflop['ragged']:.2f}) | {100 * row['share_of_product_rate']:.0f} % "
        f"| {row['peak_mib']:.0f} | {shift['largest']:.0e}, {shift['above']} | {other['largest']:.0e}, {other['above']} |"
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-F", "--features", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--cells", type=int, nargs="+", default=[4, 8, 12, 16], help="n for n x n x 1 MoS2")
    parser.add_argument("--radial", choices=RADIAL, action="append", help="default: both")
    parser.add_argument("--also", choices=["module", "bf16"], nargs="*", default=[], help="more contestants")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--structures", type=int, default=16)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16, help="structures handed to the fast route at a time")
    parser.add_argument("--device", default="cpu", help="cpu, cuda")
    parser.add_argument("--minutes", type=float, default=60.0, help="start no further row after this")
    parser.add_argument("-o", "--output", type=Path, default=Path("prerelax_throughput.json"))
    parser.add_argument("--row", help=argparse.SUPPRESS)  # one row in its own process, for its own peak memory
    return parser.parse_args()


def main() -> None:
    """Measure what is not yet in the output file, one process per row."""
    options = arguments()
    torch.set_num_threads(options.threads)
    if options.row:
        features, cell, radial = options.row.split(",")
        with torch.inference_mode():
            print(json.dumps(measure(int(features), int(cell), radial, options)))
        return
    rows = json.loads(options.output.read_text()) if options.output.exists() else []
    begin = time.monotonic()
    print(HEADER)
    for features, cell, radial in itertools.product(options.features, options.cells, options.radial or list(RADIAL)):
        key = {"F": features, "cell": cell, "radial": radial, "device": options.device}
        key |= {"threads": options.threads, "clock": options.clock}
        known = [row for row in rows if key.items() <= row.items()]
        if not known and time.monotonic() - begin < 60 * options.minutes:
            command = [sys.executable, __file__, *sys.argv[1:], "--row", f"{features},{cell},{radial}"]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603
            known = [json.loads(answer.splitlines()[-1])]
            rows += known
            options.output.write_text(json.dumps(rows, indent=1) + "\n")
        for row in known:
            print(line(row), flush=True)


if __name__ == "__main__":
    main()
