from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from pymatgen.core import Structure
from pymatgen.io.vasp import Outcar, Vasprun

from definet_flows.engines.vasp.outputs.relaxations import host_positions, relaxation_of
from definet_flows.engines.vasp.outputs.runs import read_run
from definet_flows.errors import InputError
from tests import vasp_runs

pytestmark = pytest.mark.filterwarnings("ignore:No POTCAR file")


@pytest.fixture
def figures(mos2, sulphur_vacancy):
    """The figures of a run whose atoms are in host site order."""

    def read(folder):
        sites = np.flatnonzero(sulphur_vacancy.occupied)
        return relaxation_of(read_run(folder), host_positions(mos2, sites))

    return read


def test_a_finished_run_in_full(finished, figures):
    theirs, outcar = Vasprun(finished / "vasprun.xml", parse_potcar_file=False), Outcar(finished / "OUTCAR")
    found = figures(finished)
    assert (found.converged, found.error, found.ionic_steps) == (True, None, len(theirs.ionic_steps))
    assert found.energy == pytest.approx(float(theirs.final_energy))
    assert found.max_force == pytest.approx(np.linalg.norm(theirs.ionic_steps[-1]["forces"], axis=1).max())
    assert found.max_force_history[-1] == pytest.approx(found.max_force, abs=1e-6)
    assert found.electronic_steps == sum(len(step["electronic_steps"]) for step in theirs.ionic_steps)
    assert found.total_moment == 0
    assert (found.wall_seconds, found.cores) == (outcar.run_stats["Elapsed time (sec)"], 4)
    assert found.core_hours == pytest.approx(found.wall_seconds * 4 / 3600)
    assert found.engine_version == "VASP 6.4.2"
    details = found.details
    assert (details.functional, details.encut, details.electronic_converged) == ("PBE", 500.0, True)
    assert details.cpu_seconds == outcar.run_stats["Total CPU time used (sec)"]
    assert details.memory_gb == pytest.approx(outcar.run_stats["Maximum memory used (kb)"] / 1e6)
    assert details.electronic_steps_history == [len(step["electronic_steps"]) for step in theirs.ionic_steps]
    assert details.energy_history == pytest.approx([step["e_0_energy"] for step in theirs.ionic_steps])
    assert details.directory == str(finished.resolve())
    assert [(attempt.source, attempt.ended) for attempt in details.attempts] == [(".", True)]
    assert (details.corrections, details.caveats) == (None, {})


def test_final_coordinates_are_in_host_site_order(finished, figures, mos2, sulphur_vacancy):
    found = np.array(figures(finished).positions)
    vacant = np.flatnonzero(~sulphur_vacancy.occupied)
    assert np.array_equal(found[vacant], mos2.positions[vacant])
    ours = Structure(
        mos2.lattice, sulphur_vacancy.structure().species, found[sulphur_vacancy.occupied], coords_are_cartesian=True
    )
    final = Vasprun(finished / "vasprun.xml", parse_potcar_file=False).final_structure
    for mine, theirs in zip(ours, final, strict=True):
        assert mine.specie == theirs.specie
        assert mine.distance(theirs) < 1e-5
    assert np.linalg.norm(found - mos2.positions, axis=1).max() < 0.5, "at the image nearest to the site"


def test_compression_changes_nothing(finished, run_copy, figures):
    vasp_runs.compress(run_copy)
    ignored = {"details": {"directory"}}
    assert figures(run_copy).model_dump(exclude=ignored) == figures(finished).model_dump(exclude=ignored)


@pytest.mark.parametrize("missing", [("OUTCAR",), ("vasprun.xml",), ("OSZICAR",), ("vasprun.xml", "OSZICAR")])
def test_other_files_stand_in_for_those_that_are_missing(finished, run_copy, figures, missing):
    for name in missing:
        (run_copy / name).unlink()
    found, whole = figures(run_copy), figures(finished)
    assert (found.converged, found.ionic_steps, found.electronic_steps) == (
        True,
        whole.ionic_steps,
        whole.electronic_steps,
    )
    assert found.energy == pytest.approx(whole.energy)
    assert found.max_force == pytest.approx(whole.max_force, abs=2e-6)
    assert np.allclose(found.positions, whole.positions, atol=2e-5)


def test_without_outcar_there_are_no_core_hours(run_copy, figures):
    (run_copy / "OUTCAR").unlink()
    found = figures(run_copy)
    assert found.cores is found.core_hours is found.details.cpu_seconds is found.details.memory_gb is None
    assert found.details.caveats["core_hours"] == "no OUTCAR tells the number of cores"
    assert "less than all" in found.details.caveats["wall_seconds"]


def test_oszicar_alone_gives_steps_and_energies_and_no_more(run_copy, figures):
    for name in ("vasprun.xml", "OUTCAR", "CONTCAR", "vasp.out"):
        (run_copy / name).unlink()
    found = figures(run_copy)
    assert (
        found.error == f"no file tells whether it converged in its {found.ionic_steps} ionic steps"
        or not found.converged
    )
    assert found.ionic_steps > 5
    assert found.energy < 0
    assert found.max_force is found.positions is found.wall_seconds is found.core_hours is None
    assert found.max_force_history == []
    assert found.details.caveats["wall_seconds"] == "no OUTCAR tells the time"
    assert found.details.caveats["positions"] == "no file has the atoms of the last ionic step"
    assert "max_force_history" in found.details.caveats


def test_a_killed_run_has_failed_with_what_it_did(finished, run_copy, figures):
    for name in ("vasprun.xml", "OUTCAR", "OSZICAR", "vasp.out"):
        vasp_runs.cut(run_copy / name, 0.6)
    found, whole = figures(run_copy), figures(finished)
    assert 3 < found.ionic_steps < whole.ionic_steps
    assert found.error == f"VASP was cut off after {found.ionic_steps} ionic steps"
    assert found.max_force_history == whole.max_force_history[: len(found.max_force_history)]
    assert found.core_hours > 0
    assert "less than all" in found.details.caveats["wall_seconds"]
    assert not found.details.attempts[0].ended


def said_by_several_starts(folder):
    """A standard output to which every start was added, the last one killed; of the other files only the last are left."""
    whole = (folder / "vasp.out").read_bytes()
    for name in ("vasprun.xml", "OUTCAR", "OSZICAR"):
        vasp_runs.cut(folder / name, 0.5)
    (folder / "vasp.out").write_bytes(whole + whole[: len(whole) // 2])


def said_by_an_earlier_start(folder):
    """The standard output of relax1 beside the killed files of what came after it."""
    for name in ("vasprun.xml", "OUTCAR", "OSZICAR"):
        (folder / f"{name}.relax1").write_bytes((folder / name).read_bytes())
        (folder / name).write_bytes((folder / name).read_bytes().replace(b"00:00:00", b"00:01:00"))
        vasp_runs.cut(folder / name, 0.5)


def said_of_steps_that_are_not_on_file(folder):
    for name in ("vasprun.xml", "OUTCAR", "OSZICAR"):
        vasp_runs.cut(folder / name, 0.5)


@pytest.mark.parametrize(
    "left_behind", [said_by_several_starts, said_by_an_earlier_start, said_of_steps_that_are_not_on_file]
)
def test_an_accuracy_that_another_step_reached_is_not_that_of_the_last_on_file(run_copy, figures, left_behind):
    left_behind(run_copy)
    found = figures(run_copy)
    assert b"reached required accuracy" in (run_copy / "vasp.out").read_bytes()
    assert not found.converged
    assert found.error == f"VASP was cut off after {found.ionic_steps} ionic steps"


def test_the_standard_output_tells_that_the_last_step_on_file_reached_it(run_copy, figures):
    for name in ("vasprun.xml", "OUTCAR"):
        (run_copy / name).unlink()
    found = figures(run_copy)
    assert (found.converged, found.max_force) == (True, None)


def test_the_atoms_of_another_step_are_not_those_of_the_last(run_copy, figures):
    for name in ("vasprun.xml", "OUTCAR"):
        vasp_runs.cut(run_copy / name, 0.5)
    whole = figures(run_copy)
    assert "CONTCAR" in whole.details.caveats["positions"]
    (run_copy / "CONTCAR").unlink()
    found = figures(run_copy)
    assert found.energy == whole.energy
    assert found.positions is None
    assert found.details.caveats["positions"] == "no file has the atoms of the last ionic step"


def test_where_one_file_ends_the_next_goes_on(run_copy, finished, figures):
    vasp_runs.cut(run_copy / "vasprun.xml", 0.5)
    found, whole = figures(run_copy), figures(finished)
    assert (found.converged, found.ionic_steps) == (True, whole.ionic_steps)
    assert found.max_force_history == pytest.approx(whole.max_force_history, abs=2e-6)
    assert found.details.caveats["vasprun"].startswith("cut off or damaged at line")


def test_a_run_that_did_nothing_says_why(run_copy, figures):
    for name in ("vasprun.xml", "OUTCAR", "OSZICAR"):
        vasp_runs.cut(run_copy / name, 0.0)
    found = figures(run_copy)
    assert found.ionic_steps == 0
    assert found.error.startswith("VASP finished no ionic step (vasprun: cut off or damaged")
    assert found.energy is found.core_hours is None


def test_the_step_limit_is_not_convergence(sulphur_vacancy, tmp_path, figures):
    found = figures(vasp_runs.relaxed(tmp_path / "run", sulphur_vacancy.structure(), NSW=4))
    assert (found.converged, found.error, found.ionic_steps) == (False, None, 4)
    assert found.max_force > 0.01


def test_an_energy_criterion_is_judged_by_energies(sulphur_vacancy, tmp_path, figures):
    assert figures(vasp_runs.relaxed(tmp_path / "run", sulphur_vacancy.structure(), EDIFFG=1e-4)).converged


def test_starts_that_failed_are_counted(finished, run_copy, figures):
    whole = figures(finished)
    for name in ("vasprun.xml", "OUTCAR", "OSZICAR"):
        vasp_runs.cut(run_copy / name, 0.5)
    killed = figures(run_copy)
    vasp_runs.pack_as_error(run_copy)
    for name in ("vasprun.xml", "OUTCAR", "OSZICAR", "vasp.out", "CONTCAR"):
        (run_copy / name).write_bytes((finished / name).read_bytes() + b"\n")
    (run_copy / "vasprun.xml").write_bytes((finished / "vasprun.xml").read_bytes().replace(b"00:00:00", b"00:01:00"))
    (run_copy / "OUTCAR").write_bytes((finished / "OUTCAR").read_bytes().replace(b"00:00:00", b"00:01:00"))
    found = figures(run_copy)
    assert found.converged
    assert found.ionic_steps == killed.ionic_steps + whole.ionic_steps
    assert found.electronic_steps == killed.electronic_steps + whole.electronic_steps
    assert found.core_hours == pytest.approx(killed.core_hours + whole.core_hours)
    assert found.max_force_history == killed.max_force_history + whole.max_force_history
    assert [attempt.source for attempt in found.details.attempts] == ["error.1.tar.gz", "."]
    assert [attempt.ended for attempt in found.details.attempts] == [False, True]
    assert "error.1.tar.gz: vasprun" in found.details.caveats


def test_two_relaxations_in_a_row_are_one(sulphur_vacancy, finished, tmp_path, figures):
    """As custodian's double relaxation leaves them: relax1, then relax2 from where that ended."""
    whole, first = figures(finished), vasp_runs.relaxed(tmp_path / "run", sulphur_vacancy.structure(), EDIFFG=-0.1)
    n_first = figures(first).ionic_steps
    for name in ("vasprun.xml", "OUTCAR", "OSZICAR", "INCAR", "POSCAR"):
        (first / name).rename(first / f"{name}.relax1")
    vasp_runs.write_inputs(first, Structure.from_file(first / "CONTCAR"))
    vasp_runs.run_standin(first)
    found = figures(first)
    assert [attempt.source for attempt in found.details.attempts] == ["relax1", "."]
    assert found.converged
    assert found.ionic_steps == n_first + found.details.attempts[1].ionic_steps
    assert found.energy == pytest.approx(whole.energy, abs=2e-3)


def test_a_single_point_beside_a_relaxation_is_left_out(sulphur_vacancy, run_copy, finished, tmp_path, figures):
    static = vasp_runs.relaxed(tmp_path / "static", sulphur_vacancy.structure(), NSW=0)
    for name in ("vasprun.xml", "OUTCAR"):
        (run_copy / f"{name}.static").write_bytes((static / name).read_bytes())
    found = figures(run_copy)
    assert found.ionic_steps == figures(finished).ionic_steps
    assert found.details.caveats == {"static": "left out, for it is no relaxation"}


def test_a_single_point_alone_is_refused(sulphur_vacancy, tmp_path):
    static = vasp_runs.relaxed(tmp_path / "static", sulphur_vacancy.structure(), NSW=0)
    with pytest.raises(InputError, match="holds no relaxation"):
        read_run(static)


def test_custodian_is_quoted(run_copy, figures):
    handler = {"@module": "custodian.vasp.handlers", "@class": "VaspErrorHandler", "output_filename": "vasp.out"}
    correction = {
        "errors": ["zbrent"],
        "actions": [{"dict": "INCAR", "action": {"_set": {"IBRION": 1}}}],
        "handler": handler,
    }
    (run_copy / "custodian.json").write_text(json.dumps([{"job": {}, "corrections": [correction], "handler": None}]))
    (found,) = figures(run_copy).details.corrections
    assert (found.handler, found.errors) == ("VaspErrorHandler", ["zbrent"])
    assert json.loads(found.actions) == correction["actions"]
    earlier = run_copy / "launch-1"
    shutil.copytree(run_copy, earlier, ignore=shutil.ignore_patterns("launch-1"))
    vasp_runs.cut(earlier / "OUTCAR", 0.4)
    assert len(figures(run_copy).details.corrections) == 2, "one of each launch"
    shutil.rmtree(earlier)
    (run_copy / "custodian.json").write_text("[]")
    assert figures(run_copy).details.corrections == []
    (run_copy / "custodian.json").write_text("{")
    assert figures(run_copy).details.corrections is None


def test_a_damaged_archive_of_gzip_is_as_good_as_its_first_part(run_copy, finished, figures):
    vasp_runs.compress(run_copy)
    for name in ("vasprun.xml.gz", "OUTCAR.gz"):
        vasp_runs.cut(run_copy / name, 0.7)
    found = figures(run_copy)
    assert found.ionic_steps == figures(finished).ionic_steps, "OSZICAR is whole"
    assert "cut off or damaged" in found.details.caveats["OUTCAR"]
