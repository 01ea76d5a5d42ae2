"""The stand-in is accepted by those who read VASP's files, and keeps VASP's rules."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from custodian.vasp.handlers import VaspErrorHandler
from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator
from emmet.core.tasks import TaskDoc
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Incar, Kpoints, Oszicar, Outcar, Poscar, Vasprun, Xdatcar

from tests.vasp_standin.potcars import FORM, VALENCES

# pymatgen and emmet, of POTCARs they do not know and of each other.
pytestmark = pytest.mark.filterwarnings("ignore")
STANDIN = Path(__file__).resolve().parents[2] / "vasp_standin"


def prepare(folder, **settings):
    cell = Structure(Lattice.cubic(3.61), ["Cu"] * 4, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    atoms = cell * (2, 2, 2)
    atoms.replace(5, "Al")
    atoms.remove_sites([0])
    atoms = atoms.get_sorted_structure()
    Poscar(atoms).write_file(folder / "POSCAR")
    Kpoints.gamma_automatic().write_file(folder / "KPOINTS")
    incar = {"IBRION": 2, "NSW": 60, "EDIFFG": -0.01, "ISPIN": 2, "MAGMOM": [0.6] * 31, "NELM": 60, "LORBIT": 11}
    Incar(incar | settings).write_file(folder / "INCAR")
    texts = [FORM.format(symbol=one, element=one, valence=float(VALENCES[one])) for one in ("Al", "Cu")]
    (folder / "POTCAR").write_text("".join(texts))
    return atoms


def run(folder, rules=()):
    environment = dict(os.environ)
    environment.pop("VASP_STANDIN", None)
    if rules:
        (folder / "rules.json").write_text(json.dumps([{"where": "", **rule} for rule in rules]))
        environment["VASP_STANDIN"] = str(folder / "rules.json")
    with (folder / "vasp.out").open("w") as out, (folder / "std_err.txt").open("w") as errors:
        command = [sys.executable, str(STANDIN)]
        return subprocess.run(command, cwd=folder, env=environment, stdout=out, stderr=errors, check=False).returncode


@pytest.mark.parametrize("ibrion", [1, 2, 3])
def test_every_optimiser_reaches_the_same_minimum_by_vasps_rule(tmp_path, ibrion):
    prepare(tmp_path, IBRION=ibrion, EDIFFG=-0.001)
    assert run(tmp_path) == 0
    vasprun = Vasprun(tmp_path / "vasprun.xml", parse_potcar_file=False)
    largest = [np.linalg.norm(step["forces"], axis=1).max() for step in vasprun.ionic_steps]
    assert vasprun.converged
    assert largest[-1] < 0.001
    assert min(largest[:-1]) >= 0.001
    assert float(vasprun.final_energy) == pytest.approx(-118.85206, abs=2e-5)


def test_all_files_tell_the_same(tmp_path):
    atoms = prepare(tmp_path)
    run(tmp_path)
    vasprun, outcar = Vasprun(tmp_path / "vasprun.xml", parse_potcar_file=False), Outcar(tmp_path / "OUTCAR")
    oszicar, xdatcar = Oszicar(tmp_path / "OSZICAR"), Xdatcar(tmp_path / "XDATCAR")
    n_steps = len(vasprun.ionic_steps)
    assert len(oszicar.ionic_steps) == len(xdatcar.structures) == n_steps > 3
    assert float(oszicar.final_energy) == pytest.approx(outcar.final_energy, abs=1e-4)
    assert [len(one) for one in oszicar.electronic_steps] == [
        len(one["electronic_steps"]) for one in vasprun.ionic_steps
    ]
    assert (outcar.run_stats["cores"], outcar.total_mag, vasprun.run_type) == (1, 0.0, "PBE")
    final = Structure.from_file(tmp_path / "CONTCAR")
    assert np.allclose(final.frac_coords, vasprun.final_structure.frac_coords, atol=1e-7)
    assert [site.specie for site in final] == [site.specie for site in atoms]
    assert not VasprunXMLValidator().check(str(tmp_path))
    assert not VaspFilesValidator().check(str(tmp_path))


def test_emmet_makes_a_document_of_it(tmp_path):
    prepare(tmp_path)
    run(tmp_path)
    document = TaskDoc.from_directory(tmp_path)
    assert document.state.value == "successful"
    assert document.run_stats["overall"].cores == 1
    assert document.output.energy == pytest.approx(-118.85, abs=0.01)


def test_nsw_ends_an_unconverged_run_and_stopcar_any(tmp_path):
    prepare(tmp_path, NSW=3)
    run(tmp_path)
    vasprun = Vasprun(tmp_path / "vasprun.xml", parse_potcar_file=False)
    assert (len(vasprun.ionic_steps), vasprun.converged_ionic) == (3, False)
    prepare(tmp_path)
    (tmp_path / "STOPCAR").write_text("LSTOP = .TRUE.\n")
    run(tmp_path)
    assert len(Oszicar(tmp_path / "OSZICAR").ionic_steps) == 1
    assert Outcar(tmp_path / "OUTCAR").is_stopped
    assert not (tmp_path / "STOPCAR").exists()


def test_a_single_point_moves_nothing(tmp_path):
    atoms = prepare(tmp_path, NSW=0, IBRION=-1)
    run(tmp_path)
    assert len(Oszicar(tmp_path / "OSZICAR").ionic_steps) == 1
    assert np.allclose(Structure.from_file(tmp_path / "CONTCAR").frac_coords, atoms.frac_coords)


@pytest.mark.parametrize(
    ("rule", "code", "steps"),
    [
        ({"do": "signal", "after": 2}, -signal.SIGKILL, 2),
        ({"do": "exit", "number": 3, "after": 1}, 3, 1),
        ({"do": "print", "text": "ZBRENT: fatal error in bracketing", "after": 3}, 1, 3),
        ({"do": "diverge"}, 0, 60),
    ],
)
def test_misbehaviour_leaves_the_steps_until_then(tmp_path, rule, code, steps):
    prepare(tmp_path)
    assert run(tmp_path, [rule]) == code
    assert len(Oszicar(tmp_path / "OSZICAR").ionic_steps) == steps


def test_custodian_knows_the_errors_that_are_printed(tmp_path):
    prepare(tmp_path)
    run(tmp_path, [{"do": "print", "text": "ZBRENT: fatal error in bracketing", "after": 1}])
    handler = VaspErrorHandler()
    assert handler.check(str(tmp_path))
    assert handler.errors == {"zbrent"}


def test_a_rule_may_apply_to_the_first_starts_only(tmp_path):
    prepare(tmp_path)
    rules = [{"do": "exit", "times": 2}]
    assert [run(tmp_path, rules) for _ in range(3)] == [1, 1, 0]


@pytest.mark.parametrize(("fault", "code"), [("truncate", 0), ("disk full", 1)])
def test_files_cut_short_are_refused_by_custodian(tmp_path, fault, code):
    prepare(tmp_path)
    assert run(tmp_path, [{"do": fault}]) == code
    assert VasprunXMLValidator().check(str(tmp_path))
    assert ("No space left" in (tmp_path / "std_err.txt").read_text()) == (fault == "disk full")


def test_a_hanging_run_writes_nothing_more(tmp_path):
    prepare(tmp_path)
    (tmp_path / "rules.json").write_text(json.dumps([{"where": "", "do": "hang", "after": 2}]))
    environment = os.environ | {"VASP_STANDIN": str(tmp_path / "rules.json")}
    process = subprocess.Popen([sys.executable, str(STANDIN)], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: (tmp_path / "OSZICAR").is_file() and len(Oszicar(tmp_path / "OSZICAR").ionic_steps) == 2)
        time.sleep(0.5)
        assert process.poll() is None
        assert len(Oszicar(tmp_path / "OSZICAR").ionic_steps) == 2
    finally:
        process.kill()
        process.wait()


def wait_for(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen within a minute")
