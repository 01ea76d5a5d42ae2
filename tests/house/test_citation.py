"""What people are asked to cite is this version and the papers that the README names."""

from __future__ import annotations

from pathlib import Path

import yaml

import definet_flows

ROOT = Path(__file__).resolve().parents[2]


def test_the_citation_is_of_this_version_and_names_both_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert citation["version"] == definet_flows.__version__
    assert {one["doi"] for one in citation["references"]} == {
        "10.1038/s41524-025-01728-w",
        "10.1038/s41699-023-00369-1",
    }
    assert all(one["doi"] in readme and one["authors"] for one in citation["references"])
