from __future__ import annotations

import csv
import io
import json
import shutil

import pymatgen.core
import pytest
from pymatgen.core import Lattice, Structure

from definet_flows.flows import load_campaign
from definet_flows.flows.plan import campaign_record
from definet_flows.launch.local import run_campaign
from definet_flows.records import open_store
from definet_flows.records.energetics import ElementRecord
from definet_flows.records.extract import pristine_configuration
from tests.vasp_standin.campaign import COMMAND
from tests.vasp_standin.potcars import write_potcars


@pytest.fixture(scope="module")
def campaign_file(copper, tmp_path_factory):
    """Vacancies and palladium in ordered Cu3Au, which EMT knows to be stable."""
    folder = tmp_path_factory.mktemp("campaign")
    frac_coords = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    Structure(Lattice.cubic(3.75), ["Au", "Cu", "Cu", "Cu"], frac_coords).to(filename=str(folder / "Cu3Au.cif"))
    return copper.write_campaign(
        folder,
        model="null",
        host_lines="file: Cu3Au.cif\nsupercell: [2, 2, 2]",
        configurations='{recipes: ["V_Cu", "V_Au", "Pd_Cu", "V_Cu+Pd_Cu"]}',
    )


@pytest.fixture(scope="module")
def bare(campaign_file, tmp_path_factory):
    """The campaign's results, with no elements in them."""
    folder = tmp_path_factory.mktemp("bare") / "run"
    run_campaign(load_campaign(campaign_file), folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def finished(invoke, campaign_file, bare, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(bare, folder)
    outcome = invoke("elements", campaign_file, "--dir", folder)
    assert outcome.exit_code == 0, outcome.output
    return folder


def test_the_elements_of_host_and_dopants_are_relaxed_once(invoke, campaign_file, finished):
    with open_store(finished, read_only=True) as store:
        records = {one.element: one for one in store.read("elements", ElementRecord)}
    assert set(records) == {"Au", "Cu", "Pd"}
    assert {one.state for one in records.values()} == {"converged"}
    again = json.loads(invoke("elements", campaign_file, "--dir", finished, "--json").output)
    assert {one["last_updated"] for one in again} == {one.last_updated for one in records.values()}


def test_formation_energies_at_both_limits_obey_the_host(invoke, finished):
    (screen,) = json.loads(invoke("energies", finished, "--json").output)
    limits = {one["limit"]: one["values"] for one in screen["limits"]}
    assert set(limits) == {"Au-rich", "Cu-rich"}
    for values in limits.values():
        assert 3 * values["Cu"] + values["Au"] == pytest.approx(screen["pristine_energy"] / 8)
    (gold,) = (one for one in screen["formation"] if one["label"] == "V_Au")
    apart = gold["formation_energies"]["Cu-rich"] - gold["formation_energies"]["Au-rich"]
    assert apart == pytest.approx(limits["Cu-rich"]["Au"] - limits["Au-rich"]["Au"])
    # Σ E_f(parts) - E_f(complex) is the binding energy, whatever the limit.
    energies = {one["configuration_id"]: one["formation_energies"]["Au-rich"] for one in screen["formation"]}
    assert len(screen["binding"]) > 2
    for one in screen["binding"]:
        parts = sum(energies[part] for part in one["parts"])
        assert one["binding_energy"] == pytest.approx(parts - energies[one["configuration_id"]])


def test_the_table_names_every_limit_and_one_may_be_chosen(invoke, finished):
    outcome = invoke("energies", "--store", finished)
    assert outcome.exit_code == 0, outcome.output
    assert "Chemical potentials, Au-rich" in outcome.output
    assert "Chemical potentials, Cu-rich" in outcome.output
    assert "not of DFT" in outcome.output
    one = invoke("energies", finished, "--limit", "Cu-rich", "--pairs", "--csv")
    rows = list(csv.DictReader(io.StringIO(one.output)))
    assert "formation, Cu-rich (eV)" in rows[0]
    assert "formation, Au-rich (eV)" not in rows[0]
    assert {row["label"] for row in rows} == {"V_Cu+Pd_Cu"}
    distances = [float(row["distance (Å)"]) for row in rows]
    assert distances == sorted(distances)
    assert len(distances) > 2


def test_a_table_takes_the_place_of_the_records(invoke, finished, tmp_path):
    (screen,) = json.loads(invoke("energies", finished, "--json").output)
    table = tmp_path / "table.json"
    table.write_text(json.dumps({"physics_hash": screen["physics_hash"], "elements": {"Cu": 5.0, "Au": 5.0}}))
    (changed,) = json.loads(invoke("energies", finished, "--elements", table, "--json").output)
    assert {one["limit"]: one["values"]["Cu"] for one in changed["limits"]}["Cu-rich"] == 5.0
    table.write_text(json.dumps({"physics_hash": "another", "elements": {"Cu": 5.0}}))
    refused = invoke("energies", finished, "--elements", table)
    assert refused.exit_code == 2
    assert "energies of different engines or settings cannot be combined" in refused.output


def test_a_compound_in_the_table_holds_its_impurity_down(invoke, finished, tmp_path):
    (screen,) = json.loads(invoke("energies", finished, "--json").output)
    (gold,) = (one["values"]["Au"] for one in screen["limits"] if one["limit"] == "Cu-rich")
    table = tmp_path / "table.yaml"
    table.write_text(f"physics_hash: {screen['physics_hash']}\ncompounds: {{PdAu3: {3 * gold - 1.0}, CuAu: -9.0}}\n")
    outcome = invoke("energies", finished, "--elements", table, "--limit", "Cu-rich")
    assert outcome.exit_code == 0, outcome.output
    assert "Pd -1.0000 (PdAu3)" in outcome.output
    assert "CuAu would form there" in outcome.output


def test_without_elements_the_rest_is_shown_and_the_cure_named(invoke, bare):
    outcome = invoke("energies", bare)
    assert outcome.exit_code == 0
    assert "There is no energy of the elemental phase of Au, Cu" in outcome.output
    assert "run `definet-flows elements`" in outcome.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["energies"], "Name the results once"),
        (["energies", "{empty}"], "holds no results"),
        (["energies", "{run}", "--json", "--csv"], "exclude each other"),
        (["energies", "{run}", "--limit", "S-rich"], "There is no limit S-rich; there are Au-rich, Cu-rich"),
        (["energies", "{run}", "--elements", "{empty}/none.yaml"], "There is no table of elements"),
    ],
)
def test_bad_input_is_one_sentence(invoke, finished, tmp_path, arguments, sentence):
    outcome = invoke(*(argument.format(empty=tmp_path, run=finished) for argument in arguments))
    assert outcome.exit_code == 2
    assert sentence in outcome.output


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib, asked by pymatgen
def test_vasp_relaxes_elements_and_compounds_for_its_supercells(invoke, copper, tmp_path, monkeypatch):
    potcars = write_potcars(tmp_path / "potcars", ["Cu_pv", "Al"])
    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", str(potcars))
    path = copper.write_campaign(
        tmp_path,
        model="null",
        engine=f"{{name: vasp, vasp_cmd: '{COMMAND}', kpoints: [2, 2, 2], poll_seconds: 0.05, monitor_seconds: 0.1}}",
        configurations='{recipes: ["Al_Cu"]}',
        elements="{kpoint_density: 30, crystals: [CuAl.cif]}",
    )
    Structure(Lattice.cubic(3.0), ["Cu", "Al"], [[0, 0, 0], [0.5] * 3]).to(filename=str(tmp_path / "CuAl.cif"))
    run = tmp_path / "run"
    plan = load_campaign(path)
    configurations = [pristine_configuration(copper.host()), copper.configuration({0: "Al"})]
    with open_store(run) as store:
        store.put_campaign(campaign_record(plan, copper.host(), None, configurations))
        store.add_relaxations([copper.record(one, engine=plan.engine, energy=-110.0) for one in configurations])
    outcome = invoke("elements", path, "--dir", run)
    assert outcome.exit_code == 0, outcome.output
    with open_store(run, read_only=True) as store:
        records = {one.element: one for one in store.read("elements", ElementRecord)}
    assert {name: (one.kpoint_density, one.kpoints) for name, one in records.items()} == {
        "Al": (30.0, (7, 7, 7)),
        "AlCu": (30.0, (6, 6, 6)),
    }
    (screen,) = json.loads(invoke("energies", run, "--json").output)
    (limit,) = screen["limits"]
    alone, together = records["Al"].energy_per_atom, 2 * records["AlCu"].energy_per_atom
    assert limit["values"]["Cu"] == pytest.approx(-110.0 / 32)
    assert limit["values"]["Al"] == pytest.approx(min(alone, together + 110.0 / 32))
    assert list(screen["formation"][0]["formation_energies"]) == ["Cu-rich"]


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib, asked by pymatgen
def test_a_crystal_of_the_user_takes_the_place_of_an_elements_phase(invoke, copper, tmp_path):
    Structure(Lattice.cubic(3.2), ["Al"] * 2, [[0, 0, 0], [0.5] * 3]).to(filename=str(tmp_path / "bcc.cif"))
    changes = {"configurations": "{recipes: [Al_Cu, Mn_Cu]}", "model": "null"}
    path = copper.write_campaign(tmp_path, elements="{crystals: [bcc.cif]}", **changes)
    refused = invoke("elements", path, "--dir", tmp_path / "run")
    assert refused.exit_code == 2
    assert "elemental phase of Mn is known here; name one under elements.crystals" in refused.output
    path = copper.write_campaign(
        tmp_path, elements="{crystals: [bcc.cif]}", **changes | {"configurations": "{recipes: [Al_Cu]}"}
    )
    (record,) = json.loads(invoke("elements", path, "--dir", tmp_path / "run", "--json").output)
    assert (record["element"], record["phase"], record["source"]) == ("Al", "Im-3m Al", "bcc.cif")


def test_an_element_that_the_potential_cannot_treat_is_a_record_and_an_error(invoke, copper, tmp_path):
    path = copper.write_campaign(tmp_path, model="null", configurations='{recipes: ["Mo_Cu", "Al_Cu"]}')
    outcome = invoke("elements", path, "--dir", tmp_path / "run")
    assert outcome.exit_code == 1
    assert "Not relaxed: Mo (" in outcome.output
    with open_store(tmp_path / "run", read_only=True) as store:
        states = {one.element: one.state for one in store.read("elements", ElementRecord)}
    assert states == {"Al": "converged", "Mo": "failed"}  # copper itself is the host, and its own reference
