"""A campaign on the VASP engine, through real custodian processes of which a third go wrong."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from definet_flows.flows import load_campaign
from definet_flows.launch.local import run_campaign
from definet_flows.records import open_store
from tests.vasp_standin.potcars import write_potcars

COMMAND = f"{sys.executable} {Path(__file__).resolve().parents[1] / 'vasp_standin'}"
RECIPES = ["V_Cu", "Al_Cu", "V_Cu+V_Cu", "V_Cu+Al_Cu", "Al_Cu+Al_Cu", "V_Cu+Al_Cu+Al_Cu", "V_Cu+Ni_Cu"]

# By the first digit of the configuration's id, which is as good as drawn by lot, and the start.
RULES = {
    "_Cu-[01].{7}-unrelaxed": {"do": "print", "text": "ZBRENT: fatal error in bracketing", "after": 1, "times": 1},
    "_Cu-e.{7}-prerelaxed": {"do": "print", "text": "Error EDDDAV: Call to ZHEGV failed.", "after": 1},
    "_Cu-[45].{7}-unrelaxed": {"do": "signal", "after": 2},
    "_Cu-[67].{7}-prerelaxed": {"do": "truncate"},
    "_Cu-[89].{7}-unrelaxed": {"do": "diverge"},
    "_Cu-c.{7}-prerelaxed": {"do": "hang", "after": 1, "times": 1},
    "_Cu-b.{7}-unrelaxed": {"do": "disk full"},
}
LOST = {"e.*-pre": "Max errors", "[45].*-unr": "Validation failed", "[67].*-pre": "Validation failed"}
LOST |= {"[89].*-unr": "the largest force was", "b.*-unr": "No space left"}


@pytest.fixture
def campaign_file(copper, tmp_path, monkeypatch):
    potcars = write_potcars(tmp_path / "potcars", ["Cu_pv", "Al", "Ni_pv"])
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(potcars))
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([{"where": where, **rule} for where, rule in RULES.items()]))
    monkeypatch.setenv("VASP_STANDIN", str(rules))
    engine = (
        f"{{name: vasp, vasp_cmd: '{COMMAND}', kpoints: [2, 2, 2], max_steps: 40, max_errors: 2, "
        "poll_seconds: 0.1, monitor_seconds: 0.3, frozen_seconds: 6}"
    )
    configurations = f"{{recipes: {json.dumps(RECIPES)}, select: {{count: 20, seed: 1, stratify: label}}}}"
    return copper.write_campaign(tmp_path / "campaign", engine=engine, configurations=configurations)


def expected_loss(record):
    where = f"{record.configuration_id}-{record.start}"
    return next((why for pattern, why in LOST.items() if re.match(pattern, where)), None)


def stored(run):
    with open_store(run, read_only=True) as store:
        return list(store.relaxations()), list(store.savings()), list(store.predictions())


@pytest.mark.slow
def test_every_configuration_ends_in_one_record_per_start(campaign_file, tmp_path, monkeypatch):
    campaign = load_campaign(campaign_file)
    summary = run_campaign(campaign, tmp_path / "run", workers=2)
    records, savings, predictions = stored(tmp_path / "run")
    defects = [record for record in records if record.kind == "defect"]
    starts = Counter((record.configuration_id, record.start) for record in defects)
    assert summary.n_configurations == 20
    assert set(starts.values()) == {1}
    assert not all(one.passed for one in predictions)
    assert starts.keys() == {(one.configuration_id, "unrelaxed") for one in predictions} | {
        (one.configuration_id, "prerelaxed") for one in predictions if one.passed
    }

    for record in records:
        why = expected_loss(record) if record.kind == "defect" else None
        assert (record.state == "converged") == (why is None), record.reason
        assert record.reason is None or why in record.reason
        assert record.core_hours > 0
        assert (record.ionic_steps or 0) > 0
        assert Path(record.details.directory).is_relative_to(tmp_path / "run" / "vasp")
    states = Counter(record.state for record in defects)
    assert min(states["converged"], states["failed"], states["unconverged"]) > 0
    corrected = [record for record in records if record.state == "converged" and record.details.corrections]
    assert {one.details.corrections[0].handler for one in corrected} >= {"SafeErrorHandler", "FrozenJobErrorHandler"}

    assert len(savings) == 20
    lost = [one for one in savings if one.pair_state == "prerelaxed_lost"]
    assert lost
    assert all(one.steps_saved == -one.prerelaxed.ionic_steps for one in lost)

    monkeypatch.delenv("VASP_STANDIN")
    again = run_campaign(campaign, tmp_path / "run", workers=2, retry_failed=True)
    assert again.n_run == states["failed"]
    resumed = {one.key: one for one in stored(tmp_path / "run")[0]}
    for record in (record for record in defects if record.state == "failed"):
        assert resumed[record.key].state == "converged"
        assert resumed[record.key].ionic_steps > record.ionic_steps
        assert resumed[record.key].core_hours > record.core_hours
