from __future__ import annotations

from pathlib import Path

import pytest

IN_WORKERS = Path(__file__).with_name("in_workers")


@pytest.fixture
def in_workers(monkeypatch):
    """The folder whose modules worker processes can import: they inherit this process's path."""
    monkeypatch.syspath_prepend(str(IN_WORKERS))
    return IN_WORKERS


@pytest.fixture
def misbehaving(copper, tmp_path):
    """A campaign file on the calculator of in_workers/misbehaving.py."""

    def write(delay=0.0, threshold=0.05, **changes):
        arguments = f"{{folder: {tmp_path}, delay: {delay}}}"
        engine = (
            f"{{potential: misbehaving.Misbehaving, potential_arguments: {arguments}, force_threshold: {threshold}}}"
        )
        return copper.write_campaign(tmp_path / "campaign", **({"engine": engine} | changes))

    return write
