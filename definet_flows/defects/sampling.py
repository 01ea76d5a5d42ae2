"""Random configurations at given defect concentrations, as in the database's high-density section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

import numpy as np

from definet_flows.defects.configuration import DefectConfiguration
from definet_flows.defects.host import Host
from definet_flows.defects.point_defect import PointDefect
from definet_flows.errors import InputError

_TRIES_PER_CONFIGURATION = 200
"""Draws, duplicates included, after which a section is said to have no more distinct configurations."""


def sample_configurations(
    host: Host,
    substitutions: Mapping[str, Iterable[str]],
    concentrations: Sequence[float],
    n_per_concentration: int,
    seed: int = 0,
    max_fraction_per_type: float = 1.0,
) -> list[DefectConfiguration]:
    """Distinct random placements, reproducible for a seed.

    Parameters
    ----------
    host
        The pristine supercell.
    substitutions
        Host species to the species (or ``VACANCY``) its sites may become.
    concentrations
        Defects per site, each rounded to a whole number of defects.
    n_per_concentration
        Configurations at each concentration.
    seed
        Of the random generator.
    max_fraction_per_type
        Largest share of all sites that one defect type may take.

    Raises
    ------
    InputError
        If a species is not in the host, a concentration cannot be reached under the cap, or there are not enough distinct
        configurations.

    Examples
    --------
    >>> host = Host.from_preset("MoS2", supercell=(4, 4, 1), vacuum=15)
    >>> drawn = sample_configurations(host, {"S": ["Vac", "Se"]}, concentrations=[0.05], n_per_concentration=3, seed=1)
    >>> [one.n_defects for one in drawn]
    [2, 2, 2]
    """
    options = _options(host, substitutions)
    cap = int(max_fraction_per_type * host.n_sites + 1e-9)
    rng = np.random.default_rng(seed)
    sampled: list[DefectConfiguration] = []
    for concentration in concentrations:
        n_defects = _whole_number_of_defects(host, concentration, options, cap)
        sampled += _distinct(host, options, n_defects, cap, n_per_concentration, rng)
    return sampled


def _options(host: Host, substitutions: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    options = {symbol: list(species) for symbol, species in substitutions.items()}
    unknown = sorted(set(options) - set(host.species))
    if unknown or not any(options.values()):
        what = f"{', '.join(unknown)} is not in" if unknown else "no substitution is given for"
        raise InputError(f"{what} {host.name}; name species among {', '.join(dict.fromkeys(host.species))}.")
    for symbol, species in options.items():
        for new in species:
            PointDefect(symbol, new)
    return options


def _whole_number_of_defects(host: Host, concentration: float, options: Mapping[str, list[str]], cap: int) -> int:
    n_defects = round(concentration * host.n_sites) if isfinite(concentration) else 0
    room = sum(min(host.species.count(symbol), cap * len(species)) for symbol, species in options.items())
    if not 1 <= n_defects <= room:
        raise InputError(
            f"A concentration of {concentration:g} is {n_defects} of {host.n_sites} sites in {host.name}, but 1 to {room} "
            "are possible under the cap; change the concentration, the cap or the supercell."
        )
    return n_defects


def _distinct(
    host: Host, options: Mapping[str, list[str]], n_defects: int, cap: int, wanted: int, rng: np.random.Generator
) -> list[DefectConfiguration]:
    found: dict[str, DefectConfiguration] = {}
    for _ in range(_TRIES_PER_CONFIGURATION * wanted):
        if len(found) == wanted:
            break
        placed = _draw(host, options, n_defects, cap, rng)
        if len(placed) == n_defects:
            configuration = DefectConfiguration.create(host, placed)
            found.setdefault(configuration.id, configuration)
    if len(found) < wanted:
        raise InputError(
            f"{host.name} gave {len(found)} distinct configurations with {n_defects} defects, not {wanted}; ask for fewer."
        )
    return list(found.values())


def _draw(
    host: Host, options: Mapping[str, list[str]], n_defects: int, cap: int, rng: np.random.Generator
) -> dict[int, str]:
    """Change sites in random order until there are enough, skipping what the cap forbids."""
    placed: dict[int, str] = {}
    used: Counter[PointDefect] = Counter()
    for site in rng.permutation(host.n_sites):
        kinds = [PointDefect(host.species[site], new) for new in options.get(host.species[site], ())]
        kinds = [kind for kind in kinds if used[kind] < cap]
        if kinds:
            kind = kinds[rng.integers(len(kinds))]
            placed[int(site)] = kind.new_species
            used[kind] += 1
        if len(placed) == n_defects:
            break
    return placed
