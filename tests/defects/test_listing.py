from __future__ import annotations

import json

import pytest

from definet_flows.defects import Host, enumerate_configurations, read_configurations, write_configurations
from definet_flows.errors import InputError


@pytest.fixture
def listing(mos2, make_host, tmp_path):
    """Configurations of two supercells in one file."""
    chosen = [
        *enumerate_configurations(mos2, "V_Mo+Se_S"),
        *enumerate_configurations(make_host("MoS2", (4, 4, 1)), "V_S+V_S"),
    ]
    return chosen, write_configurations(chosen, tmp_path / "listing.jsonl")


def test_round_trip_over_several_supercells(mos2, listing):
    chosen, file = listing
    assert read_configurations(file, mos2) == chosen


def test_lines_are_plain_json(mos2, listing):
    chosen, file = listing
    for configuration, line in zip(chosen, file.read_text(encoding="utf-8").splitlines(), strict=True):
        entry = json.loads(line)
        assert entry["supercell"] == [list(row) for row in configuration.host.supercell_matrix]
        assert entry["label"] == configuration.label
        assert (entry["cluster_id"], entry["placement_id"]) == (configuration.cluster_id, configuration.placement_id)


def test_lists_fit_the_same_crystal_with_another_vacuum(listing):
    chosen, file = listing
    wide = read_configurations(file, Host.from_preset("MoS2", (1, 1, 1), vacuum=25))
    assert [c.placement_id for c in wide] == [c.placement_id for c in chosen]
    assert [c.host.vacuum for c in wide] == [pytest.approx(25)] * len(chosen)


def test_an_empty_list(mos2, tmp_path):
    assert read_configurations(write_configurations([], tmp_path / "none.jsonl"), mos2) == []


def test_hand_written_lines_need_no_ids(mos2, tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"supercell": [5, 5, 1], "defects": [[3, "W"], [30, "Vac"]]}\n')
    (read,) = read_configurations(tmp_path / "mine.jsonl", mos2)
    assert read.label == "W_Mo+V_S"


def test_a_list_of_another_crystal_is_refused(mos2, make_host, tmp_path):
    file = write_configurations(enumerate_configurations(mos2, "V_Mo+V_S"), tmp_path / "vacancies.jsonl")
    with pytest.raises(InputError, match="line 1 belongs to another crystal than WSe2"):
        read_configurations(file, make_host("WSe2", (5, 5, 1)))
    write_configurations(enumerate_configurations(mos2, "Se_S"), file)
    with pytest.raises(InputError, match="line 1 does not fit WSe2: Se_Se changes nothing"):
        read_configurations(file, make_host("WSe2", (5, 5, 1)))


@pytest.mark.parametrize(
    "line",
    ["no json", "[]", "{}", '{"supercell": [5, 5, 1]}', '{"supercell": [5, 5, 1], "defects": [1]}', "3", "", '"text"'],
)
def test_damaged_lines_are_named(mos2, tmp_path, line):
    (tmp_path / "bad.jsonl").write_text(f'{{"supercell": [5, 5, 1], "defects": [[3, "W"]]}}\n{line}\n')
    with pytest.raises(InputError, match=r"bad.jsonl, line 2 is not a configuration"):
        read_configurations(tmp_path / "bad.jsonl", mos2)


def test_missing_files_and_impossible_content(mos2, tmp_path):
    with pytest.raises(InputError, match="There is no configuration file"):
        read_configurations(tmp_path / "nowhere.jsonl", mos2)
    (tmp_path / "bad.jsonl").write_text('{"supercell": [5, 0, 1], "defects": [[3, "W"]]}\n')
    with pytest.raises(InputError, match=r"line 1 does not fit MoS2: .* must be positive"):
        read_configurations(tmp_path / "bad.jsonl", mos2)
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not text"):
        read_configurations(tmp_path / "bytes.jsonl", mos2)
