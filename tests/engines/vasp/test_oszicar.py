from __future__ import annotations

import io

import pytest
from pymatgen.io.vasp import Oszicar

from definet_flows.engines.vasp.outputs.oszicar import read_oszicar

HEAD = "       N       E                     dE             d eps       ncg     rms          rms(c)\n"
ELECTRONIC = "DAV: {n:3d}    -0.148934566745E+03   -0.14893E+03   -0.10E+04   512   0.18E+03\n"
IONIC = "   1 F= -.14792914E+03 E0= -.14790000E+03  d E =-.147929E+03{rest}\n"


def read_text(text):
    return read_oszicar(io.BytesIO(text.encode()))


def test_figures_are_those_that_pymatgen_reads(finished):
    with (finished / "OSZICAR").open("rb") as content:
        report = read_oszicar(content)
    theirs = Oszicar(finished / "OSZICAR")
    assert [step.energy for step in report.steps] == [step["E0"] for step in theirs.ionic_steps]
    assert [step.electronic_steps for step in report.steps] == [len(steps) for steps in theirs.electronic_steps]
    assert report.total_moment == theirs.ionic_steps[-1]["mag"]
    assert (report.unfinished, report.flaw) == (0, None)


def test_a_file_cut_anywhere_gives_its_finished_steps(finished):
    whole = (finished / "OSZICAR").read_bytes()
    every = read_oszicar(io.BytesIO(whole)).steps
    for end in range(0, len(whole), 97):
        report = read_oszicar(io.BytesIO(whole[:end]))
        assert report.steps == every[: len(report.steps)]
        counted = sum(step.electronic_steps for step in report.steps) + report.unfinished
        assert counted <= whole[:end].count(b"DAV:")
        assert counted >= whole[:end].count(b"DAV:") - 1


@pytest.mark.parametrize(
    ("rest", "moment"),
    [("", None), ("  mag=    -2.0000", -2.0), ("  mag=     1.0000     2.0000     2.0000", 3.0), ("  mag= *****", None)],
)
def test_moments(rest, moment):
    assert read_text(HEAD + ELECTRONIC.format(n=1) + IONIC.format(rest=rest)).total_moment == moment


@pytest.mark.parametrize("algorithm", ["DAV", "RMM", "CG ", "SDA", "DMP"])
def test_every_algorithm_counts(algorithm):
    lines = "".join(ELECTRONIC.format(n=n).replace("DAV", algorithm) for n in (1, 2, 3))
    assert read_text(HEAD + lines + IONIC.format(rest="")).steps[0].electronic_steps == 3


def test_numbers_that_are_none():
    report = read_text(IONIC.format(rest="").replace("-.14790000E+03", "-.1479+103"))
    assert report.steps[0].energy == -0.1479e103
    assert read_text(IONIC.format(rest="").replace("-.14790000E+03", "***")).steps[0].energy is None
