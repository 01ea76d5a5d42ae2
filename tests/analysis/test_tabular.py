from __future__ import annotations

import csv

from definet_flows.analysis.tabular import columns_of, filled_columns, markdown_table, write_tables

ROWS = [
    {"network": "Dummy", "MAE (Å)": 0.123456789},
    {"network": "a|b", "seeds": 2, "MAE (Å)": 0.01, "± (Å)": None, "reason": None},
]


def test_columns_come_in_the_order_of_the_fullest_row():
    assert columns_of(ROWS) == ["network", "seeds", "MAE (Å)", "± (Å)", "reason"]
    assert filled_columns(ROWS) == ["network", "seeds", "MAE (Å)"]


def test_markdown_has_no_empty_columns_and_four_digits():
    assert markdown_table(ROWS).splitlines() == [
        "| network | seeds | MAE (Å) |",
        "| --- | ---: | ---: |",
        "| Dummy | – | 0.1235 |",
        "| a\\|b | 2 | 0.01 |",
    ]


def test_a_page_and_a_file_for_every_table(tmp_path):
    written = write_tables(
        tmp_path, "study", "A study", {"by arm": ROWS, "none": []}, ["It was so."], [tmp_path / "study.png"]
    )
    assert [path.name for path in written] == ["study.md", "study-by-arm.csv"]
    page = written[0].read_text(encoding="utf-8")
    assert page.startswith("# A study\n\n- It was so.\n\n## by arm\n\n| network |")
    assert page.endswith("\n![study](study.png)\n")
    with written[1].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["MAE (Å)"]) == 0.123456789, "all digits"
    assert rows[0]["seeds"] == rows[1]["± (Å)"] == ""
