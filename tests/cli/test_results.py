from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from definet_flows.defects import Host, enumerate_configurations
from definet_flows.definet import GuardVerdict, Prediction
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.plan import campaign_record
from definet_flows.records.documents import ModelSummary
from definet_flows.records.extract import record_from_prediction, record_from_relaxation
from definet_flows.records.store import open_store

MODEL = ModelSummary(checkpoint="tiny", checkpoint_hash="c" * 16, guard_hash="g" * 16)
ENGINE = ForceFieldEngine()
UNRELAXED = [0.5, 0.2, 0.04, 0.02, 0.009]
PRERELAXED = [0.04, 0.009]


def relaxation(host, history):
    converged = history[-1] < ENGINE.force_threshold
    return Relaxation(
        converged=converged,
        ionic_steps=len(history),
        max_force_history=history,
        max_force=history[-1],
        energy=-100.0,
        wall_seconds=3.6,
        cores=1,
        core_hours=0.001,
        positions=host.positions.tolist(),
        engine_version="test",
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A campaign of four configurations: two saved steps, one lost its prerelaxed run, one was refused by the guard."""
    folder = tmp_path_factory.mktemp("campaign")
    host = Host.from_preset("MoS2", (3, 3, 1), vacuum=15)
    settings = {"name": "small", "host": {"preset": "MoS2", "supercell": [3, 3, 1], "vacuum": 15}}
    campaign = Campaign.model_validate({**settings, "configurations": {"recipes": ["V_S+V_S"]}})
    configurations = list(enumerate_configurations(host, "V_S+V_S"))[:4]
    histories = [PRERELAXED, PRERELAXED, [0.3] * 9, None]
    with open_store(folder) as store:
        store.put_campaign(campaign_record(campaign, host, MODEL, configurations))
        for number, (configuration, history) in enumerate(zip(configurations, histories, strict=True)):
            verdict = GuardVerdict.of([] if history else ["atoms too close"], 0.1)
            exposure = "other_size" if number == 0 else "new"
            predicted = Prediction(configuration, np.array(host.positions), verdict, 0.01, exposure)
            prediction = record_from_prediction(predicted, MODEL, "small")
            store.add_predictions([prediction])
            store.add_relaxations([record_from_relaxation(configuration, relaxation(host, UNRELAXED), ENGINE, "small")])
            if history:
                run = record_from_relaxation(configuration, relaxation(host, history), ENGINE, "small", prediction)
                store.add_relaxations([run])
    return folder


def test_results_show_every_relaxation(invoke, directory):
    reply = invoke("results", directory)
    assert reply.exit_code == 0
    assert "7 relaxations" in reply.stdout
    assert "V_S+V_S" in reply.stdout


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["start=prerelaxed"], 3),
        (["start=prerelaxed", "state=converged"], 2),
        (["state!=converged"], 1),
        (["ionic_steps<5"], 2),
        (["ionic_steps>=9"], 1),
        (["label=V_S+V_S", "host.name=MoS2", "n_defects=2"], 7),
        (["label=V_Mo"], 0),
    ],
)
def test_where_keeps_what_fits(invoke, directory, conditions, expected):
    where = [part for condition in conditions for part in ("--where", condition)]
    assert len(json.loads(invoke("results", directory, *where, "--json").stdout)) == expected


def test_csv_holds_the_same_as_json(invoke, directory):
    rows = json.loads(invoke("results", directory, "--json").stdout)
    table = list(csv.DictReader(io.StringIO(invoke("results", directory, "--csv").stdout)))
    assert [row["configuration_id"] for row in table] == [row["configuration_id"] for row in rows]
    assert [int(row["ionic_steps"]) for row in table] == [row["ionic_steps"] for row in rows]
    assert table[0]["host.name"] == "MoS2"


def test_csv_of_nothing_still_names_the_columns(invoke, directory):
    header = invoke("results", directory, "--csv", "--where", "label=V_Mo").stdout
    assert header.startswith("key,")
    assert header.count("\n") == 1


def test_savings_and_predictions_can_be_queried_too(invoke, directory):
    savings = json.loads(invoke("results", directory, "--of", "savings", "--where", "steps_saved>0", "--json").stdout)
    assert [(row["unrelaxed.ionic_steps"], row["prerelaxed.ionic_steps"]) for row in savings] == [(5, 2), (5, 2)]
    refused = json.loads(
        invoke("results", directory, "--of", "predictions", "--where", "passed=false", "--json").stdout
    )
    assert [row["reasons"] for row in refused] == [["atoms too close"]]


def test_an_unknown_field_is_answered_with_the_nearest(invoke, directory):
    reply = invoke("results", directory, "--where", "ionic_step=3")
    assert reply.exit_code == 2
    assert "did you mean ionic_steps" in reply.stderr
    assert invoke("results", directory, "--where", "hello").exit_code == 2


def test_the_report_counts_the_losers_and_draws_them(invoke, directory):
    reply = invoke("report", directory)
    assert reply.exit_code == 0, reply.stderr
    assert "seen at another size" in reply.stdout
    assert "1 refused by the guard" in reply.stdout
    assert "1 lost the prerelaxed run at the step limit" in reply.stdout
    figure = directory / "ionic_steps.png"
    assert f"Figure: {figure}\nPage: {directory / 'report.html'}" in reply.stdout
    with Image.open(figure) as image:
        assert image.size[0] >= 2000


def test_the_report_as_json_has_the_numbers_behind_it(invoke, directory, tmp_path):
    content = json.loads(invoke("report", directory, "--json", "-o", tmp_path / "figure.png").stdout)
    fine = {row["clusters"]: row for row in content["rows"] if row["threshold"] == 0.01}
    assert fine["new"]["pairs"] == 3
    assert fine["new"]["total_unrelaxed"] == 15
    assert fine["new"]["total_prerelaxed"] == 2 + (5 + 9) + 5
    coarse = {row["clusters"]: row for row in content["rows"] if row["threshold"] == 0.05}
    assert (coarse["all"]["median_unrelaxed"], coarse["all"]["median_prerelaxed"]) == (3, 2)
    assert (tmp_path / "figure.png").exists()
    account = content["account"]
    assert [(cost["start"], cost["runs"]) for cost in account["engines"]] == [("unrelaxed", 4), ("prerelaxed", 3)]
    charged = 4 * 0.01 / 3600
    assert account["predictions"]["core_hours"] == pytest.approx(charged)
    # Losers and refusals included: two runs took nothing off, one was lost, one was refused.
    assert account["measured"]["core_hours"] == pytest.approx(-0.001 - charged)
    assert account["extrapolated"]["configurations"] == 4


@pytest.fixture
def in_database(directory, mongo_address):
    """The same campaign in a database."""
    with open_store(directory, read_only=True) as source, open_store(mongo_address) as target:
        for campaign in source.campaigns():
            target.put_campaign(campaign)
        target.add_predictions(source.predictions(positions=True))
        target.add_relaxations(source.relaxations(positions=True))
    return mongo_address


def test_a_database_answers_as_the_directory_does(invoke, directory, in_database, tmp_path):
    for question in (
        ("--csv",),
        ("--of", "savings", "--json"),
        ("--where", "start=prerelaxed", "--where", "state=converged"),
    ):
        from_directory, from_database = (invoke("results", place, *question) for place in (directory, in_database))
        assert from_database.exit_code == 0, from_database.stderr
        if "savings" not in question:
            assert from_database.stdout == from_directory.stdout
        else:
            timeless = [
                [{**row, "last_updated": None} for row in json.loads(reply.stdout)]
                for reply in (from_directory, from_database)
            ]
            assert timeless[0] == timeless[1]
    figure = tmp_path / "steps.png"
    reports = [json.loads(invoke("report", place, "-o", figure, "--json").stdout) for place in (directory, in_database)]
    assert reports[0] == reports[1]


def test_a_database_that_does_not_answer_is_one_sentence(invoke):
    reply = invoke("results", "mongodb://ada:secret@127.0.0.1:1/results?serverSelectionTimeoutMS=100")
    assert reply.exit_code == 1
    message = " ".join(reply.stderr.split())
    assert "The database mongodb://ada@127.0.0.1:1/results does not answer" in message
    assert "secret" not in message
    assert "Traceback" not in message


def test_of_several_campaigns_one_is_reported(invoke, directory, in_database, tmp_path):
    """The other one has a configuration of its own, and shares one that the first has run already."""
    figure = tmp_path / "steps.png"
    host = Host.from_preset("MoS2", (3, 3, 1), vacuum=15)
    settings = {"name": "other", "host": {"preset": "MoS2", "supercell": [3, 3, 1], "vacuum": 15}}
    plan = Campaign.model_validate({**settings, "configurations": {"recipes": ["V_S+V_S"]}})
    shared, own = (next(enumerate_configurations(host, recipe)) for recipe in ("V_S+V_S", "V_Mo"))
    prediction = record_from_prediction(
        Prediction(own, np.array(host.positions), GuardVerdict.of([], 0.1), 0.01, "new"), MODEL, "other"
    )
    alone = json.loads(invoke("report", in_database, "-o", figure, "--json").stdout)
    with open_store(in_database) as store:
        store.put_campaign(campaign_record(plan, host, MODEL, [shared, own]).model_copy(update={"key": "other"}))
        store.add_predictions([prediction])
        store.add_relaxations(
            [
                record_from_relaxation(own, relaxation(host, UNRELAXED), ENGINE, "other"),
                record_from_relaxation(own, relaxation(host, PRERELAXED), ENGINE, "other", prediction),
            ]
        )
    reply = invoke("report", in_database, "-o", figure)
    assert reply.exit_code == 2
    assert "several campaigns; give one as --campaign: other, small" in " ".join(reply.stderr.split())
    small, other = (
        json.loads(invoke("report", in_database, "--campaign", name, "-o", figure, "--json").stdout)
        for name in ("small", "other")
    )
    assert small == alone
    assert other["account"]["measured"]["configurations"] == 2
    assert [(cost["start"], cost["runs"]) for cost in other["account"]["engines"]] == [
        ("unrelaxed", 2),
        ("prerelaxed", 2),
    ]
    assert "no campaign third" in " ".join(invoke("report", in_database, "--campaign", "third").stderr.split())


def count(invoke, directory, *options):
    return len(json.loads(invoke("results", directory, *options, "--json").stdout))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--host", "MoS2", "--defect", "V_S", "--label", "V_S+V_S"], 7),
        (["--species", "Se"], 0),
        (["--state", "unconverged", "--state", "failed"], 1),
        (["--start", "prerelaxed", "--state", "converged", "--exposure", "new"], 1),
        (["--concentration", "0.07:0.08"], 7),
        (["--concentration", ":0.07"], 0),
        (["--engine", "forcefield", "--charge", "0", "--campaign", "small"], 7),
        (["--model", "tiny", "--query", '{"ionic_steps": {"$lt": 5}}'], 2),
        (["--of", "savings", "--savings", "0.5:", "--same-minimum"], 2),
        (["--of", "savings", "--other-minimum"], 0),
        (["--of", "predictions", "--distance", "3.1:3.15"], 1),
    ],
)
def test_options_keep_what_fits(invoke, directory, options, expected):
    assert count(invoke, directory, *options) == expected


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json", "jsonl", "xyz"])
def test_results_are_written_in_the_format_of_the_name(invoke, directory, tmp_path, suffix):
    file = tmp_path / "new" / f"found.{suffix}"
    reply = invoke("results", directory, "--state", "converged", "-o", file)
    assert reply.exit_code == 0, reply.stderr
    assert reply.stdout == f"{file}: 6 relaxations\n"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-o", "found.pdf"], "found.pdf has no suffix of a format; end it in .parquet, .csv"),
        (["-o", "/proc/none/found.csv"], "/proc/none/found.csv cannot be written"),
        (["-o", "/"], "is a folder; name a file in it"),
        (["-o", "found.csv", "--json"], "--json, --csv and --output exclude each other"),
        (["--distance", "5:3"], "The filter 'distance' cannot be used: nothing lies between 5 and 3"),
        (["--savings", "a lot"], "--savings a lot is no range; write LOW:HIGH"),
        (["--concentration", "1:2:3"], "--concentration 1:2:3 is no range"),
        (["--query", "{n_defects: 1}"], "--query is no JSON"),
        (["--query", '{"n_defect": 1}'], "relaxations have no field 'n_defect'; did you mean n_defects"),
        (["--state", "done"], "relaxations have no state 'done'; the states are converged, unconverged, failed"),
        (["--campaign", "smal"], "There is no campaign 'smal'"),
    ],
    ids=str,
)
def test_what_cannot_be_answered_is_one_sentence(invoke, directory, options, complaint):
    reply = invoke("results", directory, *options)
    assert reply.exit_code == 2
    assert complaint in " ".join(reply.stderr.split())
    assert "Traceback" not in reply.stderr
