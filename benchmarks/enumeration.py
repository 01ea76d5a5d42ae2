"""Enumeration against Burnside's count: configurations, seconds and peak memory, in one process.

Run with

    python benchmarks/enumeration.py
"""

from __future__ import annotations

import resource
import time

from definet_flows.defects import Host, count_configurations, enumerate_configurations, low_density_recipes


def main() -> None:
    """Print one row per case."""
    cases = {
        "MoS2 8x8, 17 low-density types": ((8, 8, 1), low_density_recipes("MoS2")),
        "MoS2 16x16, W_Mo+V_S+Se_S": ((16, 16, 1), ["W_Mo+V_S+Se_S"]),
    }
    for name, (supercell, recipes) in cases.items():
        began = time.perf_counter()
        host = Host.from_preset("MoS2", supercell, vacuum=15)
        listed, placements = 0, 0
        for recipe in recipes:
            for configuration in enumerate_configurations(host, recipe):
                listed += 1
                placements += configuration.multiplicity
        seconds = time.perf_counter() - began
        counted = sum(count_configurations(host, recipe) for recipe in recipes)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{name}: {listed} enumerated, {counted} counted, {placements} placements, {seconds:.1f} s, {memory:.2f} GB"
        )


if __name__ == "__main__":
    main()
