"""The engine on GPAW itself, where that is installed (`make gpaw`)."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from ase import Atoms

from definet_flows.defects import DefectConfiguration
from definet_flows.engines import GpawEngine
from definet_flows.engines.gpaw.settings import grid_points
from definet_flows.errors import DefinetFlowsError, InputError
from definet_flows.records.extract import record_from_relaxation
from tests.engines.gpaw.conftest import HASTE

gpaw = pytest.importorskip("gpaw", reason="GPAW is not installed: make gpaw")


@pytest.fixture(scope="module")
def finished(hydride, tmp_path_factory):
    """A relaxation and its engine; not to be written to."""
    engine = GpawEngine(**HASTE, directory=tmp_path_factory.mktemp("finished") / "gpaw")
    return engine, engine.relax(hydride)


CHILD = """
import json, sys
from pathlib import Path
from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines import GpawEngine
task = json.loads(Path(sys.argv[1]).read_text())
configuration = DefectConfiguration.create(Host.from_dict(task["host"]), {1: "Li"})
GpawEngine(**task["engine"]).relax(configuration)
"""


def steps_on_disk(run):
    journal = run / "steps.jsonl"
    return journal.read_text().count("\n") if journal.exists() else 0


def killed_in_step(process, directory, number):
    """End a process, which leaves it no time for anything, once it has finished as many steps less one."""
    while process.poll() is None and not any(steps_on_disk(run) >= number - 1 for run in directory.glob("*")):
        time.sleep(0.02)
    process.kill()
    process.wait()


def cycles(run, launch):
    """Self-consistency cycles that GPAW itself reports of a launch."""
    return (run / f"gpaw-{launch}.txt").read_text().count("\nConverged in ")


def test_it_stops_where_gpaw_alone_finds_the_forces_small(finished, hydride):
    engine, found = finished
    assert found.converged
    assert found.max_force < engine.force_threshold < found.max_force_history[0]
    atoms = Atoms(hydride.atomic_numbers, found.positions, cell=hydride.host.lattice, pbc=True)
    atoms.set_initial_magnetic_moments([1.0, 1.0])
    atoms.calc = gpaw.GPAW(**engine.parameters, gpts=grid_points(hydride.host, engine.grid_spacing), txt=None)
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() == pytest.approx(found.max_force, abs=4e-3)
    assert atoms.get_potential_energy() == pytest.approx(found.energy, abs=1e-4)
    assert atoms.get_magnetic_moment() == pytest.approx(found.total_moment, abs=1e-3)


def test_every_figure_is_on_record(finished, hydride):
    engine, found = finished
    (run,) = engine.directory.iterdir()
    record = record_from_relaxation(hydride, found, engine, "tiny")
    assert (record.state, record.engine.name, record.cores) == ("converged", "gpaw", 1)
    assert record.ionic_steps == len(record.max_force_history) == cycles(run, 1) > 3
    assert record.details.electronic_steps_history == [
        int(line.split()[2])
        for line in (run / "gpaw-1.txt").read_text().splitlines()
        if line.startswith("Converged in")
    ]
    assert record.electronic_steps == sum(record.details.electronic_steps_history)
    assert record.details.energy_history[-1] == record.energy
    assert record.core_hours == pytest.approx(record.wall_seconds / 3600)
    assert record.details.cpu_seconds > 0
    assert record.engine.version.startswith("gpaw 2")
    assert "gpaw-data" in record.engine.version


# GPAW leaves the file open that it goes on from.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*restart.gpw:pytest.PytestUnraisableExceptionWarning")
def test_a_run_that_was_killed_goes_on_in_its_magnetic_state(finished, engine, dimer, tmp_path):
    """The moment is not that of the ground state, which electrons begun anew at a later geometry would find."""
    _, whole = finished
    task = tmp_path / "task.json"
    task.write_text(json.dumps({"host": dimer.to_dict(), "engine": engine().model_dump(mode="json")}))
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", CHILD, str(task)])
    killed_in_step(process, tmp_path / "gpaw", 4)
    (run,) = (tmp_path / "gpaw").iterdir()
    n_before, hydride = steps_on_disk(run), DefectConfiguration.create(dimer, {1: "Li"})
    lost = engine().left_behind(hydride)
    assert (lost.ionic_steps, lost.max_force_history) == (n_before, whole.max_force_history[:n_before])
    assert (lost.converged, lost.error is None, lost.positions) == (False, False, None)
    assert steps_on_disk(run) == n_before
    found = engine().relax(hydride)
    gc.collect()
    assert found.converged
    assert n_before + cycles(run, 2) == found.ionic_steps == whole.ionic_steps, "no step is computed twice"
    assert found.max_force_history == pytest.approx(whole.max_force_history, abs=2e-3)
    assert found.energy == pytest.approx(whole.energy, abs=1e-4)
    assert found.total_moment == pytest.approx(whole.total_moment, abs=1e-3)
    launches = json.loads((run / "definet-run.json").read_text())["launches"]
    assert found.wall_seconds > launches[1]["seconds"], "the launch that was killed counts too"


def test_a_run_that_was_finished_is_read_not_repeated(finished, hydride):
    engine, whole = finished
    (run,) = engine.directory.iterdir()
    found = engine.relax(hydride)
    assert not (run / "gpaw-2.txt").exists()
    assert not (run / "restart.gpw").exists()
    timing = {"wall_seconds", "core_hours"}
    assert found.model_dump(exclude=timing) == whole.model_dump(exclude=timing)
    assert engine.left_behind(hydride).model_dump(exclude=timing) == whole.model_dump(exclude=timing)


def test_self_consistency_that_does_not_converge_is_a_failed_run(engine, hydride):
    found = engine(max_electronic_steps=3).relax(hydride)
    assert engine(max_electronic_steps=3).left_behind(hydride) is None, "no step was finished"
    assert not found.converged
    assert "GPAW failed after 0 evaluations" in found.error
    assert "did not converge in 3 electronic steps" in found.error
    assert (found.ionic_steps, found.electronic_steps, found.energy, found.positions) == (0, 3, None, None)
    assert found.details.electronic_converged is False


def test_a_host_has_its_own_reference(engine, dimer):
    relaxed = engine().relaxed_host(dimer)
    assert relaxed.reference.engine == "gpaw"
    assert relaxed.reference.max_force_after < 0.05 < relaxed.reference.max_force_before
    assert engine().relaxed_host(relaxed) is relaxed
    with pytest.raises(DefinetFlowsError, match="did not relax with GPAW"):
        engine(max_steps=1).relaxed_host(dimer)


def test_an_element_without_a_data_set(engine, dimer):
    with pytest.raises(InputError, match="no data set for an element"):
        engine().relax(DefectConfiguration.create(dimer, {1: "Pu"}))
