from __future__ import annotations

import json

import pytest

from definet_flows.defects import Host, enumerate_configurations
from definet_flows.defects.listing import read_configurations


def test_hosts_lists_the_six_presets(invoke):
    reply = invoke("hosts", "--json")
    assert [row["host"] for row in json.loads(reply.stdout)] == ["MoS2", "WSe2", "hBN", "GaSe", "InSe", "BP"]
    assert "MoS2" in invoke("hosts").stdout


def test_the_seventeen_low_density_types_are_counted_without_listing(invoke):
    reply = invoke(
        "enumerate", "--host", "MoS2", "--supercell", 8, 8, 1, "--preset", "low-density", "--count-only", "--json"
    )
    counts = json.loads(reply.stdout)
    assert counts["total"] == 5933
    assert len(counts["recipes"]) == 17
    assert counts["recipes"]["V_Mo+V_S"] == 15
    assert "--vacuum 15" in reply.stderr, "the vacuum is under 15 Å"


def test_listing_and_counting_agree_and_write_what_the_library_reads(invoke, tmp_path):
    arguments = (
        "enumerate",
        "--host",
        "hBN",
        "--supercell",
        3,
        3,
        1,
        "--recipe",
        "V_B+V_N",
        "--recipe",
        "C_B+C_N",
        "--json",
    )
    listed = invoke(*arguments, "-o", tmp_path / "new" / "pairs.jsonl")
    assert json.loads(listed.stdout) == json.loads(invoke(*arguments, "--count-only").stdout)
    host = Host.from_dict(json.loads((tmp_path / "new" / "pairs.host.json").read_text()))
    assert host == Host.from_preset("hBN", (3, 3, 1))
    read = read_configurations(tmp_path / "new" / "pairs.jsonl", host)
    expected = [c for recipe in ("V_B+V_N", "C_B+C_N") for c in enumerate_configurations(host, recipe)]
    assert [c.id for c in read] == [c.id for c in expected]


def test_distance_limits_keep_fewer(invoke):
    base = ("enumerate", "--host", "MoS2", "--supercell", 4, 4, 1, "--vacuum", 15, "--recipe", "V_Mo+V_S", "--json")
    near = json.loads(invoke(*base, "--max-distance", 3).stdout)["total"]
    far = json.loads(invoke(*base, "--min-distance", 3).stdout)["total"]
    assert near == 1
    assert near + far == json.loads(invoke(*base).stdout)["total"]


def test_a_skewed_supercell_is_a_matrix(invoke):
    matrix = ("--supercell-matrix", "2 1 0 -1 1 0 0 0 1")
    reply = invoke("enumerate", "--host", "hBN", *matrix, "--recipe", "V_B", "--json")
    assert json.loads(reply.stdout)["total"] == 1


def test_sampling_is_reproducible_for_a_seed(invoke, tmp_path):
    arguments = ("sample", "--host", "MoS2", "--vacuum", 15, "--preset", "high-density", "--per-concentration", 2)
    first, again, other = (tmp_path / f"{name}.jsonl" for name in ("first", "again", "other"))
    assert "total" in invoke(*arguments, "--seed", 1, "-o", first).stdout
    invoke(*arguments, "--seed", 1, "-o", again)
    invoke(*arguments, "--seed", 2, "-o", other)
    assert first.read_text() == again.read_text() != other.read_text()
    assert len(first.read_text().splitlines()) == 5 * 2


def test_sampling_takes_substitutions_of_ones_own(invoke):
    arguments = (
        "sample",
        "--host",
        "MoS2",
        "--supercell",
        4,
        4,
        1,
        "--vacuum",
        15,
        "--substitute",
        "S=Se,Vac",
        "--json",
    )
    reply = invoke(*arguments, "--concentration", 0.0625, "--per-concentration", 3)
    assert json.loads(reply.stdout) == {"total": 3, "concentrations": {"0.0625": 3}}


@pytest.mark.parametrize("suffix", ["cif", "vasp"])
def test_a_host_may_come_from_a_file(invoke, tmp_path, suffix):
    path = tmp_path / f"layer.{suffix}"
    Host.from_preset("MoS2", (1, 1, 1), vacuum=15).structure.to(
        filename=str(path), fmt={"vasp": "poscar"}.get(suffix, suffix)
    )
    reply = invoke(
        "enumerate", "--host", path, "--supercell", 4, 4, 1, "--recipe", "V_Mo+V_S", "--count-only", "--json"
    )
    preset = invoke(
        "enumerate", "--host", "MoS2", "--supercell", 4, 4, 1, "--recipe", "V_Mo+V_S", "--count-only", "--json"
    )
    assert json.loads(reply.stdout) == json.loads(preset.stdout)
