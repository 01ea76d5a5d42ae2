"""The queueing system every test may ask for; where there is none they skip, saying why."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.cluster.slurm import NoSlurmError, SlurmNode, need_slurm


@pytest.fixture(scope="session")
def slurm():
    """A one-node Slurm, used by this process and all it starts."""
    try:
        need_slurm()
    except NoSlurmError as error:
        pytest.skip(str(error))
    before = os.environ.get("SLURM_CONF")
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder, SlurmNode(Path(folder)) as node:
        os.environ |= node.environment
        yield node
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before
