from __future__ import annotations

import pytest

from definet_flows.flows import load_campaign
from definet_flows.launch.doctor import Subject, vasp
from definet_flows.settings import workflows_directory
from tests.hpc_folders import written
from tests.vasp_standin.potcars import write_potcars


def found(folder=None, campaign=None):
    """State, message and remedy of each finding by its check."""
    findings = vasp.check(Subject(folder, campaign))
    return {finding.check: (finding.state, finding.message, finding.remedy) for finding in findings}


@pytest.fixture
def campaign():
    plan = load_campaign(workflows_directory() / "vasp-mos2.yaml")
    host = plan.host.model_copy(update={"supercell": (4, 4, 1)})
    few = plan.configurations.model_copy(update={"preset": None, "recipes": ("V_S", "W_Mo+Se_S")})
    return plan.model_copy(update={"host": host, "configurations": few})


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder that a job's shell finds programs in, once it has loaded a module."""
    monkeypatch.setenv("HOME", str(tmp_path))  # whose shell start-up files are none of ours
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("mpi-launcher", "vasp_std", "vasp_gam"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def with_module(folder, programs):
    """Have CPU jobs load a module, which is what puts programs on a cluster's PATH."""
    file = folder.path / "qadapter-cpu.yaml"
    file.write_text(file.read_text().replace("pre_rocket: |\n", f'pre_rocket: |\n  export PATH="{programs}:$PATH"\n'))
    return folder


def test_programs_that_modules_bring_are_found(tmp_path, programs):
    folder = written(tmp_path / "c", vasp_cmd="mpi-launcher -n 4 vasp_std")
    state, message, remedy = found(folder)["VASP_CMD"]
    assert state == "fail"
    assert message == "'mpi-launcher -n 4 vasp_std' cannot be started: there is no mpi-launcher and no vasp_std"
    assert remedy == (
        f"set VASP_CMD in {folder.path}/atomate2.yaml, or load the module that brings it in pre_rocket of qadapter-cpu.yaml"
    )
    findings = found(with_module(folder, programs))
    assert findings["VASP_CMD"][:2] == ("pass", "mpi-launcher -n 4 vasp_std")
    assert findings["VASP_GAMMA_CMD"][:2] == ("pass", "mpi-launcher -n 4 vasp_gam")
    assert findings["POTCARs"][0] == "not set up"


def test_a_file_that_is_not_executable_is_no_program(tmp_path, programs):
    (programs / "vasp_gam").chmod(0o644)
    findings = found(with_module(written(tmp_path / "c", vasp_cmd="mpi-launcher vasp_std"), programs))
    assert (findings["VASP_CMD"][0], findings["VASP_GAMMA_CMD"][0]) == ("pass", "fail")
    assert "there is no vasp_gam" in findings["VASP_GAMMA_CMD"][1]


def test_the_campaigns_own_command_comes_first(tmp_path, programs, campaign):
    engine = campaign.engine.model_copy(update={"vasp_cmd": str(programs / "vasp_std"), "vasp_gamma_cmd": "nowhere"})
    findings = found(written(tmp_path / "c"), campaign.model_copy(update={"engine": engine}))
    assert findings["VASP_CMD"][:2] == ("pass", str(programs / "vasp_std"))
    state, message, remedy = findings["VASP_GAMMA_CMD"]
    assert (state, message) == ("fail", "'nowhere' cannot be started: there is no nowhere")
    assert remedy.startswith("set vasp_gamma_cmd under engine in the campaign file")


def test_potcars_of_the_campaigns_elements(tmp_path, campaign, monkeypatch):
    from pymatgen.core import SETTINGS

    from definet_flows.engines.vasp.inputs.potcars import _check_potcar

    _check_potcar.cache_clear()
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_potcars(tmp_path / "potcars", ["Mo_pv", "S"])))
    state, message, _ = found(None, campaign)["POTCARs"]
    assert state == "fail"
    assert message.startswith("There is no POTCAR ")
    _check_potcar.cache_clear()
    write_potcars(tmp_path / "potcars", ["Mo_pv", "S", "Se", "W_pv", "W_sv"])
    state, message, _ = found(None, campaign)["POTCARs"]
    assert (state, message) == ("pass", "PBE_54 of Mo, S, Se, W")
    _check_potcar.cache_clear()


def test_another_engine_needs_no_vasp(tmp_path):
    demo = load_campaign(workflows_directory() / "demo.yaml")
    assert found(None, demo) == {
        "commands": ("pass", "demo relaxes with the forcefield engine, without VASP", None),
    }
