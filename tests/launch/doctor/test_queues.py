from __future__ import annotations

import pytest

from definet_flows.launch.doctor import Subject, queues
from tests.hpc_folders import written


def found(folder, name="qadapter-cpu.yaml"):
    """State, message and remedy of what is found about an adapter."""
    return [
        (finding.state, finding.message, finding.remedy) for finding in queues.check_adapter(folder, folder.path / name)
    ]


def replaced(folder, old, new, name="qadapter-cpu.yaml"):
    """The folder, with something else in an adapter file."""
    file = folder.path / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    return folder


@pytest.fixture
def pbs_commands(tmp_path, monkeypatch):
    """Where there is no PBS: what its qstat says of a queue it has, and of one it has not."""
    programs = tmp_path / "pbs"
    programs.mkdir()
    (programs / "qsub").write_text("#!/bin/sh\nexit 1\n")
    (programs / "qstat").write_text(
        '#!/bin/sh\n[ "$1 $2" = "-Q cpu" ] && exit 0\necho "qstat: Unknown queue $2" >&2\nexit 170\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")


def test_a_machine_without_the_scheduler_is_told(tmp_path, monkeypatch):
    folder = written(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found(folder) == [
        (
            "fail",
            "SLURM jobs cannot be submitted here: there is no sbatch and no squeue",
            "run this on a login node of the cluster, or correct _fw_q_type",
        )
    ]


def test_pbs_is_asked_for_the_queue(tmp_path, pbs_commands):
    folder = written(tmp_path, scheduler="pbs")
    assert found(folder) == [("pass", "PBS accepts its jobs in cpu", None)]
    assert found(replaced(folder, 'queue: "cpu"', 'queue: "nope"')) == [
        ("fail", 'PBS rejects its jobs: "qstat: Unknown queue nope"', f"correct {tmp_path}/qadapter-cpu.yaml")
    ]
    assert found(replaced(folder, 'queue: "nope"', "queue: null"))[0][0] == "warn"


def test_a_queue_that_says_nothing_is_given_up(tmp_path, monkeypatch, pbs_commands):
    monkeypatch.setattr(queues, "SECONDS", 0.2)
    (tmp_path / "pbs" / "qstat").write_text("#!/bin/sh\nexec sleep 30\n")
    assert (
        found(written(tmp_path / "c", scheduler="pbs"))[0][1] == 'PBS rejects its jobs: "no answer to qstat within 0 s"'
    )


SMALL = {"nodes": 1, "cores": 1, "memory": "100M"}


def test_slurm_accepts_what_it_can_run(tmp_path, slurm):
    folder = written(tmp_path, cpu=SMALL, gpu=SMALL)
    for role in ("cpu", "gpu"):
        assert found(folder, f"qadapter-{role}.yaml") == [("pass", f"SLURM accepts its jobs in {role}", None)]
    assert slurm.run("squeue", "-h", "--name", "definet-cpu,definet-gpu") == "", "nothing was submitted"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('queue: "cpu"', 'queue: "nope"', "invalid partition specified: nope"),
        ("nodes: 1", "nodes: 99", "Requested node configuration is not available"),
        ("gres: null", "gres: gpu:5", "Requested node configuration is not available"),
        ('walltime: "24:00:00"', 'walltime: "soon"', "Invalid --time specification"),
    ],
)
def test_what_slurm_rejects_is_told_in_its_words(tmp_path, slurm, old, new, words):
    folder = replaced(written(tmp_path, cpu=SMALL), old, new)
    (finding,) = found(folder)
    assert (finding[0], finding[2]) == ("fail", f"correct {tmp_path}/qadapter-cpu.yaml")
    assert finding[1].startswith('SLURM rejects its jobs: "')
    assert words in finding[1]


@pytest.mark.parametrize(
    ("old", "new", "state", "complaint"),
    [
        ("singleshot", "--offline singleshot", "fail", "offline mode does not work"),
        ("singleshot", "rapidfire", "warn", "none has queue settings of its own"),
        ("worker-cpu.yaml singleshot", "moved.yaml singleshot", "fail", "moved.yaml, which is not there"),
        (
            "qos: null",
            "qoss: high",
            "warn",
            "Key qoss has been specified in qadapter but it is not present in template",
        ),
        ("_fw_q_type: SLURM", "_fw_q_type: Slurm", "fail", "Slurm is not a supported queue type"),
        ("_fw_q_type: SLURM", "", "fail", "_fw_q_type"),
        ("queue: ", "queue: [", "fail", "cannot be read"),
    ],
)
def test_what_is_wrong_with_an_adapter_is_named(tmp_path, monkeypatch, old, new, state, complaint):
    monkeypatch.setenv("PATH", str(tmp_path))
    told = found(replaced(written(tmp_path), old, new))
    assert [one[0] for one in told if complaint in one[1]] == [state], told


def test_both_adapters_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = [finding.check for finding in queues.check(Subject(written(tmp_path)))]
    assert checks == ["qadapter-cpu.yaml", "qadapter-gpu.yaml"]
