from __future__ import annotations

import importlib
import os
import time

import pytest

from definet_flows.launch import pool as pool_module
from definet_flows.launch.pool import Task, WorkerPool, WorkersDieError


@pytest.fixture
def tasks(in_workers):
    return importlib.import_module("tasks")


@pytest.fixture
def log_file(tmp_path):
    return tmp_path / "workers.log"


@pytest.fixture
def pool(tasks, log_file):
    with WorkerPool(2, 3, log_file) as opened:
        yield opened


def outcomes(pool, tasks_, **options):
    return {outcome.subject: outcome for outcome in pool.run(tasks_, **options)}


def test_every_task_has_its_outcome(pool, tasks):
    found = outcomes(pool, (Task(number, tasks.double, (number,)) for number in range(7)))
    assert {subject: outcome.output for subject, outcome in found.items()} == {n: 2 * n for n in range(7)}


def test_what_a_task_raises_is_its_outcome(pool, tasks):
    found = outcomes(pool, [Task("bad", tasks.fail, ("oh",)), Task("good", tasks.double, (1,))])
    assert repr(found["bad"].error) == "ValueError('oh')"
    assert (found["bad"].lost, found["good"].output) == (False, 2)
    with pytest.raises(ValueError, match="oh"):
        pool.call(tasks.fail, "oh")


def test_a_death_takes_no_other_task_with_it(pool, tasks):
    work = [Task("killer", tasks.die, ()), *(Task(number, tasks.double, (number,)) for number in range(4))]
    found = outcomes(pool, work)
    assert found["killer"].lost
    assert found["killer"].seconds > 0
    assert [found[number].output for number in range(4)] == [0, 2, 4, 6]


def test_a_task_that_killed_its_process_is_tried_once_more(pool, tasks, tmp_path):
    assert outcomes(pool, [Task("x", tasks.die_once, (tmp_path,))])["x"].output == "alive"


def test_the_second_try_is_alone(pool, tasks, tmp_path):
    found = outcomes(pool, [Task(number, tasks.die_unless_alone, (tmp_path,)) for number in range(2)])
    assert [found[number].output for number in range(2)] == ["alone", "alone"]


def test_deaths_without_end_are_not_blamed_on_the_tasks(pool, tasks, monkeypatch):
    monkeypatch.setattr(pool_module, "DEATHS_IN_A_ROW", 3)
    with pytest.raises(WorkersDieError, match=r"3 worker processes in a row were killed.*fewer --workers"):
        outcomes(pool, (Task(number, tasks.die, ()) for number in range(50)))


def test_tasks_are_taken_only_when_a_worker_is_free(pool, tasks):
    taken = []

    def stream():
        for number in range(6):
            taken.append(number)
            yield Task(number, tasks.double, (number,))

    results = pool.run(stream())
    next(results)
    assert len(taken) <= 4
    assert len(list(results)) == 5
    at_once = pool.run((Task(number, tasks.wait_for, (0.01,)) for number in range(4)), at_once=1)
    assert len({outcome.output for outcome in at_once}) == 1


def test_output_goes_to_the_log_and_threads_are_limited(pool, tasks, log_file, capfd):
    before = dict(os.environ)
    assert pool.call(tasks.shout, "hello from a worker") == "3"
    assert "hello from a worker" in log_file.read_text()
    assert "hello" not in capfd.readouterr().out
    assert dict(os.environ) == before


def test_stopping_ends_what_is_under_way(tasks, log_file):
    opened = WorkerPool(1, 1, log_file)
    pid = opened.call(tasks.wait_for, 0)
    running = opened.run([Task("long", tasks.wait_for, (600,))])
    opened._slots[0].submit(Task("long", tasks.wait_for, (600,)))
    began = time.monotonic()
    opened.stop()
    assert time.monotonic() - began < 20
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    running.close()
