"""What the engine says before GPAW does anything."""

from __future__ import annotations

import sys

import pytest

from definet_flows.errors import InputError


def test_without_gpaw_the_message_says_how_to_get_it(engine, hydride, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "gpaw", None)
    with pytest.raises(InputError, match=r"needs gpaw .*'make gpaw' in a checkout, or pip install"):
        engine().relax(hydride)
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_charge_is_refused(engine, hydride):
    with pytest.raises(InputError, match=r"neutral cells, and -1 was asked for"):
        engine().relax(hydride, charge=-1)
