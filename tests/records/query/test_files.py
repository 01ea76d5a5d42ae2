"""What is written, read back by the programs it is for."""

from __future__ import annotations

import builtins
import csv
import importlib
import json
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from definet_flows.errors import InputError
from definet_flows.records import open_store
from definet_flows.records.query import Kind
from definet_flows.records.query.files import write
from tests import copper


@pytest.mark.parametrize("kind", list(Kind))
def test_tables_have_the_same_columns_and_types_whatever_is_found(results, kind):
    all_of, none = results.select(kind), results.select(kind, where={"label": "nothing"})
    full, empty = all_of.to_pandas(), none.to_pandas()
    assert list(full) == kind.columns
    assert len(full) == len(all_of)
    assert len(empty) == 0
    assert (full.dtypes == empty.dtypes).all()
    assert not {"positions", "_id"} & set(full)


def test_unknown_figures_stay_unknown(results):
    table = results.relaxations().to_pandas().set_index("key")
    charged = table.loc["f" * 32]
    assert np.isnan(charged["energy"])
    assert charged["electronic_steps"] is pd.NA
    assert charged["checkpoint"] is pd.NA or pd.isna(charged["checkpoint"])
    assert charged["charge"] == -1
    assert json.loads(charged["defects"]) == [[0, "Vac"]]
    assert charged["max_force_history"][-1] == pytest.approx(0.005)
    assert table["details.functional"].isna().all()


@pytest.mark.parametrize("kind", list(Kind))
def test_every_format_tells_the_same(results, kind, tmp_path):
    selection = results.select(kind)
    files = {suffix: selection.write(tmp_path / f"all.{suffix}") for suffix in ("parquet", "csv", "json", "jsonl")}
    rows = selection.rows()
    assert json.loads(files["json"].read_text()) == rows
    assert [json.loads(line) for line in files["jsonl"].read_text().splitlines()] == rows
    with files["csv"].open(newline="") as file:
        texts = list(csv.DictReader(file))
    assert list(texts[0]) == kind.columns
    assert [one["key"] for one in texts] == [one["key"] for one in rows]
    assert [json.loads(one["defects"]) for one in texts] == [one["defects"] for one in rows]
    table = pyarrow.parquet.read_table(files["parquet"])
    assert table.column_names == kind.columns
    assert table.column("concentration").to_pylist() == [one["concentration"] for one in rows]
    empty = results.select(kind, where={"label": "nothing"}).write(tmp_path / "none.parquet")
    assert pyarrow.parquet.read_schema(empty) == table.schema


def test_structures_are_those_of_the_records(results, records, tmp_path):
    file = results.relaxations().write(tmp_path / "all.xyz")
    images = ase.io.read(file, ":")
    by_stage = {
        stage: [one for one in images if one.info["stage"] == stage] for stage in ("initial", "predicted", "relaxed")
    }
    ended = [one for one in records.relaxations if one.positions is not None]
    assert len(by_stage["relaxed"]) == len(ended)
    assert len(by_stage["initial"]) == sum(one.start == "unrelaxed" for one in records.relaxations)
    assert len(by_stage["predicted"]) == sum(one.start == "prerelaxed" for one in records.relaxations)
    energies = [one.get_potential_energy() for one in by_stage["relaxed"] if one.calc is not None]
    assert sorted(energies) == pytest.approx(sorted(one.energy for one in ended if one.energy is not None))
    vacancy = next(one for one in by_stage["relaxed"] if one.info["label"] == "V_Cu" and len(one) == 31)
    assert vacancy.info["host"] == "Cu"
    assert vacancy.pbc.all()


def test_ids_that_look_like_numbers_come_back_as_they_were(records, tmp_path):
    """In a file of structures, whose reader would take them for numbers."""
    odd = records.relaxations[1].model_copy(update={"configuration_id": "12e4", "label": "V_Cu"})
    with open_store(records.place, read_only=True) as store:
        file = write(store, Kind.RELAXATIONS, [odd], tmp_path / "odd.xyz")
    assert [one.info["configuration_id"] for one in ase.io.read(file, ":")] == ["12e4"] * 2


def test_structures_of_a_pair_are_its_start_its_prediction_and_both_ends(results, records):
    pair = results.savings(label="V_Cu+Al_Cu")[:1]
    configuration = copper.configuration({0: "Vac", 1: "Al"}, pair[0].host.supercell_matrix)
    stages = [(one.info["stage"], one.info.get("start")) for one in pair.to_ase()]
    assert stages == [("initial", None), ("predicted", None), ("relaxed", "unrelaxed"), ("relaxed", "prerelaxed")]
    initial, _, unrelaxed, prerelaxed = pair.to_ase()
    np.testing.assert_allclose(initial.positions, configuration.host.positions[configuration.occupied])
    assert np.abs(prerelaxed.positions - unrelaxed.positions).max() == pytest.approx(0.5 * (len(initial) - 1) / 99)
    assert len(results.savings(where={"fallback": True})[:1].to_ase()) == 2


def test_entries_are_the_converged_ends(results, records):
    entries = results.relaxations(defect="Al_Cu").to_entries()
    converged = {
        one.key: one for one in records.relaxations if one.state == "converged" and "Al_Cu" in one.label and one.energy
    }
    assert {entry.entry_id for entry in entries} == set(converged)
    for entry in entries:
        record = converged[entry.entry_id]
        assert entry.energy == record.energy
        assert entry.data["label"] == record.label
        assert entry.parameters == {"engine": "forcefield", "physics_hash": record.engine.physics_hash}
    again = type(entries[0]).from_dict(json.loads(entries[0].to_json()))
    assert StructureMatcher().fit(again.structure, entries[0].structure)


def test_a_file_that_cannot_be_written_leaves_the_old_one(results, tmp_path, monkeypatch):
    file = tmp_path / "all.csv"
    file.write_text("what was there")
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(InputError, match=r"all.csv cannot be written .No space left on device.; name another file"):
        results.predictions().write(file)
    assert file.read_text() == "what was there"
    assert [one.name for one in tmp_path.iterdir()] == ["all.csv"]


@pytest.mark.parametrize(("package", "ask"), [("pandas", "to_pandas"), ("pyarrow", "write")])
def test_a_package_that_is_missing_is_named_with_what_installs_it(results, tmp_path, monkeypatch, package, ask):
    real = importlib.import_module
    monkeypatch.setattr(
        importlib,
        "import_module",
        lambda name: real(name) if name != package else builtins.__import__("no_such_package"),
    )
    arguments = [tmp_path / "all.parquet"] if ask == "write" else []
    with pytest.raises(InputError, match=rf"need the package {package}: pip install 'definet-flows\[query\]'"):
        getattr(results.predictions(), ask)(*arguments)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_column_is_in_the_documentation(kind):
    page = (Path(__file__).parents[3] / "docs" / "query.md").read_text(encoding="utf-8")
    opened = ("details.", "provenance.", "unrelaxed.", "prerelaxed.")
    missing = [name for name in kind.columns if not name.startswith(opened) and f"`{name}`" not in page]
    assert missing == []
    assert all(f"`{prefix}`" in page for prefix in opened)
