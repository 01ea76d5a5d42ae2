from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from definet_flows.defects import Host
from definet_flows.engines import EngineSettings, ForceFieldEngine, VaspEngine
from definet_flows.engines.vasp.inputs.kpoints import kpoint_warning

READ = TypeAdapter(EngineSettings)


def test_engines_are_told_apart_by_name():
    assert READ.validate_python({}) == ForceFieldEngine()
    assert READ.validate_python({"name": "vasp", "cores": 4}) == VaspEngine(cores=4)
    assert READ.validate_python(VaspEngine()) == VaspEngine()
    for engine in (VaspEngine(dipole=True), ForceFieldEngine(rattle=0.1)):
        assert READ.validate_json(READ.dump_json(engine)) == engine


@pytest.mark.parametrize(
    "same",
    [
        {"cores": 32, "threads": 2, "vasp_cmd": "srun vasp_std", "vasp_gamma_cmd": "srun vasp_gam"},
        {"walltime": 3600, "walltime_buffer": 60, "max_errors": 9, "directory": "/elsewhere", "deadline": 1.0},
        {"poll_seconds": 1, "monitor_seconds": 10, "frozen_seconds": 60},
        {"user_incar_settings": {"ncore": 4, "KPAR": 2, "LWAVE": True}},
        {"user_incar_settings": {"ENCUT": 500}},
    ],
)
def test_where_and_how_fast_is_no_physics(same):
    assert VaspEngine(**same).physics_hash == VaspEngine().physics_hash


def test_everything_else_is_physics():
    different = [
        {"user_incar_settings": {"ENCUT": 520}},
        {"user_incar_settings": {"IBRION": 1}},
        {"kpoints": [2, 2, 1]},
        {"potcars": {"Mo": "Mo_sv"}},
        {"potcar_functional": "PBE"},
        {"moments": ["near_defect"]},
        {"moments": ["high_spin", "flipped"]},
        {"vdw": "D3"},
        {"dipole": True},
        {"single_point": {"functional": "HSE06"}},
        {"rattle": 0.01},
        {"max_steps": 100},
        {"force_threshold": 0.02},
        {"relax_host": False},
    ]
    hashes = {VaspEngine(**options).physics_hash for options in [{}, *different]}
    assert len(hashes) == 1 + len(different)


def test_what_contradicts_the_paper_is_on_record():
    assert VaspEngine().physics["departures"] == {}
    settings = {"ENCUT": 400, "ISPIN": None, "METAGGA": "R2SCAN"}
    engine = VaspEngine(user_incar_settings=settings, force_threshold=0.02, kpoints=(2, 2, 1), vdw="D3")
    assert engine.physics["departures"] == {
        "ENCUT": "400, in the paper 500",
        "ISPIN": "not set, in the paper 2",
        "EDIFFG": "-0.02, in the paper -0.01",
        "METAGGA": "R2SCAN, not in the paper",
        "IVDW": "11, not in the paper",
        "KPOINTS": "2 2 1, in the paper 1 1 1",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"user_incar_settings": {"MAGMOM": 1}}, "'moments'"),
        ({"user_incar_settings": {"nelect": 300}}, "charge on record"),
        ({"user_incar_settings": {"ISIF": 3}}, "may not change"),
        ({"user_incar_settings": {"IDIPOL": 1}}, "the vacuum of a host lies along c"),
        ({"user_incar_settings": {"IBRION": -1}}, "choose 1, 2 or 3"),
        ({"user_incar_settings": {"NSW": 9}}, "'max_steps'"),
        ({"single_point": {"functional": "HSE06", "user_incar_settings": {"KSPACING": 0.3}}}, "'kpoints'"),
        ({"kpoints": [0, 1, 1]}, "three positive whole numbers"),
        ({"moments": []}, "at least 1 item"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        VaspEngine(**settings)


def test_a_campaign_gives_its_directory_and_starts_the_clock(tmp_path):
    host = Host.from_preset("MoS2", vacuum=15)
    placed = VaspEngine(walltime=100).in_campaign(tmp_path, host)
    assert placed.directory == tmp_path / "vasp"
    assert placed.in_campaign(tmp_path / "other", host) == placed
    assert VaspEngine().in_campaign(tmp_path, host).deadline is None
    assert VaspEngine(directory="/scratch/runs").in_campaign(tmp_path, host).directory.as_posix() == "/scratch/runs"


def test_a_coarse_grid_is_warned_of_with_its_spacing(caplog, tmp_path):
    small = Host.from_preset("MoS2", (4, 4, 1), vacuum=15)
    VaspEngine().in_campaign(tmp_path, small)
    assert "0.57 Å⁻¹" in caplog.text
    assert "kpoints: [2, 2, 1]" in caplog.text
    assert kpoint_warning(small, (2, 2, 1)) is None
    assert kpoint_warning(Host.from_preset("MoS2", vacuum=15), (1, 1, 1)) is None
