from __future__ import annotations

import pytest

from definet_flows.engines.vasp.outputs.attempts import AttemptFigures
from definet_flows.engines.vasp.outputs.physics import charge_of, functional_of, physics_of, untold
from definet_flows.engines.vasp.outputs.runs import read_run
from definet_flows.errors import InputError
from tests import vasp_runs

PBE = {"Mo": "PAW_PBE Mo_pv 04Feb2005", "S": "PAW_PBE S 06Sep2000"}


def figures(parameters=None, potcars=PBE, **incar):
    return AttemptFigures(source=".", incar={"NSW": 100} | incar, parameters=parameters or {}, potcars=potcars)


def test_the_files_tell_the_same_whichever_are_left(run_copy, finished):
    whole = physics_of(read_run(finished).first)
    assert None not in whole.values()
    (run_copy / "vasprun.xml").unlink()
    assert physics_of(read_run(run_copy).first) == whole, "from INCAR, KPOINTS, POSCAR and OUTCAR"
    (run_copy / "OUTCAR").unlink()
    assert physics_of(read_run(run_copy).first) == whole, "and POTCAR"


def test_the_settings_are_those_before_any_correction(run_copy, finished):
    for name in ("vasprun.xml", "OUTCAR"):
        vasp_runs.cut(run_copy / name, 0.5)
    vasp_runs.pack_as_error(run_copy)
    vasp_runs.write_inputs(run_copy, read_structure(run_copy), POTIM=0.1)
    vasp_runs.run_standin(run_copy)
    run = read_run(run_copy)
    assert len(run.attempts) == 2
    assert physics_of(run.first) == physics_of(read_run(finished).first)
    assert physics_of(run.last) != physics_of(run.first)


def read_structure(folder):
    from pymatgen.core import Structure

    return Structure.from_file(folder / "POSCAR")


@pytest.mark.parametrize(
    "other",
    [
        {"ALGO": "Fast"},
        {"NCORE": 8, "KPAR": 2, "NSIM": 4},
        {"NSW": 500, "NELM": 40},
        {"LWAVE": True, "LCHARG": True, "SYSTEM": "a test"},
        {"MAGMOM": [5.0, 0.0]},
        {"PREC": "Accurate"},
        {"PREC": "A", "LREAL": ".FALSE."},
        {"GGA": "Pe"},
        {"SIGMA": 0.2, "ISMEAR": 1},
        {"IVDW": 0, "LHFCALC": False, "METAGGA": "--"},
    ],
)
def test_what_changes_no_result_changes_no_hash(other):
    plain = figures(PREC="accurate", LREAL=False, ENCUT=500)
    physics = physics_of(figures(**({"PREC": "accurate", "LREAL": False, "ENCUT": 500.0} | other)))
    if other.get("LREAL") == ".FALSE.":
        physics["incar"]["LREAL"] = False  # INCAR's readers give a truth value
    assert physics == physics_of(plain)


@pytest.mark.parametrize(
    "other",
    [
        *(
            {"ENCUT": 520},
            {"EDIFF": 1e-5},
            {"EDIFFG": -0.02},
            {"ISPIN": 1},
            {"GGA": "PS"},
            {"IVDW": 11},
            {"PREC": "Normal"},
        ),
        *({"IBRION": 1}, {"POTIM": 0.1}, {"LHFCALC": True}, {"METAGGA": "R2SCAN"}, {"LDAU": True}, {"LASPH": True}),
    ],
)
def test_what_changes_results_changes_the_hash(other):
    plain = {"PREC": "accurate", "ENCUT": 500, "EDIFFG": -0.01, "ISPIN": 2, "IBRION": 2}
    assert physics_of(figures(**(plain | other))) != physics_of(figures(**plain))


def test_other_potentials_are_other_physics():
    assert physics_of(figures(potcars=PBE | {"Mo": "PAW_PBE Mo_sv 02Feb2006"})) != physics_of(figures())
    assert physics_of(figures(potcars={})) != physics_of(figures()), "not known is not the same"


def test_the_cutoff_of_the_potentials_is_taken_from_the_parameters():
    assert physics_of(figures({"ENMAX": 280.0}))["incar"]["ENCUT"] == 280.0
    assert physics_of(figures({"ENMAX": 280.0}, ENCUT=400))["incar"]["ENCUT"] == 400.0


@pytest.mark.parametrize(
    ("incar", "name"),
    [
        ({}, "PBE"),
        ({"GGA": "PS"}, "PBEsol"),
        ({"IVDW": 11}, "PBE+D3"),
        ({"IVDW": 12, "LDAU": True}, "PBE+U+D3(BJ)"),
        ({"METAGGA": "R2scan"}, "r2SCAN"),
        ({"METAGGA": "SCAN", "LUSE_VDW": True}, "SCAN+vdW-DF"),
        ({"LHFCALC": True, "HFSCREEN": 0.2}, "HSE06"),
        ({"LHFCALC": True}, "PBE0"),
        ({"LHFCALC": True, "AEXX": 0.3, "HFSCREEN": 0.2}, "hybrid (AEXX 0.3, HFSCREEN 0.2)"),
        ({"LSORBIT": True}, "PBE+SOC"),
    ],
)
def test_functionals_by_name(incar, name):
    assert functional_of(figures(**incar)) == name


def test_a_functional_that_nothing_tells_has_no_name():
    assert functional_of(figures(potcars={})) is None
    assert functional_of(figures(potcars={"Mo": "PAW Mo 02Feb2006"})) == "LDA"


def test_what_nothing_tells_is_named():
    assert untold(physics_of(AttemptFigures(source="."))) == ["incar", "kpoints", "potcars", "lattice"]
    assert untold(physics_of(figures(potcars={}))) == ["kpoints", "potcars", "lattice", "ENCUT", "GGA", "IBRION"]
    assert "ENCUT" not in untold(physics_of(figures({"ENMAX": 280.0})))


def test_charge_is_what_the_neutral_cell_has_more_than_the_run():
    told = AttemptFigures(source=".", parameters={"NELECT": 161.0}, valence_electrons=162.0)
    assert charge_of(told) == 1
    assert charge_of(AttemptFigures(source=".")) == 0
    with pytest.raises(InputError, match="NELECT is set"):
        charge_of(AttemptFigures(source=".", incar={"NELECT": 161.0}))
    with pytest.raises(InputError, match="no whole number"):
        charge_of(AttemptFigures(source=".", parameters={"NELECT": 161.5}, valence_electrons=162.0))
