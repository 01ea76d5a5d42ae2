"""Examples in docstrings, run as they stand."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import definet_flows
from definet_flows.records import open_store
from tests import copper

PACKAGE = Path(definet_flows.__file__).parent
WITH_EXAMPLES = [
    ".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


ROOMS = ("defects", "definet", "engines", "records")


@pytest.fixture
def _beside_results(tmp_path, monkeypatch):
    """A working directory that holds the results of a campaign."""
    monkeypatch.chdir(tmp_path)
    with open_store(tmp_path / "demo-run") as store:
        store.add_relaxations([copper.record(copper.configuration({0: "Vac"}))])


@pytest.mark.filterwarnings("ignore:Converting a tensor")  # CHGNet's own
@pytest.mark.usefixtures("_beside_results")
@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_of_docstrings_give_what_they_say(module):
    """All that a package exports is at hand, as to a reader who imported it."""
    rooms = [importlib.import_module(f"definet_flows.{room}") for room in ROOMS]
    names = {name: getattr(room, name) for room in rooms for name in room.__all__}
    results = doctest.testmod(importlib.import_module(module), globs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted
    assert not results.failed
