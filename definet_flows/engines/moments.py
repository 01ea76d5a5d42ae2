"""The magnetic moments a spin-polarised relaxation starts from: one choice for every engine and both starts."""

from __future__ import annotations

from typing import Literal

import numpy as np

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.distances import site_distances
from definet_flows.engines.relaxation import FloatArray

Scheme = Literal["high_spin", "near_defect", "flipped"]

HIGH_SPIN = {
    **dict.fromkeys(("V", "Cr", "Mn", "Fe", "Co", "Ni", "Mo", "W", "Ce"), 5.0),
    **dict.fromkeys(("Eu", "Gd"), 7.0),
    **dict.fromkeys(("Sm", "Dy"), 5.0),
    **dict.fromkeys(("Pm", "Ho"), 4.0),
    **dict.fromkeys(("Nd", "Er"), 3.0),
    **dict.fromkeys(("Pr", "Tm"), 2.0),
    "Tb": 6.0,
    "Yb": 1.0,
}
"""µ_B per atom of a magnetic element: unpaired electrons of the free ion, and 5 for open d shells."""

BACKGROUND = 0.6
"""µ_B on every other atom, enough for a moment to grow where there is one."""

NEAR_DEFECT = 1.0
"""µ_B on substituted atoms and on the neighbours of changed sites."""

_SHELL = 1.15
"""Neighbours are sites closer than this many times the shortest distance from a changed site."""


def initial_moments(configuration: DefectConfiguration, scheme: Scheme) -> FloatArray:
    """Magnetic moments before the first electronic step; they depend on the configuration, never on the start.

    Parameters
    ----------
    configuration
        Which sites changed.
    scheme
        ``high_spin``: ferromagnetic, by element. ``near_defect``: on the first shell of the changed sites only.
        ``flipped``: as ``high_spin``, with that shell antiparallel to the rest.

    Returns
    -------
    ndarray
        [n_sites] µ_B in host site order; a vacancy placeholder has 0.
    """
    near = _first_shell(configuration)
    if scheme == "near_defect":
        moments = np.where(near, NEAR_DEFECT, 0.0)
    else:
        moments = np.array([HIGH_SPIN.get(symbol, BACKGROUND) for symbol in configuration.species])
        if scheme == "flipped":
            moments = np.where(near, -moments, moments)
    return np.where(configuration.occupied, moments, 0.0)


def _first_shell(configuration: DefectConfiguration) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """[n_sites] True for the changed sites and their nearest neighbours."""
    near = np.zeros(configuration.host.n_sites, dtype=bool)
    if not configuration.defects:
        return near
    distances = site_distances(configuration.host, configuration.defect_sites)
    for site, row in zip(configuration.defect_sites, distances, strict=True):
        others = np.delete(row, site)
        near |= row < _SHELL * others.min()
    return near
