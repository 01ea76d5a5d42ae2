"""Hosts, configurations and networks that the tests of this room share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from definet_flows.defects import VACANCY, DefectConfiguration, Host, available_hosts, high_density
from definet_flows.definet import DefiNet, DefiNetConfig, HostGraph, ModelCard

torch.set_num_threads(1)

SIZES = {"MoS2": 3, "WSe2": 3, "hBN": 3, "GaSe": 2, "InSe": 2, "BP": 2}


@pytest.fixture(scope="session")
def oracle():
    """The second implementation; loaded by path, because tests are files and not a package."""
    spec = importlib.util.spec_from_file_location("ragged_oracle", Path(__file__).with_name("ragged_oracle.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make_host():
    """Host by name and size; the default sizes are small enough for several images of one neighbour."""

    def make(name="MoS2", size=None, **options):
        size = size or SIZES[name]
        return Host.from_preset(name, (size, size, 1), vacuum=15.0, **options)

    return make


@pytest.fixture(scope="session", params=available_hosts())
def host(request, make_host):
    return make_host(request.param)


@pytest.fixture(scope="session")
def draw_configurations():
    """Random configurations of 1 to 3 defects from the host's own substitutions and vacancies."""

    def draw(host, count, seed=0):
        generator = np.random.default_rng(seed)
        options = high_density(host.name).substitutions
        configurations = []
        for _ in range(count):
            sites = generator.choice(host.n_sites, size=generator.integers(1, 4), replace=False)
            changes = {int(site): str(generator.choice(options[host.species[site]])) for site in sites}
            configurations.append(DefectConfiguration.create(host, changes))
        return configurations

    return draw


@pytest.fixture(scope="session")
def make_network():
    """A float64 network with random weights, its heads scaled until the largest displacement is `largest` Å."""

    def make(examples=(), seed=0, largest=0.3, **options):
        torch.manual_seed(seed)
        network = DefiNet(DefiNetConfig(**options)).double()
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name.endswith("bias") or name == "vn_emb.weight":
                    parameter.normal_(std=0.1)
            # Damped, because later layers answer to what earlier ones moved.
            for _ in range(30 if len(examples) else 0):
                factor = largest / displacements(network, examples).abs().max()
                if abs(factor - 1) < 0.1:
                    break
                for name, parameter in network.coord_update_layers.named_parameters():
                    if "lin_vec2coord" in name or "coord_mlp.2" in name:
                        parameter.mul_(factor.clamp(0.02, 50) ** 0.8)
        return network

    return make


@pytest.fixture(scope="session")
def predict():
    """Displacements [B, N, 3] of configurations of one host, straight from the network."""
    return displacements


def displacements(network, configurations, graph=None):
    if graph is None:
        config = network.config
        graph = HostGraph.build(configurations[0].host, config.graph_radius, config.max_neighbours)
    numbers = torch.from_numpy(np.stack([c.atomic_numbers for c in configurations]))
    markers = torch.from_numpy(np.stack([c.markers for c in configurations]))
    with torch.no_grad():
        return network.displacements(numbers, markers, graph)


@pytest.fixture
def card():
    return ModelCard(
        name="testnet",
        hosts=("MoS2",),
        elements=("Mo", "S", "Se", "W"),
        teacher="random numbers",
        max_displacement_trained=0.3,
    )


@pytest.fixture(scope="session")
def moved_host():
    """The arrays a graph is built from, for hosts moved about in ways a Host itself is not."""

    def make(positions, lattice):
        return SimpleNamespace(positions=np.array(positions), lattice=np.array(lattice))

    return make


@pytest.fixture(scope="session")
def vacancy():
    return VACANCY
