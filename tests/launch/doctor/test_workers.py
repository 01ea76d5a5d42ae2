from __future__ import annotations

from contextlib import closing

import pytest

from definet_flows.launch.doctor import Subject, database, workers
from tests.hpc_folders import launchpad_of, written


def found(folder):
    """The findings by their check."""
    return {finding.check: finding for finding in workers.check(Subject(folder))}


def test_the_workers_that_init_writes_take_one_kind_of_job_each(tmp_path):
    findings = found(written(tmp_path))
    assert {name: (one.state, one.message) for name, one in findings.items()} == {
        "worker-gpu.yaml": ("pass", "predict takes gpu"),
        "worker-cpu.yaml": ("pass", "relax takes cpu"),
    }


@pytest.mark.parametrize("category", ["category: ''", "category: null", "category: []"])
def test_a_worker_without_a_category_takes_everything(tmp_path, category):
    folder = written(tmp_path)
    file = folder.path / "worker-gpu.yaml"
    file.write_text(file.read_text().replace("category: gpu", category))
    findings = found(folder)
    assert findings["worker-gpu.yaml"].state == "fail"
    assert findings["worker-gpu.yaml"].message.startswith("the worker predict has no category, so it takes every job")
    assert findings["worker-gpu.yaml"].remedy == f"write category: gpu or category: cpu into {file}"
    assert findings["category gpu"].state == "warn"


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [("name: x\ncategory: gpu\n", "has no 'query'"), ("name: x\ncategory: gpu\nquery: '{'\n", "cannot be used")],
)
def test_a_worker_file_that_cannot_be_used_is_named(tmp_path, wrong, complaint):
    folder = written(tmp_path)
    (folder.path / "worker-gpu.yaml").write_text(wrong)
    finding = found(folder)["worker-gpu.yaml"]
    assert (finding.state, complaint in finding.message) == ("fail", True)


def test_jobs_that_no_worker_takes_are_counted(tmp_path, mongo_uri, mongo_database):
    from fireworks import Firework, ScriptTask, Workflow

    folder = written(tmp_path, database={"host": mongo_uri, "name": mongo_database})
    with launchpad_of(folder) as launchpad:
        launchpad.reset("", require_password=False)
        task = ScriptTask.from_str("true")
        launchpad.add_wf(Workflow([Firework(task), Firework(task, spec={"_category": "gpu"})]))
    with closing(Subject(folder)) as subject:
        assert "fail" not in {finding.state for finding in database.check(subject)}
        findings = {finding.check: finding for finding in workers.check(subject)}
    assert findings["jobs without a category"].state == "warn"
    assert findings["jobs without a category"].message == "1 wait for a worker that takes jobs of none"
