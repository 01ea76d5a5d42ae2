from __future__ import annotations

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


def test_a_campaign_with_another_engine_is_refused(tmp_path, invoke):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    result = invoke("vasp-inputs", tmp_path / "c.yaml", "--dir", tmp_path / "inputs")
    assert result.exit_code == 2
    assert "engine: {name: vasp}" in result.stderr
