from __future__ import annotations

import pytest

from definet_flows.engines.gpaw.journal import IonicStep, Journal


def step(energy):
    return IonicStep(
        positions=[(0.1, 1 / 3, 0.0)],
        energy=energy,
        forces=[(1e-17, -2.0, 0.3)],
        total_moment=1.0,
        electronic_steps=12,
        cpu_seconds=0.1,
    )


@pytest.fixture
def written(tmp_path):
    journal = Journal(tmp_path / "steps.jsonl")
    for energy in (-1.0, -2.0, -3.0):
        journal.append(step(energy))
    return journal


def test_steps_come_back_to_the_last_digit(written):
    assert Journal(written.path).steps == written.steps == [step(-1.0), step(-2.0), step(-3.0)]


def test_a_line_that_was_cut_off_is_not_a_step(written):
    whole = written.path.read_text()
    written.path.write_text(whole[:-20])
    journal = Journal(written.path)
    assert journal.steps == [step(-1.0), step(-2.0)]
    journal.cut(2)
    journal.append(step(-3.0))
    assert written.path.read_text() == whole


def test_steps_of_another_way_are_forgotten(written):
    written.cut(1)
    assert Journal(written.path).steps == [step(-1.0)]


def test_a_new_run_has_none(tmp_path):
    journal = Journal(tmp_path / "steps.jsonl")
    journal.cut(0)
    assert journal.steps == []
    assert not journal.path.exists()
