from __future__ import annotations

import pymatgen.core
import pytest

from tests.vasp_standin.potcars import VALENCES, write_potcars

CAMPAIGN = (
    "name: c\nhost: {preset: hBN, supercell: [6, 6, 1], vacuum: 15}\nconfigurations: {recipes: [V_B, V_N, C_B]}\n"
)


def test_the_inputs_of_the_first_configurations_are_written(tmp_path, invoke):
    (tmp_path / "c.yaml").write_text(
        f"{CAMPAIGN}engine: {{name: vasp, cores: 4, user_incar_settings: {{ENCUT: 450}}}}\n"
    )
    result = invoke("vasp-inputs", tmp_path / "c.yaml", "--dir", tmp_path / "inputs", "--count", 2)
    assert result.exit_code == 0, result.stderr
    folders = sorted((tmp_path / "inputs").iterdir())
    assert [folder.name.split("-")[0] for folder in folders] == ["V_B", "V_N"]
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == {"INCAR", "KPOINTS", "POSCAR", "POTCAR.spec"}
        assert "ENCUT = 450" in (folder / "INCAR").read_text()
    assert result.stdout.split() == list(map(str, folders))


def test_without_a_folder_they_are_shown(tmp_path, invoke):
    (tmp_path / "c.yaml").write_text(f"{CAMPAIGN}engine: {{name: vasp, cores: 4}}\n")
    result = invoke("vasp-inputs", tmp_path / "c.yaml")
    assert result.exit_code == 0, result.stderr
    files = [line.rpartition(" ")[2] for line in result.stdout.splitlines() if line.startswith("# V_B-")]
    assert files == ["INCAR", "KPOINTS", "POTCAR.spec"]
    assert "ENCUT = 500.0\n" in result.stdout
    assert result.stderr == ""


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib, asked by pymatgen
def test_the_inputs_of_elements_are_written_beside_them(tmp_path, invoke):
    (tmp_path / "c.yaml").write_text(f"{CAMPAIGN}engine: {{name: vasp}}\nelements: {{kpoint_density: 64}}\n")
    result = invoke("vasp-inputs", tmp_path / "c.yaml", "--dir", tmp_path / "inputs", "--elements")
    assert result.exit_code == 0, result.stderr
    assert sorted(folder.name.split("-")[0] for folder in (tmp_path / "inputs").iterdir()) == ["B", "C", "N", "V_B"]
    assert "ISIF = 3\n" in (tmp_path / "inputs" / "B" / "INCAR").read_text()
    grids = [(tmp_path / "inputs" / name / "KPOINTS").read_text().splitlines()[3] for name in ("B", "N")]
    assert grids == ["5 5 5", "1 1 1"]


def test_of_a_campaign_with_another_engine_the_defaults_are_shown(tmp_path, invoke):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    result = invoke("vasp-inputs", tmp_path / "c.yaml")
    assert result.exit_code == 0, result.stderr
    assert "engine: {name: vasp}" in result.stderr
    assert "EDIFFG = -0.01\n" in result.stdout


def test_a_charge_sets_the_electrons(tmp_path, invoke, monkeypatch):
    (tmp_path / "c.yaml").write_text(f"{CAMPAIGN}engine: {{name: vasp}}\n")
    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", str(write_potcars(tmp_path, ["B", "C", "N"])))
    result = invoke("vasp-inputs", tmp_path / "c.yaml", "--charge", 1)
    assert result.exit_code == 0, result.stderr
    n_atoms = 36
    assert f"NELECT = {VALENCES['B'] * (n_atoms - 1) + VALENCES['N'] * n_atoms - 1}.0\n" in result.stdout


def test_a_charge_without_potcars_says_how_to_set_them_up(tmp_path, invoke, monkeypatch):
    (tmp_path / "c.yaml").write_text(f"{CAMPAIGN}engine: {{name: vasp, potcars: {{B: B_h}}}}\n")
    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", str(write_potcars(tmp_path, ["N"])))
    result = invoke("vasp-inputs", tmp_path / "c.yaml", "--charge", 1)
    assert result.exit_code == 2
    assert "There is no POTCAR B_h for B in the set PBE_54" in result.stderr
    assert "PMG_VASP_PSP_DIR" in result.stderr
