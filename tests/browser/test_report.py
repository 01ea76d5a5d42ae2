"""The report page as a reader uses it: searched, sorted, opened, turned, darkened; with texts that would like to be markup."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from definet_flows.analysis.report import Live, report_page, write_page
from definet_flows.analysis.results import campaign_results
from definet_flows.records.store import open_store
from tests.analysis.report import campaign

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
ROWS = "#configurations tbody tr"
CONTRAST = """
() => {
  const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (text) => {
    const [r, g, b] = rgb(text).map((x) => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
  };
  const texts = [...document.querySelectorAll("body *")].filter((element) =>
    element.checkVisibility() && !element.closest("svg, .stage") && !element.matches(":disabled") &&
    [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.map((element) => {
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.className || element.tagName];
  });
}
"""


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    """Directory of the campaign, its configurations, and its page."""
    folder = tmp_path_factory.mktemp("report")
    configurations = campaign.fill(folder)
    campaign.add_elements(folder)
    with open_store(folder, read_only=True) as store:
        page = write_page(report_page(store, campaign_results(store)), folder / "report.html")
    return folder, configurations, page


@pytest.fixture
def visit(chromium, settled):
    """Open a page; gives it with what went wrong on it, and what it asked of the network."""
    contexts = []

    def go(path=None, where="", **options):
        context = chromium.new_context(**{"viewport": WIDE, "color_scheme": "light", **options})
        contexts.append(context)
        page = context.new_page()
        page.trouble, page.requests = [], []
        page.on("console", lambda message: page.trouble.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto((path or settled[2]).as_uri() + where)
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield go
    for context in contexts:
        context.close()


def draw_figures(page):
    """Scroll past every figure and wait until it is drawn."""
    for number in range(4):
        plot = page.locator("#figures .plot").nth(number)
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for()


def column(page, name):
    """Texts of a column of the table, as shown."""
    keys = page.locator("#configurations th").evaluate_all("all => all.map((one) => one.dataset.key)")
    return page.locator(f"{ROWS} td:nth-child({keys.index(name) + 1})").all_text_contents()


def test_the_page_opens_without_an_error_and_asks_nothing_of_the_network(visit, settled):
    page = visit()
    draw_figures(page)
    assert page.trouble == []
    assert page.requests == [settled[2].as_uri()]
    assert page.locator(ROWS).count() == 50
    assert page.locator("#configurations output").text_content() == f"1 to 50 of {len(settled[1])} configurations"
    page.get_by_role("button", name="Next").click()
    assert page.locator(ROWS).count() == len(settled[1]) - 50


def test_search_and_filters_find_what_fits(visit, settled):
    page = visit()
    wanted = settled[1][7]
    page.get_by_label("Search").fill(wanted.id[:10])
    assert column(page, "id") == [wanted.id]
    page.get_by_label("Search").fill("no such thing")
    assert page.locator(ROWS).count() == 0
    assert "None of" in page.locator("#configurations output").text_content()
    page.get_by_label("Search").fill("")
    page.get_by_label("Outcome").select_option("refused by the guard")
    assert column(page, "id") == [settled[1][1].id]


def test_a_click_on_a_heading_sorts_and_another_turns_it_round(visit):
    page = visit()
    heading = page.locator("#configurations th[data-key=unrelaxed]")
    page.locator("#configurations th[data-key=unrelaxed] button").focus()
    page.keyboard.press("Enter")
    rising = [int(text) for text in column(page, "unrelaxed")]
    assert heading.get_attribute("aria-sort") == "ascending"
    assert all(before <= after for before, after in pairwise(rising))
    heading.locator("button").click()
    falling = [int(text) for text in column(page, "unrelaxed") if text != "–"]
    assert heading.get_attribute("aria-sort") == "descending"
    assert falling[0] == 11
    assert all(before >= after for before, after in pairwise(falling))


def test_a_configuration_opens_and_the_way_back_leads_to_the_table(visit, settled):
    page = visit()
    page.get_by_label("Search").fill(settled[1][8].id)
    page.locator(f"{ROWS} a").click()
    page.wait_for_selector("#configuration canvas[data-turn]")
    assert page.url.endswith(f"#/configuration/{settled[1][8].id}")
    assert page.locator("#configuration h1").text_content() == settled[1][8].label
    assert not page.locator("#overview").is_visible()
    page.locator("#configuration .plot").scroll_into_view_if_needed()
    page.locator("#configuration .main-svg").first.wait_for()
    told = page.locator("#configuration").text_content()
    assert "same minimum" in told
    assert "unrelaxed start" in told
    page.go_back()
    page.wait_for_selector("#overview")
    assert column(page, "id") == [settled[1][8].id]
    assert page.trouble == []


def test_an_address_leads_to_a_configuration_and_an_unknown_one_is_told(visit, settled):
    page = visit(where=f"#/configuration/{settled[1][3].id}")
    assert "unrelaxed run did not converge" in page.locator("#configuration").text_content()
    page.goto(f"{settled[2].as_uri()}#/configuration/nonsense")
    assert "no configuration nonsense" in page.locator("#configuration .notice").text_content()


def test_the_structure_turns_and_shows_its_other_states(visit, settled):
    page = visit(where=f"#/configuration/{settled[1][9].id}")
    canvas = page.locator("#configuration canvas")
    pictures, turns = [canvas.screenshot()], [canvas.get_attribute("data-turn")]
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 320, box["y"] + 240, steps=3)
    page.mouse.up()
    pictures.append(canvas.screenshot())
    turns.append(canvas.get_attribute("data-turn"))
    canvas.press("ArrowLeft")
    turns.append(canvas.get_attribute("data-turn"))
    page.get_by_role("button", name="Predicted").click()
    page.get_by_role("button", name="Top").click()
    pictures.append(canvas.screenshot())
    page.get_by_label("Arrows").select_option("none")
    pictures.append(canvas.screenshot())
    assert len(set(pictures)) == 4
    assert len(set(turns)) == 3
    assert page.trouble == []


def test_formation_energies_are_drawn_and_told_at_every_limit(visit, settled):
    page = visit()
    for number in range(2):
        plot = page.locator("#energies .plot").nth(number)
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for()
    assert page.locator("#energies figcaption strong").all_text_contents() == [
        "Formation energy, Mo-rich. ",
        "Formation energy, S-rich. ",
    ]
    cells = page.locator("#energies td").all_text_contents()
    assert campaign.LABEL in cells
    with_selenium = next(one for one in settled[1] if one.label == "V_Mo+V_S+Se_S")
    page.get_by_label("Search").fill(with_selenium.id)
    # -100 + 216 less Mo and two S, and Se added: 116 - 16 - 8 + 3.5 = 95.5 eV, and 116 - 10 - 14 + 5 = 97 eV.
    assert column(page, "formation, S-rich") == ["95.5"]
    assert column(page, "formation, Mo-rich") == ["97"]
    page.locator(f"{ROWS} a").click()
    page.wait_for_selector("#configuration canvas[data-turn]")
    told = page.locator("#configuration").text_content()
    assert "Formation energy, S-rich95.5 eV" in told
    assert "Formation energy, Mo-rich97 eV" in told
    assert page.trouble == []


def test_displacements_are_those_of_the_store(visit, settled):
    folder, configurations, _ = settled
    configuration = configurations[9]
    with open_store(folder, read_only=True) as store:
        (predicted,) = store.predictions({"configuration_id": configuration.id}, positions=True)
    lengths = np.linalg.norm(np.array(predicted.positions) - configuration.host.positions, axis=1)
    page = visit(where=f"#/configuration/{configuration.id}")
    page.get_by_text("Largest displacements").click()
    rows = page.locator("#configuration details tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    shown = {int(site): float(length) for site, _, length, *_ in rows}
    assert len(shown) == 8
    assert shown == pytest.approx({site: lengths[site] for site in shown}, abs=0.0015)
    occupied = np.flatnonzero(configuration.occupied)
    assert max(shown.values()) == pytest.approx(lengths[occupied].max(), abs=0.0015)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_in_light_and_dark(visit, settled, scheme):
    page = visit(color_scheme=scheme)
    assert page.locator("html").get_attribute("data-theme") == scheme
    contrasts = page.evaluate(CONTRAST)
    page.goto(f"{settled[2].as_uri()}#/configuration/{settled[1][0].id}")
    page.wait_for_selector("#configuration canvas")
    contrasts += page.evaluate(CONTRAST)
    assert [one for one in contrasts if one[0] < 4.5] == []
    page.locator("#theme").click()
    assert page.locator("html").get_attribute("data-theme") != scheme


def test_texts_from_records_stay_texts(visit, settled):
    page = visit()
    draw_figures(page)
    page.get_by_label("Search").fill(campaign.LABEL)
    page.locator(f"{ROWS} a").click()
    page.wait_for_selector("#configuration canvas[data-turn]")
    told = page.locator("#configuration").text_content()
    assert page.locator("#configuration h1").text_content() == campaign.LABEL
    assert campaign.REASON in told
    page.goto(f"{settled[2].as_uri()}#/configuration/{settled[1][1].id}")
    assert f"refused: atoms too close {campaign.IMAGE}" in page.locator("#configuration").text_content()
    page.go_back()
    page.go_back()
    page.locator("#figures .plot").first.scroll_into_view_if_needed()
    page.locator("#figures .points path").first.hover(force=True)
    assert page.title() == f"{campaign.NAME} – definet-flows"
    assert page.locator("img").count() == 0
    assert page.evaluate("window.hostile") is None
    assert page.trouble == []


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_sticks_out_of_the_window(visit, settled, viewport):
    page = visit(viewport=viewport)
    draw_figures(page)
    beyond = [page.evaluate("document.documentElement.scrollWidth - innerWidth")]
    page.goto(f"{settled[2].as_uri()}#/configuration/{settled[1][2].id}")
    page.wait_for_selector("#configuration canvas[data-turn]")
    beyond.append(page.evaluate("document.documentElement.scrollWidth - innerWidth"))
    assert max(beyond) <= 0


def test_a_wide_window_shows_every_column_where_no_energies_are_known(visit, tmp_path):
    campaign.fill(tmp_path, n_plain=0)
    with open_store(tmp_path, read_only=True) as store:
        path = write_page(report_page(store, campaign_results(store)), tmp_path / "report.html")
    page = visit(path, where="#/configurations")
    assert page.locator("#configurations th").last.get_attribute("data-key") == "id"
    table = page.locator("#configurations .scroll")
    assert table.evaluate("(box) => box.scrollWidth - box.clientWidth") == 0


def test_paper_gets_no_controls(visit):
    page = visit(color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("#theme").is_visible()
    assert not page.get_by_label("Search").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_an_open_page_reads_itself_again_while_the_campaign_runs(visit, settled, tmp_path):
    with open_store(settled[0], read_only=True) as store:
        path = write_page(report_page(store, campaign_results(store), Live(5.0)), tmp_path / "live.html")
    page = visit(path, where=f"#/configuration/{settled[1][2].id}")
    page.wait_for_selector("text=Live: every 5 s")
    write_page(path.read_text().replace("Steps are evaluations", "Written again. Steps are evaluations"), path)
    page.wait_for_selector("text=Written again")
    page.wait_for_selector("text=Live: every 5 s")
    assert page.locator("#configuration h1").text_content() == settled[1][2].label
    page.locator("#live").click()
    page.wait_for_selector("text=Live: paused")
