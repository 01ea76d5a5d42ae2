from __future__ import annotations

import numpy as np
import pytest

from definet_flows.engines.vasp.outputs.physics import physics_of
from definet_flows.engines.vasp.outputs.relaxations import host_positions, relaxation_of
from definet_flows.engines.vasp.outputs.runs import read_run
from definet_flows.engines.vasp.outputs.tasks import read_task
from definet_flows.errors import InputError
from tests import vasp_runs

pytestmark = pytest.mark.filterwarnings("ignore")  # emmet and pymatgen warn of POTCARs that are no real ones


@pytest.fixture(scope="module")
def task(finished):
    from emmet.core.tasks import TaskDoc

    return TaskDoc.from_directory(finished)


@pytest.fixture
def placed(mos2, sulphur_vacancy):
    return host_positions(mos2, np.flatnonzero(sulphur_vacancy.occupied))


def test_a_task_document_gives_the_figures_of_its_directory(task, finished, placed):
    ours, theirs = relaxation_of(read_run(finished), placed), relaxation_of(read_task(task, finished), placed)
    assert theirs.details.attempts == ours.details.attempts
    assert theirs == ours


def test_without_the_directory_it_says_what_it_cannot_tell(task, placed):
    found = relaxation_of(read_task(task), placed)
    assert found.details.directory is None
    assert found.details.caveats == {"attempts": "the task document does not tell of starts that failed"}


def test_its_settings_are_those_of_the_files(task, finished):
    ours, theirs = physics_of(read_run(finished).first), physics_of(read_task(task).first)
    assert {**theirs, "potcars": None} == {**ours, "potcars": None}


def test_zeros_in_place_of_statistics_are_none(task, placed):
    document = task.model_copy(deep=True)
    for name in ("elapsed_time", "total_time", "cores", "max_memory"):
        setattr(document.calcs_reversed[0].output.run_stats, name, 0)
    found = relaxation_of(read_task(document), placed)
    assert found.wall_seconds is found.cores is found.core_hours is found.details.cpu_seconds is None
    assert found.details.memory_gb is None
    assert found.details.caveats["cpu_seconds"] == "the task document does not tell it"


def test_starts_that_custodian_packed_away_are_taken_from_the_directory(finished, run_copy, placed):
    from emmet.core.tasks import TaskDoc

    for name in ("vasprun.xml", "OUTCAR"):
        vasp_runs.cut(run_copy / name, 0.5)
    vasp_runs.pack_as_error(run_copy, names=("vasprun.xml", "OUTCAR"))
    for name in ("vasprun.xml", "OUTCAR"):
        (run_copy / name).write_bytes((finished / name).read_bytes().replace(b"00:00:00", b"00:01:00"))
    found = relaxation_of(read_task(TaskDoc.from_directory(run_copy), run_copy), placed)
    assert [attempt.source for attempt in found.details.attempts] == ["error.1.tar.gz", "."]
    assert found.ionic_steps > relaxation_of(read_run(finished), placed).ionic_steps


def test_a_document_without_its_steps_is_refused(task):
    document = task.model_copy(deep=True)
    document.calcs_reversed[0].output.ionic_steps = None
    with pytest.raises(InputError, match="store_trajectory"):
        read_task(document)


def test_a_single_point_is_refused(sulphur_vacancy, tmp_path):
    from emmet.core.tasks import TaskDoc

    static = vasp_runs.relaxed(tmp_path / "static", sulphur_vacancy.structure(), NSW=0)
    with pytest.raises(InputError, match="no relaxation"):
        read_task(TaskDoc.from_directory(static))
