"""Whether a potential may teach a host: the layer rests at its own symmetry, and two starts of a defect end in one minimum.

Where the symmetric layer is a saddle point, labels depend on rounding: a relaxation from the unrelaxed start stays on the saddle
until noise takes it off. Relaxes a pristine supercell, and each single defect of the low-density section in it, from the
unrelaxed start and from one with every coordinate displaced at random. Run with

    python benchmarks/teacher_stability.py [--potential CHGNet ...] [--host GaSe ...] [--deviation 0.03] [--size 4]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from draw_six_hosts import VACUUM
from label_mos2 import TIGHT

from definet_flows.analysis.tabular import Row, markdown_table
from definet_flows.defects import (
    HOST_PRESETS,
    DefectConfiguration,
    Host,
    enumerate_configurations,
    low_density_recipes,
)
from definet_flows.engines import ForceFieldEngine
from definet_flows.records.minimum import End, compare_ends


def two_starts(engine: ForceFieldEngine, configuration: DefectConfiguration, deviation: float) -> Row:
    """Where the unrelaxed start and a displaced one end."""
    ends = []
    steps = []
    away = deviation * np.random.default_rng(0).standard_normal((configuration.host.n_sites, 3))
    for start in (None, configuration.host.positions + away):
        outcome = engine.relax(configuration, start)
        steps.append(outcome.ionic_steps)
        if outcome.positions is None or outcome.energy is None:
            return {"ends": outcome.error}
        ends.append(End(np.array(outcome.positions)[configuration.occupied], outcome.energy, None))
    found = compare_ends(ends[0], ends[1], configuration.host.lattice, engine.name)
    return {
        "steps": steps[0],
        "steps, displaced": steps[1],
        "apart (Å)": round(found.distance, 4),
        "energy (meV)": round(1000 * found.energy, 2),
        "ends": "same" if found.same else f"{found.lower} lower".replace("prerelaxed", "displaced"),
    }


def singles(host: Host) -> Iterator[DefectConfiguration]:
    """The pristine supercell and every single defect of the host's low-density section."""
    yield DefectConfiguration(host, ())
    for recipe in low_density_recipes(host.name):
        if "+" not in recipe:
            yield from enumerate_configurations(host, recipe)


def rows(potential: str, preset: str, size: int, deviation: float) -> Iterator[Row]:
    """A line for each structure of a host."""
    engine = TIGHT.model_copy(update={"potential": potential})
    host = engine.relaxed_host(Host.from_preset(preset, (size, size, 1), vacuum=VACUUM))
    for configuration in singles(host):
        defect = configuration.label if configuration.n_defects else "pristine"
        yield {
            "potential": potential,
            "host": preset,
            "defect": defect,
            **two_starts(engine, configuration, deviation),
        }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--potential", action="append")
    parser.add_argument("--host", action="append", choices=list(HOST_PRESETS))
    parser.add_argument("--deviation", type=float, default=0.03, help="Å, standard deviation of each coordinate")
    parser.add_argument("--size", type=int, default=4, help="supercell, SIZE×SIZE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = product(arguments.potential or ["CHGNet"], arguments.host or list(HOST_PRESETS))
    print(markdown_table([row for one in wanted for row in rows(*one, arguments.size, arguments.deviation)]))


if __name__ == "__main__":
    main()
