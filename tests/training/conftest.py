"""Synthetic labels: every atom moves towards the defects around it, so that there is something to learn."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from definet_flows.defects import Host, enumerate_configurations
from definet_flows.defects.distances import minimum_image
from definet_flows.training.datasets.labels import LabelSet

TEACHER = {"name": "forcefield", "potential": "pull", "force_threshold": 0.01}


@functools.cache
def host_of(size, name="MoS2"):
    return Host.from_preset(name, (size, size, 1), vacuum=15)


@functools.cache
def configurations_of(size, *recipes, host="MoS2"):
    return tuple(c for recipe in recipes for c in enumerate_configurations(host_of(size, host), recipe))


def relaxed(configuration, strength=0.15):
    """Positions after a pull of every defect on every atom, to its nearest image, falling off over 2 Å."""
    host = configuration.host
    positions = host.positions.copy()
    for site in configuration.defect_sites:
        vectors = minimum_image(host.positions[site] - host.positions, host.lattice)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        positions += strength * vectors / np.maximum(lengths, 0.1) * np.exp(-lengths / 2)
    positions[~configuration.occupied] = host.positions[~configuration.occupied]
    return positions


def labelled(configurations, teacher=TEACHER):
    return LabelSet.of([(configuration, relaxed(configuration)) for configuration in configurations], teacher)


@pytest.fixture(scope="session")
def mos2():
    return host_of(4)
