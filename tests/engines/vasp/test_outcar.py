from __future__ import annotations

import io
from pathlib import Path

import ase.test
import numpy as np
import pytest
from pymatgen.io.vasp import Outcar

from definet_flows.engines.vasp.outputs.outcar import read_outcar
from definet_flows.engines.vasp.outputs.vasprun import read_vasprun

WRITTEN_BY_VASP = Path(ase.test.__file__).parent / "testdata" / "vasp" / "OUTCAR_example_1"
NEEDS_THEM = pytest.mark.skipif(not WRITTEN_BY_VASP.exists(), reason="this ASE came without its test data")


def read(path):
    with path.open("rb") as content:
        return read_outcar(content)


def read_text(text):
    return read_outcar(io.BytesIO(text.encode()))


@pytest.fixture(
    scope="module", params=[pytest.param("written by VASP 5.3", marks=NEEDS_THEM), "written by the stand-in"]
)
def outcar(request, finished):
    return WRITTEN_BY_VASP if request.param == "written by VASP 5.3" else finished / "OUTCAR"


def test_figures_are_those_that_pymatgen_reads(outcar):
    report, theirs = read(outcar), Outcar(outcar)
    assert report.cores == theirs.run_stats["cores"]
    assert report.elapsed == theirs.run_stats["Elapsed time (sec)"]
    assert report.cpu_seconds == theirs.run_stats["Total CPU time used (sec)"]
    assert report.memory_kb == theirs.run_stats["Maximum memory used (kb)"]
    assert report.total_moment == pytest.approx(theirs.total_mag)
    assert report.steps[-1].energy == pytest.approx(theirs.final_energy)
    pattern = {"forces": r"POSITION\s+TOTAL-FORCE"}
    theirs.read_pattern(pattern)
    assert len(report.steps) == len(theirs.data["forces"])
    rows = theirs.read_table_pattern(
        r"TOTAL-FORCE \(eV/Angst\)\s*\n\s*-+\n", r"\s*" + r"\s+".join([r"([-+.\d]+)"] * 6), r"\s*-+", postprocess=float
    )
    table = np.array(rows)
    assert report.steps[-1].max_force == pytest.approx(np.linalg.norm(table[:, 3:], axis=1).max())
    assert np.allclose(report.final_positions, table[:, :3])
    assert report.ended
    assert report.flaw is None


@NEEDS_THEM
def test_the_file_that_vasp_wrote_in_full():
    report = read(WRITTEN_BY_VASP)
    assert (report.version, report.cores, report.valence_electrons) == ("5.3.3", 512, 180.0)
    assert report.parameters["NELECT"] == 180.0
    assert report.potcars == {"Ni": "PAW_PBE Ni 02Aug2007"}
    assert [(step.electronic_steps, step.electronic_converged) for step in report.steps] == [(63, True)]
    assert report.loops == pytest.approx(110.13)


def test_steps_are_those_of_vasprun(finished):
    with (finished / "vasprun.xml").open("rb") as content:
        theirs = read_vasprun(content)
    ours = read(finished / "OUTCAR")
    assert [step.electronic_steps for step in ours.steps] == [step.electronic_steps for step in theirs.steps]
    assert [step.energy for step in ours.steps] == pytest.approx([step.energy for step in theirs.steps])
    assert [step.max_force for step in ours.steps] == pytest.approx([step.max_force for step in theirs.steps], abs=2e-6)
    assert ours.reached


def test_a_file_cut_anywhere_gives_its_finished_steps(finished):
    whole = (finished / "OUTCAR").read_bytes()
    every = read(finished / "OUTCAR").steps
    for share in np.linspace(0, 0.97, 34):
        report = read_outcar(io.BytesIO(whole[: int(share * len(whole))]))
        assert report.flaw
        assert not report.ended
        assert [step.energy for step in report.steps] == [step.energy for step in every[: len(report.steps)]]
        assert report.elapsed is None
    assert len(report.steps) >= len(every) - 2


@pytest.mark.parametrize(
    ("line", "cores"),
    [
        (" running on  512 total cores", 512),
        (" running   64 mpi-ranks, with    2 threads/rank, on    1 nodes", 128),
        (" running    8 mpi-ranks, on    1 nodes", 8),
        (" serial version", 1),
    ],
)
def test_cores_in_the_words_of_every_version(line, cores):
    assert read_text(line + "\n").cores == cores


def test_the_moment_of_spins_that_are_not_collinear_is_its_length():
    line = " number of electron     180.0000000 magnetization       1.0000000       2.0000000       2.0000000\n"
    assert read_text(line).total_moment == pytest.approx(3.0)
    assert read_text(" number of electron     180.0000000 magnetization \n").total_moment is None


def step(electronic, said=""):
    iterations = "".join(f"------- Iteration      1({n:4d})  -------\n" for n in range(1, electronic + 1))
    return f"   NELM   =     60;\n{iterations}{said}  energy  without entropy=  -1.0  energy(sigma->0) =  -1.5\n"


def test_an_unfinished_self_consistency_cycle_is_told_in_either_way():
    said = "---- aborting loop EDIFF was not reached (unconverged)  ----\n"
    assert read_text(step(5, said)).steps[0].electronic_converged is False
    assert read_text(step(60)).steps[0].electronic_converged is False  # older versions say nothing
    assert read_text(step(5, "---- aborting loop because EDIFF is reached ----\n")).steps[0].electronic_converged


def test_a_force_of_stars_is_no_number():
    table = "     0.00000      0.00000      0.00000         0.030415     *********     -0.460114\n"
    text = f" POSITION    TOTAL-FORCE (eV/Angst)\n ------\n{table} ------\n{step(3)}"
    assert read_text(text).steps[0].max_force is None


def test_stars_are_no_number():
    text = "  energy  without entropy= ******** energy(sigma->0) = ********\n Elapsed time (sec):  ********\n"
    report = read_text(text)
    assert report.steps[0].energy is report.elapsed is None
