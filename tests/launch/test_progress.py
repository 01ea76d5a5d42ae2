from __future__ import annotations

import pytest

from definet_flows.launch import progress as progress_module
from definet_flows.launch.cores import physical_cores
from definet_flows.launch.progress import Meter, Progress


def test_reports_count_what_is_done_and_estimate_what_is_left(monkeypatch):
    clock = iter([0.0, 0.0, 10.0, 20.0])
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    reports = []
    meter = Meter("relax", 10, reports.append, skipped=4, failed=1)
    meter.count()
    meter.count(2, failed=1)
    assert reports[0] == Progress("relax", 4, 10, skipped=4, failed=1)
    assert reports[1] == Progress("relax", 5, 10, 4, 1, rate=0.1, seconds_left=pytest.approx(50))
    assert reports[2] == Progress("relax", 7, 10, 4, 2, rate=pytest.approx(0.15), seconds_left=pytest.approx(20))


def test_nobody_need_listen():
    meter = Meter("relax", 1, None)
    meter.count()
    assert meter.done == 1


def test_two_threads_of_one_core_count_once(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3, 7})
    for cpu, siblings in {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}.items():
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings + "\n")
    assert physical_cores(tmp_path) == 3
    assert physical_cores(tmp_path / "nowhere") == 5
    assert physical_cores() >= 1
