"""The engine on the stand-in for VASP, and finished runs of it made once; a test that damages one copies it first."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pymatgen.core
import pytest

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines import VaspEngine
from tests import copper, vasp_runs
from tests.vasp_standin.potcars import write_potcars

COMMAND = f"{sys.executable} {Path(__file__).resolve().parents[2] / 'vasp_standin'}"


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
def potcars(tmp_path_factory):
    """A folder of stand-ins for POTCARs."""
    return write_potcars(tmp_path_factory.mktemp("potcars"), ["Cu_pv", "Al", "Ni_pv", "Mo_pv", "S"])


@pytest.fixture
def engine(potcars, tmp_path, monkeypatch):
    """Makes VASP engines on the stand-in, in haste; `rules` say how it misbehaves."""
    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", str(potcars))
    for variable in ("VASP_STANDIN", "CUSTODIAN_WALLTIME_START"):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)

    def make(rules=(), **options):
        control = tmp_path / "rules.json"
        control.write_text(json.dumps([{"where": "", **rule} for rule in rules]))
        monkeypatch.setenv("VASP_STANDIN", str(control))
        haste = {"poll_seconds": 0.05, "monitor_seconds": 0.1, "directory": tmp_path / "vasp", "vasp_cmd": COMMAND}
        return VaspEngine(**(haste | {"kpoints": (2, 2, 2)} | options))

    return make


@pytest.fixture(scope="session")
def pair():
    """Aluminium beside a vacancy in copper: eight steps of the stand-in."""
    return copper.configuration({0: "Vac", 5: "Al"})
