"""`report` and `top` on the command line; what the savings table says is tested with the records."""

from __future__ import annotations

import builtins
import os
import pty
import subprocess
import time

import pytest

from definet_flows.analysis.report import document
from definet_flows.records.store import open_store
from tests.analysis.report import campaign


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    campaign.fill(folder, n_plain=2)
    return folder


@pytest.fixture
def one_start_only(tmp_path):
    """A campaign that has predicted one configuration and relaxed another from its prediction alone."""
    folder = tmp_path / "young"
    configurations = campaign.fill(folder, n_plain=0)
    with open_store(folder) as store:
        store.stores["relaxations"].remove_docs({"start": "unrelaxed"})
    return folder, configurations


def test_the_page_lies_beside_the_figure_or_where_it_is_asked_for(invoke, directory, tmp_path):
    assert invoke("report", directory, "-o", tmp_path / "a" / "steps.png").exit_code == 0
    assert (tmp_path / "a" / "report.html").stat().st_size > 1_000_000
    reply = invoke("report", directory, "-o", tmp_path / "steps.png", "--html", tmp_path / "b" / "page.html")
    assert reply.stdout.rstrip().endswith(f"Page: {tmp_path / 'b' / 'page.html'}")
    assert (tmp_path / "b" / "page.html").exists()


def test_a_figure_of_no_known_format_is_one_sentence(invoke, directory, tmp_path):
    reply = invoke("report", directory, "-o", tmp_path / "page.html")
    assert reply.exit_code == 2
    assert "let its name end in .png, .svg or .pdf" in " ".join(reply.stderr.split())


def test_before_the_first_pair_there_is_a_page_and_no_figure(invoke, one_start_only, tmp_path):
    folder, _ = one_start_only
    reply = invoke("report", folder, "--html", tmp_path / "page.html")
    assert reply.exit_code == 0, reply.stderr
    assert "No configuration has been relaxed from both starts yet" in reply.stdout
    assert "Figure:" not in reply.stdout
    assert "there is no saving to report" in (tmp_path / "page.html").read_text()


def test_a_page_that_cannot_be_written_is_told_before_the_work(invoke, directory, tmp_path, monkeypatch):
    monkeypatch.setattr(document, "report_page", lambda *_: pytest.fail("the work was done first"))
    (tmp_path / "file").write_text("")
    reply = invoke("report", directory, "--html", tmp_path / "file" / "page.html")
    assert reply.exit_code == 2
    assert "cannot be made" in reply.stderr
    reply = invoke("report", directory, "--html", tmp_path)
    assert reply.exit_code == 2
    assert "is a folder; name a file in it" in " ".join(reply.stderr.split())


def test_without_plotly_it_says_what_to_install(invoke, directory, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.startswith("plotly"):
            raise ModuleNotFoundError("No module named 'plotly'", name="plotly")
        return real(name, *arguments, **keywords)

    document.plotly_source.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    reply = invoke("report", directory, "-o", tmp_path / "steps.png")
    assert reply.exit_code == 1
    assert "pip install 'definet-flows[report]'" in reply.stderr
    assert not (tmp_path / "steps.png").exists()


def test_a_document_of_another_schema_is_named(invoke, tmp_path):
    folder = tmp_path / "mixed"
    campaign.fill(folder, n_plain=0)
    with open_store(folder) as store:
        stored = store.stores["relaxations"].query_one({})
        store.stores["relaxations"].update([{**stored, "schema_version": 99, "unheard_of": 1}])
    for command in ("report", "top"):
        reply = invoke(command, folder)
        assert reply.exit_code != 0
        told = " ".join(reply.stderr.split())
        assert stored["key"] in told
        assert "it says 99" in told
        assert "install the version of definet-flows that wrote it" in told


def test_a_watch_writes_again_when_records_change_and_ends_with_the_campaign(command, tmp_path):
    folder = tmp_path / "run"
    configurations = campaign.fill(folder, n_plain=1)
    with open_store(folder) as store:
        record = store.campaigns()[0]
        done = [one.id for one in configurations if one.id not in {configurations[4].id, configurations[5].id}]
        held_back = list(store.relaxations({"configuration_id": done[0], "start": "unrelaxed"}, positions=True))
        store.put_campaign(record.model_copy(update={"configuration_ids": done, "baseline_ids": done}))
        store.stores["relaxations"].remove_docs({"key": held_back[0].key})
    line = command("report", folder, "--watch", "--interval", 0.2)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        told = [process.stdout.readline() for _ in range(2)]
        page = (folder / "report.html").read_text()
        with open_store(folder) as store:
            store.add_relaxations(held_back)
        rest, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert told[1].endswith("4 configurations done, 1 left\n")
    assert 'data-reload="0.2"' in page
    assert rest.endswith("5 configurations done, 0 left\n")
    assert 'data-reload=""' in (folder / "report.html").read_text()


def test_top_without_a_terminal_prints_one_frame(invoke, directory):
    reply = invoke("top", directory)
    assert reply.exit_code == 0, reply.stderr
    assert "6 of 8 configurations done" in reply.stdout
    assert "losers: 1 in another minimum, 1 refused by the guard" in reply.stdout
    assert campaign.LABEL in reply.stdout
    assert reply.stdout.count("crashed") == 2


def test_a_report_of_nothing_leaves_nothing(invoke, tmp_path):
    reply = invoke("report", tmp_path / "absent")
    assert reply.exit_code == 2
    assert "holds no results" in reply.stderr
    assert not (tmp_path / "absent").exists()


def test_top_of_nothing_is_told(invoke, tmp_path):
    reply = invoke("top", tmp_path)
    assert reply.exit_code == 2
    assert "holds no results" in reply.stderr


def test_top_on_a_terminal_ends_with_q(command, directory):
    ours, theirs = pty.openpty()
    line = command("top", directory, "--interval", 0.2)
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while b"configurations done" not in shown:
            shown += os.read(ours, 4096)
        time.sleep(0.3)
        os.write(ours, b"q")
        while _read(ours):
            pass
        assert process.wait(timeout=30) == 0
    os.close(ours)


def _read(terminal):
    """What a terminal shows; nothing once its other end is closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
