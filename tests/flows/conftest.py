from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def copper():
    """The small copper campaign; loaded by path, because tests are files and not a package."""
    path = Path(__file__).parents[1] / "jobs" / "copper.py"
    spec = importlib.util.spec_from_file_location("copper", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
