"""A campaign on the VASP engine, through real custodian processes of which a third go wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from definet_flows.flows import load_campaign
from definet_flows.launch.local import run_campaign
from definet_flows.records import open_store
from tests.vasp_standin import campaign as standin_campaign

LOST = {
    "e.{7}-prerelaxed": "Max errors",
    "[45].{7}-unrelaxed": "Validation failed",
    "[67].{7}-prerelaxed": "Validation failed",
    "[89].{7}-unrelaxed": "the largest force was",
    "b.{7}-unrelaxed": "No space left",
}
"""Rule to the reason on record; runs under the others converge."""


@pytest.fixture
def campaign_file(copper, tmp_path, monkeypatch):
    path, variables = standin_campaign.write(tmp_path, copper.write_campaign)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return path


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
        why = LOST.get(standin_campaign.rule_of(record))
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
