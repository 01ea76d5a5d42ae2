from __future__ import annotations

import json
import shutil

import pytest
import yaml
from jobflow import run_locally

from definet_flows.flows import ScreeningMaker, load_campaign
from definet_flows.flows.adoption import configured_job_store
from definet_flows.launch.local import run_campaign
from definet_flows.records import build_savings, open_store

# jobflow calls a function of monty that is to go in 2028.
pytestmark = pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning")


@pytest.fixture(scope="module")
def campaign_file(copper, tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    return copper.write_campaign(folder, configurations="{recipes: [V_Cu, Al_Cu, V_Cu+Ni_Cu]}")


@pytest.fixture(scope="module")
def finished(campaign_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    run_campaign(load_campaign(campaign_file), folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def jobs(campaign_file, tmp_path_factory):
    """A configuration of jobflow whose job store has the outputs of the campaign's flow."""
    folder = tmp_path_factory.mktemp("jobs")
    stores = {
        name: {"type": "MontyStore", "database_path": str(folder / "db"), "collection_name": name}
        for name in ("outputs", "data")
    }
    path = folder / "jobflow.yaml"
    job_store = {"docs_store": stores["outputs"], "additional_stores": {"data": stores["data"]}}
    path.write_text(yaml.safe_dump({"JOB_STORE": job_store}), encoding="utf-8")
    flow = ScreeningMaker().make(load_campaign(campaign_file))
    run_locally(flow, store=configured_job_store(str(path)), log=False, ensure_success=True)
    return path


@pytest.fixture
def run(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def test_a_finished_campaign_is_built_and_shown(invoke, run):
    first = invoke("build", run)
    assert first.exit_code == 0, first.output
    with open_store(run, read_only=True) as store:
        n_pairs = len(build_savings(store))
        assert len(list(store.savings())) == n_pairs
    assert f"{n_pairs} pairs: " in first.output
    assert "tiny" in first.output
    again = invoke("build", "--store", run, "--json")
    assert json.loads(again.output) == {
        "pairs": n_pairs,
        "built": 0,
        "unchanged": n_pairs,
        "failed": 0,
        "left": 0,
        "removed": 0,
        "failures": [],
    }
    assert json.loads(invoke("build", run, "--from-scratch", "--json").output)["built"] == n_pairs


def test_what_fails_is_told_with_its_reason(invoke, run):
    with open_store(run) as store:
        (document,) = store.stores["relaxations"].query({"label": "V_Cu", "start": "unrelaxed"})
        store.stores["relaxations"].update([document | {"novelty": 1, "last_updated": "9999"}])
    failing = invoke("build", run)
    assert failing.exit_code == 0
    assert "1 failed" in failing.output
    assert "Extra inputs are not permitted" in failing.output
    assert "1 that failed before left alone" in invoke("build", run).output
    assert "1 failed" in invoke("build", run, "--retry-failed").output


def test_outputs_of_jobs_become_the_same_records(invoke, jobs, campaign_file, finished, tmp_path):
    outcome = invoke("build", tmp_path / "adopted", "--jobs", jobs, "--campaign", campaign_file)
    assert outcome.exit_code == 0, outcome.output
    assert "Taken from the job store: " in outcome.output
    with open_store(finished, read_only=True) as ran, open_store(tmp_path / "adopted", read_only=True) as adopted:
        expected = {one.key: (one.label, one.pair_state, one.same_minimum) for one in build_savings(ran)}
        assert {one.key: (one.label, one.pair_state, one.same_minimum) for one in adopted.savings()} == expected
        assert len(expected) >= 5
    again = invoke("build", tmp_path / "adopted", "--jobs", jobs, "--json")
    assert json.loads(again.output)["built"] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["build"], "Name the results once"),
        (["build", "{empty}", "--store", "{empty}"], "Name the results once"),
        (["build", "{empty}"], "holds no results; run a campaign with --dir"),
        (["build", "{empty}", "--campaign", "x.yaml"], "give both"),
        (["build", "{empty}", "--jobs", "{empty}/none.yaml"], "There is no file"),
        (["build", "{empty}", "--jobs", "{empty}/other.yaml"], "has no JOB_STORE"),
        (["build", "{empty}", "--jobs", "{empty}/wrong.yaml"], "cannot be used"),
    ],
)
def test_bad_input_is_one_sentence(invoke, tmp_path, arguments, sentence):
    (tmp_path / "other.yaml").write_text("a: 1\n", encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text("JOB_STORE: {docs_store: {type: NoSuchStore}}\n", encoding="utf-8")
    outcome = invoke(*(argument.format(empty=tmp_path) for argument in arguments))
    assert outcome.exit_code == 2
    assert outcome.output.startswith("Error: ")
    assert sentence in outcome.output
    assert not (tmp_path / "store").exists()


def test_jobs_of_another_campaign_are_refused(invoke, jobs, campaign_file, copper, tmp_path):
    other = copper.write_campaign(tmp_path, host_lines="file: Cu.cif\nsupercell: [3, 2, 2]")
    outcome = invoke("build", tmp_path / "adopted", "--jobs", jobs, "--campaign", other)
    assert outcome.exit_code == 2
    assert "No job in this job store put out the host of copper" in outcome.output
