from __future__ import annotations

import json

import pytest

from definet_flows.defects import DefectConfiguration, Host
from tests import vasp_runs

FROM_VASP = ("records", "from-vasp")
MOS2 = ("--host", "MoS2", "--supercell", 3, 3, 1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("group")
    structure = DefectConfiguration(Host.from_preset("MoS2", (3, 3, 1)), ((9, "Vac"),)).structure()
    vasp_runs.relaxed(folder / "plain", structure)
    vasp_runs.relaxed(folder / "predicted", vasp_runs.shaken(structure))
    vasp_runs.relaxed(folder / "static", structure, NSW=0)
    return folder


def test_the_table_says_what_was_read_paired_and_not_read(invoke, runs, tmp_path):
    reply = invoke(*FROM_VASP, runs, *MOS2, "--dir", tmp_path / "adopted")
    assert reply.exit_code == 0, reply.stderr
    assert "3 runs: 2 on record (2 new), 1 pairs, 1 could not be read" in reply.stdout
    assert "holds no relaxation" in " ".join(reply.stdout.split())
    again = invoke(*FROM_VASP, runs, *MOS2, "--store", tmp_path / "adopted")
    assert "2 on record (0 new)" in again.stdout


def test_adopted_runs_are_queried_and_reported_as_any_other(invoke, runs, tmp_path):
    invoke(*FROM_VASP, runs, *MOS2, "--dir", tmp_path, "--origin", "their network")
    reply = invoke("results", tmp_path, "--where", "details.functional=PBE", "--where", "start=prerelaxed", "--json")
    assert [row["checkpoint"] for row in json.loads(reply.stdout)] == ["their network"]
    reply = invoke("report", tmp_path)
    assert reply.exit_code == 0, reply.stderr
    assert "their network, vasp" in reply.stdout


def test_a_database_takes_the_records_as_well(invoke, runs, mongo_address, tmp_path):
    reply = invoke(*FROM_VASP, runs, *MOS2, "--store", mongo_address, "--origin", "their network")
    assert reply.exit_code == 0, reply.stderr
    assert "3 runs: 2 on record (2 new), 1 pairs, 1 could not be read" in reply.stdout
    again = invoke(*FROM_VASP, runs, *MOS2, "--store", mongo_address, "--origin", "their network")
    assert "2 on record (0 new)" in again.stdout
    reply = invoke("report", mongo_address, "-o", tmp_path / "steps.png")
    assert reply.exit_code == 0, reply.stderr
    assert "their network, vasp" in reply.stdout


def test_the_same_as_json(invoke, runs, tmp_path):
    rows = json.loads(invoke(*FROM_VASP, runs / "plain", *MOS2, "--dir", tmp_path, "--json").stdout)
    assert [(row["start"], row["record"], row["pair"]) for row in rows] == [("unrelaxed", "new", "no")]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "Say once which host the runs are of"),
        ((*MOS2, "--checkpoint", "a", "--origin", "b"), "give one of them"),
        ((*MOS2, "--campaign", "demo"), "Say once which host the runs are of"),
        ((*MOS2, "--checkpoint", "no-such-model"), "no-such-model"),
    ],
)
def test_bad_options_are_refused(invoke, runs, tmp_path, options, sentence):
    reply = invoke(*FROM_VASP, runs, *options, "--dir", tmp_path)
    assert reply.exit_code == 2
    assert sentence in reply.stderr


def test_a_directory_that_is_not_there(invoke, tmp_path):
    reply = invoke(*FROM_VASP, tmp_path / "gone", *MOS2, "--dir", tmp_path / "adopted")
    assert reply.exit_code == 2
    assert "There is no directory" in reply.stderr


def test_nothing_readable_is_a_failure(invoke, runs, tmp_path):
    reply = invoke(*FROM_VASP, runs / "static", *MOS2, "--dir", tmp_path)
    assert reply.exit_code == 1
    assert "None of these runs could be read" in reply.stderr
