"""Settings every test shares: one thread per process, so that two test workers fit two cores."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is first imported, hence before anything else here
os.environ["MPLBACKEND"] = "Agg"

# A script that starts the tests in the background makes them ignore Ctrl-C, and so would every process they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Several test workers share the cores, so the time of one example says nothing; what fails once must fail again.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

pytest_plugins = ["tests.browser.fixtures", "tests.cluster.fixtures", "tests.database.fixtures"]


@pytest.fixture(scope="session")
def copper():
    """The small copper campaign that several rooms are tested with."""
    from tests import copper

    return copper
