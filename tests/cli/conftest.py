"""The command line as tests call it: in this process, or as a process of its own."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from definet_flows.cli.app import app


@contextmanager
def logging_kept():
    """Put the package's log back as it was: commands send it to their stderr."""
    package = logging.getLogger("definet_flows")
    before = package.handlers[:], package.propagate, package.level
    yield
    package.handlers[:], package.propagate = before[:2]
    package.setLevel(before[2])


@pytest.fixture(scope="session")
def invoke():
    """Run a command here; returns exit_code, stdout and stderr."""

    def run(*arguments):
        with logging_kept():
            return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def command():
    """Command line of a process that runs `definet-flows` with these arguments."""

    def line(*arguments):
        return [sys.executable, "-c", "from definet_flows.cli.app import main; main()", *map(str, arguments)]

    return line


@pytest.fixture
def shell(command):
    """Run a command as a process."""

    def run(*arguments, **options):
        return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=120, **options)

    return run


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory):
    """An untrained network with displacements of about 0.01 Å: right in form, of no use in physics."""
    import torch

    from definet_flows.definet import DefiNet, DefiNetConfig, ModelCard, save_checkpoint

    torch.manual_seed(0)
    model = DefiNet(DefiNetConfig(features=8, n_layers=1, n_radial=4))
    card = ModelCard(
        name="tiny",
        hosts=("MoS2",),
        elements=("Mo", "S", "Se", "W"),
        teacher="none",
        max_displacement_trained=10.0,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(folder, model, card)
    return folder
