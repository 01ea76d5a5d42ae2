from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path

import ase.test
import numpy as np
import pytest
from pymatgen.io.vasp import Vasprun

from definet_flows.engines.vasp.outputs.vasprun import read_vasprun

WRITTEN_BY_VASP = Path(ase.test.__file__).parent / "testdata" / "vasp"
NEEDS_THEM = pytest.mark.skipif(not WRITTEN_BY_VASP.exists(), reason="this ASE came without its test data")


def by_pymatgen(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of POTCARs that are not there
        return Vasprun(path, parse_potcar_file=False, parse_dos=False, parse_eigen=False)


def read(path):
    with path.open("rb") as content:
        return read_vasprun(content)


def assert_agrees(report, theirs):
    assert report.flaw is None
    assert report.ended
    assert [step.electronic_steps for step in report.steps] == [len(s["electronic_steps"]) for s in theirs.ionic_steps]
    forces = [np.linalg.norm(step["forces"], axis=1).max() for step in theirs.ionic_steps]
    assert [step.max_force for step in report.steps] == pytest.approx(forces)
    assert report.steps[-1].energy == pytest.approx(float(theirs.final_energy), abs=1e-8)
    assert report.steps[-1].electronic_converged == theirs.converged_electronic
    assert report.version == theirs.vasp_version
    assert report.initial.species == tuple(theirs.atomic_symbols)
    assert np.allclose(report.initial.frac_coords, theirs.initial_structure.frac_coords)
    assert np.allclose(report.final.lattice, theirs.structures[-1].lattice.matrix)
    assert report.parameters["ENMAX" if "ENMAX" in report.parameters else "ENCUT"] == pytest.approx(
        theirs.parameters.get("ENMAX", theirs.parameters.get("ENCUT"))
    )


@NEEDS_THEM
@pytest.mark.parametrize("name", ["vasprun_pstress.xml", "vasprun_dfpt.xml"])
def test_files_that_vasp_wrote_are_read_as_pymatgen_reads_them(name):
    report = read(WRITTEN_BY_VASP / name)
    assert_agrees(report, by_pymatgen(WRITTEN_BY_VASP / name))
    assert report.valence_electrons == report.parameters["NELECT"]


def test_a_relaxation_is_read_as_pymatgen_reads_it(finished):
    report, theirs = read(finished / "vasprun.xml"), by_pymatgen(finished / "vasprun.xml")
    assert_agrees(report, theirs)
    assert len(report.steps) > 5
    assert np.allclose(report.final.frac_coords, theirs.final_structure.frac_coords)
    assert report.potcars == {"Mo": "PAW_PBE Mo 01Jan2000", "S": "PAW_PBE S 01Jan2000"}
    assert report.kpoints == {"divisions": [1, 1, 1], "shift": [0.0, 0.0, 0.0]}


def test_a_file_cut_anywhere_gives_its_finished_steps(finished):
    whole = (finished / "vasprun.xml").read_bytes()
    every = read(finished / "vasprun.xml").steps
    for share in np.linspace(0, 0.99, 34):
        part = whole[: int(share * len(whole))]
        report = read_vasprun(io.BytesIO(part))
        assert report.flaw
        assert not report.ended
        assert report.steps == every[: part.count(b"</calculation>")]


def test_self_consistency_steps_of_an_unfinished_ionic_step_are_counted(finished):
    whole = (finished / "vasprun.xml").read_bytes()
    third = [place for place in range(len(whole)) if whole.startswith(b"</scstep>", place)][9]
    report = read_vasprun(io.BytesIO(whole[: third + 9]))
    assert (len(report.steps), report.unfinished) == (1, 2)


def test_damage_in_the_middle_keeps_what_comes_before(finished):
    whole = bytearray((finished / "vasprun.xml").read_bytes())
    half = len(whole) // 2
    whole[half : half + 40] = b"\x00" * 40
    report = read_vasprun(io.BytesIO(bytes(whole)))
    assert "line" in report.flaw
    assert report.steps == read(finished / "vasprun.xml").steps[: len(report.steps)]
    assert report.steps


def document(calculation, head=""):
    return f"<modeling>{head}<calculation>{calculation}</calculation></modeling>".encode()


def energies(free, zero):
    return f'<energy><i name="e_fr_energy">{free}</i><i name="e_0_energy">{zero}</i></energy>'


def test_the_energy_without_smearing_is_not_the_wrong_one_of_the_ionic_step():
    text = document(f"<scstep>{energies(-10.2, -10.1)}</scstep>{energies(-10.25, -10.25)}")
    assert read_vasprun(io.BytesIO(text)).steps[0].energy == pytest.approx(-10.15)
    assert read_vasprun(io.BytesIO(document(energies(-10.25, -10.2)))).steps[0].energy == -10.2


def test_stars_in_place_of_a_number_are_no_number():
    assert read_vasprun(io.BytesIO(document(energies("*****", "*****")))).steps[0].energy is None


def test_atoms_that_are_held_fixed_do_not_count_as_forces():
    fixed = '<varray name="selective"><v>T T T</v><v>T F T</v></varray>'
    cell = '<crystal><varray name="basis"><v>1 0 0</v><v>0 1 0</v><v>0 0 1</v></varray></crystal>'
    positions = '<varray name="positions"><v>0 0 0</v><v>.5 .5 .5</v></varray>'
    head = f'<structure name="initialpos">{cell}{positions}{fixed}</structure>'
    forces = '<varray name="forces"><v>0.1 0 0</v><v>0 9 0.3</v></varray>'
    assert read_vasprun(io.BytesIO(document(forces, head))).steps[0].max_force == pytest.approx(0.3)


MEASURED = """
import resource, sys
from definet_flows.engines.vasp.outputs.vasprun import read_vasprun
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open(sys.argv[1], "rb") as content:
    read_vasprun(content)  # a small file first: what is imported and kept for good
before = peak()
with open(sys.argv[2], "rb") as content:
    report = read_vasprun(content)
print(len(report.steps), peak() - before)
"""


@pytest.mark.slow
def test_a_large_file_is_read_in_a_fraction_of_its_size(finished, tmp_path):
    """60 MB, most of them eigenvalues and projections, in a process whose memory grows by less than a tenth of that."""
    small = (finished / "vasprun.xml").read_text()
    head, rest = small.split("<calculation>", 1)
    calculation = rest.split("</calculation>", 1)[0]
    row = "       <r>    0.0000    0.0012    0.0034    0.0000    0.0110    0.0000    0.0023    0.0001    0.0002 </r>\n"
    projections = f'<projected><array><set><set comment="spin1">{row * 29_000}</set></set></array></projected>'
    large = tmp_path / "vasprun.xml"
    with large.open("w") as file:
        file.write(head)
        for _ in range(20):
            file.write(f"<calculation>{calculation}{projections}</calculation>")
        file.write("</modeling>")
    kilobytes = large.stat().st_size / 1024
    assert kilobytes > 55_000
    command = [sys.executable, "-c", MEASURED, str(finished / "vasprun.xml"), str(large)]
    steps, grown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout.split()
    assert int(steps) == 20
    assert int(grown) < kilobytes / 10
