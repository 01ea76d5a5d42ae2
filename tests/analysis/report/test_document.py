from __future__ import annotations

import base64
import gzip
import json
import re
import stat
from html.parser import HTMLParser

import pytest

from definet_flows.analysis.report import Live, report_page, write_page
from definet_flows.analysis.results import campaign_results
from definet_flows.errors import InputError
from definet_flows.records.store import open_store
from tests.analysis.report import campaign


class Elements(HTMLParser):
    """Names of the elements of a page, and its texts."""

    def __init__(self, page):
        super().__init__()
        self.names, self.texts, self.attributes = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self.attributes += [name for name, _ in attributes]

    def handle_data(self, text):
        self.texts.append(text)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The configurations of the campaign, its results, and its page."""
    folder = tmp_path_factory.mktemp("report")
    configurations = campaign.fill(folder, n_plain=3)
    with open_store(folder, read_only=True) as store:
        results = campaign_results(store)
        return configurations, results, report_page(store, results)


def block(page, name):
    text = re.search(f'id="packed-{name}">([^<]*)<', page)[1]
    return gzip.decompress(base64.b64decode(text))


def test_texts_from_records_make_no_elements(written):
    elements = Elements(written[2])
    assert "img" not in elements.names
    assert not any(name.startswith("on") for name in elements.attributes)
    assert any(campaign.NAME in text for text in elements.texts)
    assert campaign.IMAGE not in written[2]


def test_the_browser_may_run_our_scripts_and_load_nothing(written):
    page = written[2]
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', page)
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert re.search(r"script-src( 'sha256-[\w+/=]+'){2};", policy)
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", re.sub(r'id="packed-plotly">[^<]*<', "", page))


def test_every_outcome_has_its_row(written):
    configurations, results, page = written
    columns = json.loads(block(page, "overview"))["columns"]
    status = dict(zip(columns["id"], columns["status"], strict=True))
    assert [status[one.id] for one in configurations[:7]] == [
        "prerelaxed run failed",
        "refused by the guard",
        "another minimum",
        "unrelaxed run did not converge",
        "converged",
        "predicted",
        "same minimum",
    ]
    counted = [steps for steps, shown in zip(columns["counted"], columns["shown"], strict=True) if shown]
    row = results.rows[-1]
    assert [sum(steps) for steps in zip(*counted, strict=True)] == [row.total_unrelaxed, row.total_prerelaxed]
    assert len(counted) == row.pairs


def test_headlines_are_those_of_the_savings_table(written):
    _, results, page = written
    row = results.rows[-1]
    assert sum(row.losers.values()) == 4
    assert f">4 of {row.pairs}<" in page
    assert f">{row.same_minimum} of {row.pairs}<" in page
    assert f"{row.total_unrelaxed} → {row.total_prerelaxed} over {row.pairs} pairs" in page
    assert f"{row.reduction_of_totals:.0%} <small>95 % interval [" in page


def test_a_page_of_a_configuration_has_both_runs(written):
    configurations, _, page = written
    columns = json.loads(block(page, "overview"))["columns"]
    pages = json.loads(block(page, "pages-0"))
    lost = pages[columns["id"].index(configurations[0].id)]
    assert [run["state"] for run in lost["runs"]] == ["converged", "failed"]
    assert lost["runs"][1]["reason"] == campaign.REASON
    assert lost["runs"][0]["history"] == campaign.UNRELAXED
    assert len(lost["structures"]) == 3
    assert lost["pair"]["same_minimum"] is None


@pytest.fixture(scope="module")
def with_energies(tmp_path_factory):
    """The configurations of a campaign whose store holds elements, and its page."""
    folder = tmp_path_factory.mktemp("energies")
    configurations = campaign.fill(folder, n_plain=0)
    campaign.add_elements(folder)
    with open_store(folder, read_only=True) as store:
        return configurations, report_page(store, campaign_results(store))


def test_formation_energies_stand_at_every_limit_by_hand(with_energies):
    configurations, page = with_energies
    overview = json.loads(block(page, "overview"))
    assert overview["limits"] == ["Mo-rich", "S-rich"]
    found = dict(zip(overview["columns"]["id"], overview["columns"]["formation"], strict=True))
    # V_Mo+V_S+V_S at -100 eV: 216 - 100 less Mo and two S, 116 - 16 - 8 = 116 - 10 - 14 = 92 eV. Only a prediction: none.
    assert found[configurations[0].id] == {"S-rich": 92.0, "Mo-rich": 92.0}
    assert found[configurations[5].id] is None
    assert "<td>MoSe2 (Se)</td>" not in page  # no configuration here has selenium
    assert "These are the energies of a machine-learned potential, not of DFT." in page
    assert campaign.IMAGE not in page


def test_without_elements_there_is_no_word_of_energies(written):
    assert json.loads(block(written[2], "overview"))["limits"] == []
    assert "Formation energies" not in re.sub(r"<script[^>]*>[^<]*<", "", written[2])


def test_a_page_is_live_only_when_it_is_written_again(written, tmp_path):
    folder = tmp_path / "campaign"
    campaign.fill(folder, n_plain=0)
    with open_store(folder, read_only=True) as store:
        assert 'data-reload="30"' in report_page(store, campaign_results(store), Live(30.0))
    assert 'data-reload=""' in written[2]


def test_a_page_takes_the_place_of_an_older_one(tmp_path):
    path = tmp_path / "report.html"
    write_page("old", path)
    write_page("new", path)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(InputError, match=r"cannot be written .*; name another file"):
        write_page("page", tmp_path / "no-such-folder" / "report.html")
