"""Phases relaxed by the stand-in for VASP: the inputs are real, the energies say nothing about a material."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Incar, Kpoints

from definet_flows.engines import VaspEngine
from definet_flows.engines.elements import crystal_phase, elemental_phase, own_density, relax_phase
from definet_flows.engines.elements.vasp import PhaseJob
from definet_flows.engines.vasp.inputs.sets import input_texts
from definet_flows.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib, asked by pymatgen

PINNED = Path(__file__).with_name("pinned.txt")
"""INCAR, KPOINTS and POTCAR.spec of tungsten and of the oxygen molecule."""

DENSITY = 20.0
"""Å³; coarse, for the stand-in knows no k-points."""

BOND = 2 * 1.31
"""Å, between copper atoms of the stand-in; copper starts at 2.55 Å."""


def runs_of(engine):
    return sorted(engine.directory.iterdir())


@pytest.fixture
def copper(engine):
    """Copper relaxed with its cell."""
    made = engine(user_incar_settings={"ENCUT": 420}, rattle=0.1, dipole=True)
    return made, relax_phase(made, elemental_phase("Cu"), DENSITY)


def test_a_metal_is_relaxed_with_its_cell_and_again_from_there(copper):
    engine, outcome = copper
    assert (outcome.converged, outcome.error) == (True, None)
    assert np.linalg.norm(outcome.lattice, axis=1) == pytest.approx(BOND, rel=0.005)
    first, second = (
        Structure.from_file(run / "POSCAR.gz") for run in sorted(runs_of(engine), key=lambda run: run.stat().st_mtime)
    )
    assert first.volume == pytest.approx(3.61**3 / 4, rel=1e-3)
    assert second.volume == pytest.approx(abs(np.linalg.det(outcome.lattice)), rel=0.01)
    assert outcome.ionic_steps >= 3
    assert outcome.core_hours > 0


def test_the_level_is_that_of_the_supercells_and_the_k_points_its_own(copper):
    engine, outcome = copper
    run = runs_of(engine)[0]
    incar = dict(Incar.from_file(run / "INCAR.gz"))
    shared = ("GGA", "ENCUT", "EDIFF", "EDIFFG", "ISMEAR", "SIGMA", "ISPIN", "LASPH", "PREC", "LMAXMIX")
    assert {key: incar[key] for key in shared} == {key: engine.incar[key] for key in shared} | {"GGA": "Pe"}
    assert (incar["ISIF"], incar["ISYM"], incar["LREAL"]) == (3, 2, False)
    assert "LDIPOL" not in incar
    assert "PAW_PBE Cu_pv" in gzip.decompress((run / "POTCAR.gz").read_bytes()).decode()
    assert Kpoints.from_file(run / "KPOINTS.gz").kpts[0] == outcome.kpoints == (7, 7, 7)


def test_the_inputs_are_these_and_no_more():
    inputs = [
        PhaseJob.first(VaspEngine(cores=32), elemental_phase(each), d).inputs(None)
        for each, d in (("W", 200), ("O", None))
    ]
    parts = [f"# {name}\n{text}" for one in inputs for name, text in input_texts(one).items() if name != "POSCAR"]
    assert "\n".join(parts) == PINNED.read_text()


def test_what_has_ended_is_read_and_what_was_killed_goes_on(engine):
    made = engine([{"do": "signal", "after": 1, "times": 1}])
    killed = relax_phase(made, elemental_phase("Cu"), DENSITY)
    assert (killed.converged, killed.energy_per_atom) == (False, None)
    assert "Cu-fcc-Cu" in killed.error
    finished = relax_phase(made, elemental_phase("Cu"), DENSITY)
    assert finished.converged
    assert len(runs_of(made)) == 2
    assert any(path.name.startswith("launch-1") for run in runs_of(made) for path in run.iterdir())
    again = relax_phase(engine(vasp_cmd="no-such-program", directory=made.directory), elemental_phase("Cu"), DENSITY)
    assert again == finished


def test_a_molecule_keeps_its_box_at_the_gamma_point(engine):
    phase = elemental_phase("N")
    made = engine()
    assert own_density(made, phase, DENSITY) is None
    outcome = relax_phase(made, phase, None)
    assert outcome.kpoints == (1, 1, 1)
    assert np.array(outcome.lattice) == pytest.approx(12 * np.eye(3))
    (run,) = runs_of(made)
    assert Incar.from_file(run / "INCAR.gz")["ISIF"] == 2


def test_a_compound_is_relaxed_from_a_file(engine, tmp_path):
    half = Lattice([[0, 1.85, 1.85], [1.85, 0, 1.85], [1.85, 1.85, 0]])
    conventional = Structure(half, ["Ni", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]]) * (2, 1, 1)
    conventional.to(filename=str(tmp_path / "NiAl.cif"))
    phase = crystal_phase(tmp_path / "NiAl.cif")
    assert (phase.element, phase.name, len(phase.structure)) == ("AlNi", "Fm-3m AlNi", 2)
    outcome = relax_phase(engine(), phase, DENSITY)
    assert outcome.converged, outcome.error


def test_a_phase_of_an_element_may_come_from_a_file(tmp_path):
    conventional = elemental_phase("Cu").structure.to_conventional()
    conventional.to(filename=str(tmp_path / "Cu.cif"))
    phase = crystal_phase(tmp_path / "Cu.cif")
    assert (phase.element, phase.name, phase.source, len(phase.structure)) == ("Cu", "Fm-3m Cu", "Cu.cif", 1)


def test_vasp_that_is_missing_is_told(engine):
    with pytest.raises(InputError, match="VASP cannot be started: there is no command 'no-such-program'"):
        relax_phase(engine(vasp_cmd="no-such-program"), elemental_phase("Cu"), DENSITY)
