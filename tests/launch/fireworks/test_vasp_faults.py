"""Paid-for VASP runs (of the stand-in) whose launcher dies or whose disk is full: nothing that was done is done again."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest
from pymatgen.core import SETTINGS, Structure

from definet_flows.launch.fireworks.recovery import Rescue, recover
from definet_flows.launch.fireworks.submissions import submission_named
from tests.faults.disks import NoDiskError, fill, small_disk
from tests.faults.launchers import Fault, ForkedLauncher
from tests.vasp_standin.potcars import write_potcars

pytestmark = pytest.mark.slow

STANDIN = Path(__file__).resolve().parents[2] / "vasp_standin"
ENGINE = (
    f"{{name: vasp, vasp_cmd: '{sys.executable} {STANDIN}', kpoints: [2, 2, 2], max_steps: 40, poll_seconds: 0.1, "
    "relax_host: false}"
)
RULES = [{"where": "Al_Cu-", "do": "hang", "after": 2, "times": 1}]
RECORDING = Fault(dies_at_write=1, only="bulk_write")


@pytest.fixture
def launched(cluster, campaign, submitted, configuration, tmp_path, monkeypatch):
    """Start a launcher for a campaign of two relaxations, which are next."""
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    monkeypatch.setenv("VASP_STANDIN", str(tmp_path / "rules.json"))
    # Launchers are forked from this process, where pymatgen has read the environment long ago.
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_potcars(tmp_path / "potcars", ["Cu_pv", "Al"])))
    submitted(campaign(model="null", engine=ENGINE, configurations="{recipes: [V_Cu, Al_Cu]}"))

    def start(**options):
        return ForkedLauncher(configuration, tmp_path / "launches", **options)

    assert start(launches=4).wait() == 0
    return start


def recovered(cluster):
    return recover(cluster, submission_named(cluster.launchpad, "copper"), Rescue(-1.0, patience=0.2))


def put_first(cluster, label):
    work = cluster.launchpad.fireworks.find_one({"name": {"$regex": f"{label} "}})
    cluster.launchpad.set_priority(work["fw_id"], 1)


def ionic_steps(folder):
    return (folder / "OSZICAR").read_text().count("F=") if (folder / "OSZICAR").exists() else 0


def wait_for_steps(runs, label, number):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for folder in runs.glob(f"{label}-*"):
            if ionic_steps(folder) >= number:
                return folder
        time.sleep(0.1)
    raise TimeoutError(f"{label} came to no {number} steps")


def test_a_run_goes_on_from_its_last_geometry_and_a_converged_one_is_adopted(cluster, launched, tmp_path):
    put_first(cluster, "V_Cu")
    # It had converged, and the launcher dies instead of putting it on record.
    assert launched(launches=1, fault=RECORDING).wait() == -signal.SIGKILL
    launcher = launched(launches=1)
    folder = wait_for_steps(tmp_path / "runs" / "vasp", "Al_Cu", 2)
    launcher.kill()
    seen = ionic_steps(folder)
    assert not list(cluster.store.relaxations({"kind": "defect"}))

    outcome = recovered(cluster)
    assert (outcome.lost, outcome.recorded, outcome.requeued) == (2, 2, 2)
    first = {one.label: one for one in cluster.store.relaxations({"kind": "defect"})}
    assert (first["V_Cu"].state, len(first["V_Cu"].details.attempts)) == ("converged", 1)
    assert first["Al_Cu"].state == "failed"
    assert first["Al_Cu"].ionic_steps >= seen >= 2
    assert first["Al_Cu"].core_hours > 0

    assert launched().wait() == 0
    last = {one.label: one for one in cluster.store.relaxations({"kind": "defect"})}
    assert last["V_Cu"].last_updated == first["V_Cu"].last_updated
    assert last["Al_Cu"].state == "converged"
    assert last["Al_Cu"].ionic_steps > first["Al_Cu"].ionic_steps
    assert last["Al_Cu"].core_hours > first["Al_Cu"].core_hours
    reached, begun = (Structure.from_file(folder / name).frac_coords for name in ("launch-1/CONTCAR", "POSCAR.gz"))
    assert abs((reached - begun + 0.5) % 1 - 0.5).max() < 1e-6


def test_a_full_scratch_disk_costs_nothing_that_was_done(cluster, launched, tmp_path, monkeypatch):
    try:
        with small_disk(tmp_path / "runs" / "vasp", "8m") as disk:
            ballast = fill(disk)
            assert launched(launches=2).wait() == 0
            outcome = recovered(cluster)
            reasons = {one.reason for one in cluster.store.relaxations({"state": "failed"})}
            monkeypatch.delenv("VASP_STANDIN")
            ballast.unlink()
            assert launched().wait() == 0
            states = {one.label: one.state for one in cluster.store.relaxations({"kind": "defect"})}
    except NoDiskError as error:
        pytest.skip(str(error))
    assert (outcome.crashed, outcome.requeued) == (2, 2)
    assert {"No space left on device" in reason for reason in reasons} == {True}
    assert states == {"V_Cu": "converged", "Al_Cu": "converged"}
