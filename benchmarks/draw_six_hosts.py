"""Draw the held-out configurations of the six hosts, and a second set of two of them.

Writes workflows/six-hosts/held-out/: low density in the database's supercell (stratified by type, each cluster drawn once; 25
each for MoS2 and WSe2), high density at all five concentrations, and five defects of MoS2 at 8×8, 12×12 and 16×16. Of MoS2 and
WSe2 there is a second draw, for what the first one showed led to other labels. The first was made before any label; the second
before the training that leaves its clusters out, when some of them were labelled. All are committed; running this again gives the
same files. Run with

    python benchmarks/draw_six_hosts.py
"""

from __future__ import annotations

from pathlib import Path

from definet_flows.defects import (
    HOST_PRESETS,
    DefectConfiguration,
    Host,
    enumerate_configurations,
    high_density,
    low_density_recipes,
    read_configurations,
    sample_configurations,
    write_configurations,
)
from definet_flows.training.datasets.held_out import draw_stratified

SEED = 20261123
SECOND_SEED = 20261125
VACUUM = 15.0
LOW_PER_TYPE = {"MoS2": 2, "WSe2": 2}
"""Of each type with more than one cluster; one for the other hosts."""

MOST_LOW = 25
HIGH_PER_CONCENTRATION = 2
SIZES = (8, 12, 16)
SIZED_TYPES = ("V_S+V_S", "V_Mo+V_S", "V_Mo+V_S+V_S", "V_Mo+V_S+Se_S", "W_Mo+V_S+Se_S")
WORKFLOWS = Path(__file__).parent.parent / "workflows"
TARGET = WORKFLOWS / "six-hosts" / "held-out"


def host_of(name: str, n: int | None = None) -> Host:
    """A host in the database's supercell, or in n×n."""
    return Host.from_preset(name, None if n is None else (n, n, 1), vacuum=VACUUM)


def low_density(name: str, seed: int, before: list[DefectConfiguration]) -> list[DefectConfiguration]:
    """Low-density configurations of a host, of other clusters than those drawn before."""
    taken = {one.cluster_id for one in before}
    drawn = draw_stratified({host_of(name): LOW_PER_TYPE.get(name, 1)}, low_density_recipes(name), seed, taken)
    return drawn[:MOST_LOW]


def low_densities(name: str) -> dict[str, list[DefectConfiguration]]:
    """The draws of a host by the stem of their file."""
    earlier = sorted((WORKFLOWS / "mos2").glob("*.jsonl")) if name == "MoS2" else []
    before = [one for file in earlier for one in read_configurations(file, host_of(name))]
    first = low_density(name, SEED, before)
    stem = f"{name.lower()}-low"
    second = {f"{stem}-second": low_density(name, SECOND_SEED, before + first)} if name in LOW_PER_TYPE else {}
    return {stem: first} | second


def placements(name: str) -> list[DefectConfiguration]:
    """The high-density configurations of a host."""
    section = high_density(name)
    return sample_configurations(
        host_of(name),
        section.substitutions,
        section.concentrations,
        HIGH_PER_CONCENTRATION,
        SEED,
        section.type_cap,
    )


def at_sizes(drawn: list[DefectConfiguration]) -> dict[int, list[DefectConfiguration]]:
    """The first drawn cluster of each of five types, in every size."""
    wanted = [next(one.cluster_id for one in drawn if one.label == label) for label in SIZED_TYPES]
    return {
        n: [
            next(one for one in enumerate_configurations(host_of("MoS2", n), label) if one.cluster_id == cluster)
            for label, cluster in zip(SIZED_TYPES, wanted, strict=True)
        ]
        for n in SIZES
    }


def main() -> None:
    """Write the files."""
    files: dict[str, list[DefectConfiguration]] = {}
    for name in HOST_PRESETS:
        files |= low_densities(name) | {f"{name.lower()}-high": placements(name)}
    files |= {f"mos2-{n}x{n}": found for n, found in at_sizes(files["mos2-low"]).items()}
    TARGET.mkdir(parents=True, exist_ok=True)
    for stem, drawn in files.items():
        file = write_configurations(drawn, TARGET / f"{stem}.jsonl")
        print(f"{file.name}: {len(drawn)} configurations of {len({one.label for one in drawn})} types")


if __name__ == "__main__":
    main()
