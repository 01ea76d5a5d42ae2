from __future__ import annotations

import json
import tarfile

import pytest

from definet_flows.flows import load_campaign
from definet_flows.flows.plan import campaign_record
from definet_flows.records import open_store


@pytest.fixture
def run(copper, tmp_path):
    """A campaign directory with one relaxation."""
    campaign = load_campaign(copper.write_campaign(tmp_path, configurations="{recipes: [V_Cu]}"))
    with open_store(tmp_path / "run") as store:
        store.put_campaign(campaign_record(campaign, copper.host(), None, [copper.configuration()]))
        store.add_relaxations([copper.record(copper.configuration())])
    return tmp_path / "run"


def test_a_directory_in_one_file_can_be_queried_once_unpacked(invoke, run, tmp_path):
    told = invoke("archive", run, "-o", tmp_path / "kept" / "run.tar.gz")
    assert told.exit_code == 0, told.stderr
    assert "1 campaigns, 1 relaxations, 1 arrays; read back and compared" in told.stdout
    assert "definet-flows results run" in told.stdout
    with tarfile.open(tmp_path / "kept" / "run.tar.gz") as packed:
        packed.extractall(tmp_path / "there", filter="data")
    queries = [invoke("results", place, "--json").stdout for place in (run, tmp_path / "there" / "run")]
    assert queries[0] == queries[1]
    assert json.loads(queries[0])[0]["label"] == "V_Cu"


def test_what_cannot_be_archived_is_told(invoke, run, tmp_path):
    file = tmp_path / "run.tar.gz"
    refusals = {
        "--clean clears a launchpad": invoke("archive", run, "-o", file, "--clean"),
        "must end in .tar.gz": invoke("archive", run, "-o", tmp_path / "run.zip"),
        "is a folder; name a file in it": invoke("archive", run, "-o", tmp_path),
    }
    with open_store(run):
        refusals["is being run; wait for it"] = invoke("archive", run, "-o", file)
    file.write_text("something else")
    refusals["is no archive of results"] = invoke("archive", run, "-o", file)
    for sentence, reply in refusals.items():
        assert reply.exit_code in {1, 2}
        assert sentence in reply.stderr
    assert file.read_text() == "something else"
