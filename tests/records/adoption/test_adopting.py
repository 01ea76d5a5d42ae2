from __future__ import annotations

import re

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines import VaspEngine
from definet_flows.errors import InputError
from definet_flows.records import RecordStore, build_savings, open_store
from definet_flows.records.adoption import adopt_directories, checkpoint_origin, named_origin
from tests import copper, vasp_runs


@pytest.fixture(scope="module")
def host():
    return Host.from_preset("MoS2", (3, 3, 1), vacuum=15)


def given(host, changes):
    """A placement as a group happens to have it, atoms sorted by element as most tools do."""
    structure = DefectConfiguration(host, tuple(sorted(changes.items()))).structure()
    return structure.get_sorted_structure()


@pytest.fixture(scope="module")
def runs(host, tmp_path_factory):
    """Two pairs, each with its starts in different but equivalent places, and atoms in another order, image and origin."""
    folder = tmp_path_factory.mktemp("group")
    vasp_runs.relaxed(folder / "vacancy" / "plain", given(host, {9: "Vac"}))
    moved = vasp_runs.shaken(given(host, {22: "Vac"}), 0.04)
    wrapped = Structure(
        moved.lattice, moved.species[::-1], (moved.frac_coords[::-1] + np.array([0.31, 0.17, 0.05])) % 1.0
    )
    vasp_runs.compress(vasp_runs.relaxed(folder / "vacancy" / "predicted", wrapped))
    vasp_runs.relaxed(folder / "complex" / "plain", given(host, {0: "W", 12: "Vac"}))
    vasp_runs.relaxed(folder / "complex" / "predicted", vasp_runs.shaken(given(host, {0: "W", 12: "Vac"}), 0.04))
    vasp_runs.relaxed(folder / "pristine", host.structure)
    return folder


@pytest.fixture
def store():
    with RecordStore.in_memory() as opened:
        yield opened


@pytest.fixture
def adopt(store, host):
    def do(*folders, origin=None, tolerance=0.01, host=host):
        return adopt_directories(store, folders, host, origin or named_origin(), tolerance, "group")

    return do


def by_name(adopted, root):
    return {str(one.directory.relative_to(root)): one for one in adopted}


def test_runs_are_told_apart_and_paired(adopt, store, runs):
    found = by_name(adopt(runs), runs)
    assert [one.outcome for one in found.values()] == ["new"] * 5
    assert {name: (one.record.label, one.record.start) for name, one in found.items()} == {
        "complex/plain": ("W_Mo+V_S", "unrelaxed"),
        "complex/predicted": ("W_Mo+V_S", "prerelaxed"),
        "pristine": ("pristine", "unrelaxed"),
        "vacancy/plain": ("V_S", "unrelaxed"),
        "vacancy/predicted": ("V_S", "prerelaxed"),
    }
    assert {name for name, one in found.items() if one.paired} == found.keys() - {"pristine"}
    savings = build_savings(store)
    assert [(one.label, one.pair_state) for one in savings] == [
        ("V_S", "both_converged"),
        ("W_Mo+V_S", "both_converged"),
    ]


def test_ends_are_compared_in_one_frame(adopt, store, runs):
    """The vacancy's two runs are in other places, orders, images and origins, and end in the same minimum."""
    adopt(runs)
    for pair in build_savings(store):
        assert pair.same_minimum, pair
        assert pair.largest_distance < 0.02


def test_coordinates_are_those_of_the_canonical_configuration(adopt, store, runs, host):
    adopt(runs)
    for record in store.relaxations({"kind": "defect"}, positions=True):
        configuration = store.configuration(record)
        occupied = configuration.occupied
        end = configuration.structure(np.array(record.positions))
        assert end.is_valid(tol=1.9), "a vacancy left where an atom is would put two atoms together"
        assert np.linalg.norm(np.array(record.positions) - host.positions, axis=1)[occupied].max() < 0.5


def test_figures_settings_and_origin_are_on_the_record(adopt, store, runs):
    adopt(runs)
    record = next(store.relaxations({"label": "V_S", "start": "prerelaxed"}))
    assert (record.engine.name, record.engine.version) == ("vasp", "VASP 6.4.2")
    assert record.engine.physics["incar"]["ENCUT"] == 500
    assert record.engine.execution["settings"]["NSW"] == 100
    assert record.details.directory.endswith("vacancy/predicted")
    assert (record.checkpoint, record.guard_hash, record.exposure) == ("unknown", "none", "unknown")
    assert record.prerelax_seconds is None
    (saving,) = build_savings(store, {"label": "V_S"})
    assert saving.prerelax_core_hours is saving.net_core_hours_saved is None
    assert saving.core_hours_saved is not None


def test_adopting_twice_changes_nothing(runs, host, tmp_path):
    everything = []
    for _ in range(2):
        with open_store(tmp_path) as store:
            outcomes = adopt_directories(store, [runs], host, named_origin(), 0.01, "group")
            content = [*store.relaxations(positions=True), *store.predictions(positions=True), *store.campaigns()]
            everything.append(sorted(content, key=lambda document: document.key))
    assert everything[0] == everything[1]
    assert {one.outcome for one in outcomes} == {"unchanged"}


def test_a_run_that_went_on_since_is_read_again(adopt, store, host, tmp_path):
    folder = vasp_runs.relaxed(tmp_path / "run", given(host, {9: "Vac"}))
    whole = {name: (folder / name).read_bytes() for name in ("vasprun.xml", "OUTCAR", "OSZICAR", "vasp.out")}
    for name in whole:
        vasp_runs.cut(folder / name, 0.5)
    assert [(one.outcome, one.record.state) for one in adopt(tmp_path)] == [("new", "failed")]
    for name, content in whole.items():
        (folder / name).write_bytes(content)
    assert [(one.outcome, one.record.state) for one in adopt(tmp_path)] == [("changed", "converged")]
    assert len(list(store.relaxations())) == 1


def test_other_settings_are_not_paired_and_named(adopt, host, tmp_path):
    structure = given(host, {9: "Vac"})
    vasp_runs.relaxed(tmp_path / "plain", structure)
    vasp_runs.relaxed(tmp_path / "predicted", vasp_runs.shaken(structure), ENCUT=520, ALGO="Fast")
    found = by_name(adopt(tmp_path), tmp_path)
    assert not any(one.paired for one in found.values())
    assert found["plain"].reason == "its prerelaxed run differs in ENCUT (500.0, 520.0)"
    assert found["predicted"].reason == "its unrelaxed run differs in ENCUT (520.0, 500.0)"


def test_the_other_start_of_a_campaign_is_not_compared_setting_by_setting(adopt, store, host, tmp_path):
    structure = vasp_runs.shaken(given(host, {9: "Vac"}))
    vasp_runs.relaxed(tmp_path / "predicted", structure)
    configuration = DefectConfiguration.create(host, {9: "Vac"})
    store.add_relaxations([copper.record(configuration, engine=VaspEngine(), campaign="ours")])
    (found,) = adopt(tmp_path)
    assert found.reason == "its unrelaxed run is a campaign's; adopt both into a store of their own"


def test_settings_that_nothing_tells_are_not_taken_for_equal(adopt, runs, tmp_path):
    for name in ("plain", "predicted"):
        folder = vasp_runs.copied(runs / "complex" / name, tmp_path / name)
        for file in ("vasprun.xml", "INCAR"):
            (folder / file).unlink()
    found = adopt(tmp_path)
    assert [one.record.state for one in found] == ["converged", "converged"]
    assert not any(one.paired for one in found)
    assert {one.reason for one in found} == {
        "no file tells incar of it or of its prerelaxed run",
        "no file tells incar of it or of its unrelaxed run",
    }


def test_a_run_without_its_other_start_says_so(adopt, host, tmp_path):
    vasp_runs.relaxed(tmp_path / "plain", given(host, {9: "Vac"}))
    (found,) = adopt(tmp_path)
    assert found.reason == "no prerelaxed run of this configuration"


def test_a_second_run_of_the_same_is_left_out(adopt, store, runs, tmp_path):
    vasp_runs.copied(runs / "vacancy" / "plain", tmp_path / "copy")
    adopt(runs)
    (found,) = adopt(tmp_path)
    assert found.outcome == "left out"
    assert found.reason.endswith("vacancy/plain has the same configuration, start and settings")
    assert len(list(store.relaxations({"label": "V_S"}))) == 2


def test_a_run_that_goes_on_from_another_is_no_start_of_its_own(adopt, host, tmp_path):
    first = vasp_runs.relaxed(tmp_path / "first", given(host, {9: "Vac"}), EDIFFG=-0.1)
    vasp_runs.relaxed(tmp_path / "again", Structure.from_file(first / "CONTCAR"))
    found = by_name(adopt(tmp_path), tmp_path)
    assert found["first"].outcome == "new"
    assert found["again"].outcome == "left out"
    assert found["again"].reason.startswith(f"it starts where {first} ended")


def test_the_crystal_may_be_that_of_another_functional(adopt, host, tmp_path):
    """Lattice and height of the layer differ from the preset's; the starts are as pristine as ever."""
    own = Host.from_structure(
        Structure(
            Lattice.hexagonal(3.16, 20.0),
            ["Mo", "S", "S"],
            [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5 - 1.55 / 20], [2 / 3, 1 / 3, 0.5 + 1.55 / 20]],
        ),
        (3, 3, 1),
    )
    structure = given(own, {9: "Vac"})
    vasp_runs.relaxed(tmp_path / "plain", structure)
    vasp_runs.relaxed(tmp_path / "predicted", vasp_runs.shaken(structure, 0.04))
    found = by_name(adopt(tmp_path), tmp_path)
    assert [found[name].record.start for name in ("plain", "predicted")] == ["unrelaxed", "prerelaxed"]
    assert all(one.paired for one in found.values())


def test_a_shaken_start_is_unrelaxed_within_the_tolerance_given(adopt, host, tmp_path):
    vasp_runs.relaxed(tmp_path, vasp_runs.shaken(given(host, {9: "Vac"}), 0.03))
    assert adopt(tmp_path)[0].record.start == "prerelaxed"
    assert adopt(tmp_path, tolerance=0.1)[0].record.start == "unrelaxed"


def test_charged_cells_are_other_records(adopt, host, tmp_path):
    structure = given(host, {9: "Vac"})
    vasp_runs.relaxed(tmp_path / "neutral", structure)
    electrons = sum(vasp_runs.VALENCES[site.specie.symbol] for site in structure)
    vasp_runs.relaxed(tmp_path / "charged", structure, NELECT=electrons + 1)
    found = by_name(adopt(tmp_path), tmp_path)
    assert (found["neutral"].record.charge, found["charged"].record.charge) == (0, -1)
    assert found["neutral"].record.key != found["charged"].record.key


def test_runs_that_cannot_be_read_say_why(adopt, host, tmp_path):
    vasp_runs.relaxed(tmp_path / "static", given(host, {9: "Vac"}), NSW=0)
    vasp_runs.relaxed(tmp_path / "larger", Host.from_preset("MoS2", (4, 4, 1)).structure)
    (vasp_runs.write_inputs(tmp_path / "empty", given(host, {9: "Vac"})) / "OUTCAR").touch()
    (vasp_runs.write_inputs(tmp_path / "lost", given(host, {9: "Vac"})) / "OUTCAR").touch()
    (tmp_path / "lost" / "POSCAR").unlink()
    found = by_name(adopt(tmp_path), tmp_path)
    assert {name: one.outcome for name, one in found.items()} == {
        "empty": "new",
        "larger": "not read",
        "lost": "not read",
        "static": "not read",
    }
    assert found["empty"].record.state == "failed"
    assert found["empty"].record.core_hours is None
    assert "is not the MoS2 supercell" in found["larger"].reason
    assert "No file tells where the atoms started" in found["lost"].reason
    assert "holds no relaxation" in found["static"].reason


def rewritten(folder, replacements):
    """The run as if another VASP had written it."""
    for file in folder.iterdir():
        content = file.read_text()
        for before, after in replacements.items():
            content = re.sub(before, after, content)
        file.write_text(content)
    return folder


def test_a_killed_run_that_was_gzipped_is_a_loss_with_its_costs(adopt, runs, tmp_path):
    folder = vasp_runs.copied(runs / "complex" / "plain", tmp_path / "killed")
    for name in ("vasprun.xml", "OUTCAR", "OSZICAR", "vasp.out"):
        vasp_runs.cut(folder / name, 0.6)
    (found,) = adopt(vasp_runs.compress(folder))
    assert (found.outcome, found.record.state) == ("new", "failed")
    assert found.record.reason == f"VASP was cut off after {found.record.ionic_steps} ionic steps"
    assert found.record.core_hours > 0
    assert "less than all" in found.record.details.caveats["wall_seconds"]


def test_runs_of_vasp_5_are_adopted(adopt, runs, tmp_path):
    folder = vasp_runs.copied(runs / "complex" / "plain", tmp_path / "five")
    ranks = r"running +4 mpi-ranks, with +1 threads/rank, on +1 nodes"
    rewritten(
        folder,
        {
            r"vasp\.6\.4\.2\S*": "vasp.5.4.4.18Apr17-6-g9f103f2a35",
            r"6\.4\.2": "5.4.4",
            ranks: "running on    4 total cores",
        },
    )
    (found,), (six,) = adopt(folder), adopt(runs / "complex" / "plain")
    assert (found.record.engine.version, six.outcome) == ("VASP 5.4.4", "left out")
    assert (found.record.cores, found.record.state) == (4, "converged")
    assert found.record.core_hours == six.record.core_hours


def test_spins_that_are_not_collinear_are_other_physics_with_the_length_of_their_moment(adopt, runs, host, tmp_path):
    folder = vasp_runs.relaxed(tmp_path / "run", given(host, {0: "W", 12: "Vac"}), LNONCOLLINEAR=".TRUE.", ISPIN=1)
    three = {r"(?<=mag=)\s+\S+": "  0.0 3.0 4.0", r"(?<=magnetization)\s+-?[\d.]+": "  0.0 3.0 4.0"}
    (found,) = adopt(rewritten(folder, three))
    (collinear,) = adopt(runs / "complex" / "plain")
    assert found.record.total_moment == pytest.approx(5.0)
    assert found.record.engine.physics["incar"]["LNONCOLLINEAR"] is True
    assert found.record.engine.physics_hash != collinear.record.engine.physics_hash


def test_several_relaxations_in_one_directory_are_one_record(adopt, runs, tmp_path):
    source = runs / "complex" / "plain"
    folder = vasp_runs.copied(source, tmp_path / "twice")
    for name in ("vasprun.xml", "OUTCAR", "OSZICAR"):
        earlier = (folder / name).read_text().replace("00:00:00", "00:01:00")  # equal files would be one start
        (folder / f"{name}.relax1").write_text(earlier)
    (found,), (once,) = adopt(folder), adopt(source)
    assert found.record.ionic_steps == 2 * once.record.ionic_steps
    assert found.record.core_hours == pytest.approx(2 * once.record.core_hours)


def test_a_tree_without_runs_says_so(adopt, tmp_path):
    with pytest.raises(InputError, match="There is no VASP run in these directories"):
        adopt(tmp_path)


def test_starts_of_a_known_checkpoint_carry_its_hash(adopt, runs, copper, tmp_path):
    folder = copper.write_checkpoint(tmp_path / "tiny")
    origin = checkpoint_origin(str(folder))
    found = by_name(adopt(runs, origin=origin), runs)["vacancy/predicted"]
    assert (found.record.checkpoint, found.record.exposure) == ("tiny", "new")
    assert found.record.checkpoint_hash == origin.model.checkpoint_hash


def test_a_campaign_of_the_same_host_is_left_as_it_is(adopt, store, runs, host, copper):
    campaign = copper.campaign_record("our own", [host], settings={"a": 1}, engine_name="vasp")
    store.put_campaign(campaign)
    assert all(one.record.campaign == "our own" for one in adopt(runs))
    assert store.campaigns() == [campaign]
