"""Finished runs of the stand-in for VASP, made once; a test that damages one copies it first."""

from __future__ import annotations

import pytest

from definet_flows.defects import DefectConfiguration, Host
from tests import copper, vasp_runs


@pytest.fixture(scope="session")
def mos2():
    return Host.from_preset("MoS2", (3, 3, 1), vacuum=15)


@pytest.fixture(scope="session")
def sulphur_vacancy(mos2):
    return DefectConfiguration.create(mos2, {9: "Vac"})


@pytest.fixture(scope="session")
def finished(sulphur_vacancy, tmp_path_factory):
    """A sulphur vacancy relaxed from the pristine sites; not to be written to."""
    return vasp_runs.relaxed(tmp_path_factory.mktemp("vasp") / "finished", sulphur_vacancy.structure())


@pytest.fixture
def run_copy(finished, tmp_path):
    """A run to be damaged."""
    return vasp_runs.copied(finished, tmp_path / "run")


@pytest.fixture(scope="session")
def pair():
    """Aluminium beside a vacancy in copper: eight steps of the stand-in."""
    return copper.configuration({0: "Vac", 5: "Al"})
