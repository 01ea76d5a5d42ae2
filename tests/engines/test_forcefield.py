from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.optimize import BFGS
from pydantic import ValidationError

from definet_flows.defects import VACANCY, DefectConfiguration, Host, enumerate_configurations
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.errors import DefinetFlowsError, InputError

OPTIMIZERS = ["BFGS", "LBFGS", "BFGSLineSearch", "FIRE", "FIRE2"]


def atoms_of(configuration, positions=None):
    sites = np.flatnonzero(configuration.occupied)
    coords = (configuration.host.positions if positions is None else positions)[sites]
    return Atoms(
        configuration.atomic_numbers[sites], coords, cell=configuration.host.lattice, pbc=True, calculator=EMT()
    )


def test_the_same_minimum_as_a_plain_ase_relaxation(emt, impurity):
    found = emt(force_threshold=1e-3).relax(impurity)
    atoms = atoms_of(impurity)
    start = atoms.get_potential_energy()
    BFGS(atoms, logfile=None).run(fmax=1e-3)
    assert found.converged
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-5)
    assert found.energy < start - 0.1
    np.testing.assert_allclose(np.array(found.positions)[impurity.occupied], atoms.positions, atol=2e-3)


@pytest.mark.parametrize("metal_name", ["Al", "Cu", "Ni"])
def test_the_path_is_that_of_the_optimizer_it_names(emt, metal, metal_name):
    """With ASE's own starting curvature, every force on the way is the one plain ASE meets."""
    configuration = DefectConfiguration.create(metal(metal_name), {0: "Ag", 1: VACANCY, 7: VACANCY})
    found = emt(initial_hessian=70.0).relax(configuration)
    atoms = atoms_of(configuration)
    optimizer = BFGS(atoms, logfile=None, alpha=70.0)
    forces = [np.linalg.norm(atoms.get_forces(), axis=1).max() for _ in optimizer.irun(fmax=0.01)]
    assert found.ionic_steps == len(forces) == optimizer.nsteps + 1
    np.testing.assert_allclose(found.max_force_history, forces, atol=1e-6)
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_are_force_evaluations_counted_by_the_calculator(emt, impurity, counted, optimizer):
    found = emt(optimizer=optimizer).relax(impurity)
    assert found.converged
    assert found.ionic_steps == len(found.max_force_history) == len(counted.cells) > 3
    assert found.max_force < 0.01
    assert found.max_force == pytest.approx(found.max_force_history[-1], abs=1e-6)
    final = atoms_of(impurity, np.array(found.positions))
    assert np.linalg.norm(final.get_forces(), axis=1).max() == pytest.approx(found.max_force, abs=1e-9)
    assert final.get_potential_energy() == pytest.approx(found.energy, abs=1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_cell_is_bit_identical_at_every_evaluation(emt, impurity, counted, optimizer):
    emt(optimizer=optimizer).relax(impurity)
    assert all(np.array_equal(cell, impurity.host.lattice) for cell in counted.cells)


def test_positions_are_in_host_site_order_with_placeholders_at_their_pristine_sites(emt, impurity, counted):
    positions = np.array(emt().relax(impurity).positions)
    assert positions.shape == (impurity.host.n_sites, 3)
    vacated = ~impurity.occupied
    assert np.array_equal(positions[vacated], impurity.host.positions[vacated])
    assert np.array_equal(positions[impurity.occupied], counted.positions[-1])
    assert 0.01 < abs(positions - impurity.host.positions).max() < 0.5


@pytest.mark.parametrize("optimizer", ["BFGS", "LBFGS", "FIRE", "FIRE2"])
@pytest.mark.parametrize("max_steps", [1, 3])
def test_the_step_limit_is_unconverged(emt, impurity, counted, optimizer, max_steps):
    found = emt(optimizer=optimizer, max_steps=max_steps).relax(impurity)
    assert found.ionic_steps == max_steps == len(counted.cells)
    assert not found.converged
    assert found.error is None
    assert np.array_equal(np.array(found.positions)[impurity.occupied], counted.positions[-1])
    expected = atoms_of(impurity, np.array(found.positions)).get_potential_energy()
    assert found.energy == pytest.approx(expected, abs=1e-9)


def test_a_line_search_stops_at_the_step_after_the_limit(emt, impurity):
    found = emt(optimizer="BFGSLineSearch", max_steps=4).relax(impurity)
    assert not found.converged
    assert 4 <= found.ionic_steps < 14


def test_a_slope_without_a_minimum_is_unconverged(copper):
    engine = ForceFieldEngine(potential="tests.engines.calculators.Slope", max_steps=20, relax_host=False)
    found = engine.relax(DefectConfiguration.create(copper, {0: "Ag"}))
    assert (found.converged, found.ionic_steps, found.error) == (False, 20, None)


def test_from_a_relaxed_start_there_is_one_evaluation(emt, impurity, counted):
    first = emt().relax(impurity)
    n_first = len(counted.cells)
    again = emt().relax(impurity, np.array(first.positions))
    assert (again.ionic_steps, len(counted.cells) - n_first, again.converged) == (1, 1, True)
    assert again.energy == pytest.approx(first.energy, abs=1e-12)
    assert again.positions == first.positions


def test_another_start_reaches_the_same_minimum(emt, impurity):
    rng = np.random.default_rng(0)
    start = impurity.host.positions + rng.normal(scale=0.03, size=impurity.host.positions.shape)
    plain, moved = emt(force_threshold=1e-3).relax(impurity), emt(force_threshold=1e-3).relax(impurity, start)
    assert moved.energy == pytest.approx(plain.energy, abs=1e-5)
    assert moved.max_force_history[0] != plain.max_force_history[0]


def test_a_run_is_repeatable_and_does_not_change_its_arguments(emt, impurity):
    start = impurity.host.positions + 0.01
    kept, host_positions = start.copy(), impurity.host.positions.copy()
    first, second = emt().relax(impurity, start), emt().relax(impurity, start)
    timing = {"wall_seconds", "core_hours"}
    assert first.model_dump(exclude=timing) == second.model_dump(exclude=timing)
    assert np.array_equal(start, kept)
    assert np.array_equal(impurity.host.positions, host_positions)


@pytest.mark.parametrize(
    ("fault", "after", "steps", "message"),
    [
        ("nan", 0, 0, "diverged: forces are not finite after 0 evaluations"),
        ("nan", 2, 2, "diverged: forces are not finite after 2 evaluations"),
        ("infinite", 1, 1, "forces are not finite"),
        ("energy", 1, 1, "not finite"),
        ("huge", 2, 3, r"a force reached 2e\+03 eV/Å at evaluation 3"),
        ("runtime", 2, 2, "failed after 2 evaluations: RuntimeError: out of memory"),
        ("value", 0, 0, "failed after 0 evaluations: ValueError: the structure is unphysical"),
        ("arithmetic", 1, 1, "ZeroDivisionError"),
        ("singular", 1, 1, "LinAlgError"),
    ],
)
def test_failures_become_failed_relaxations(faulty, impurity, fault, after, steps, message):
    found = faulty(fault, after).relax(impurity)
    assert not found.converged
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(found.error)
    assert found.ionic_steps == len(found.max_force_history) == steps
    assert (found.energy, found.positions) == (None, None)
    assert found.core_hours >= 0
    assert Relaxation.model_validate_json(found.model_dump_json()) == found, "no NaN reaches the record"


def test_a_bug_in_a_calculator_is_not_hidden(faulty, impurity):
    with pytest.raises(KeyError):
        faulty("bug").relax(impurity)


def test_atoms_on_top_of_each_other_fail_and_the_next_run_is_untouched(emt, impurity):
    close = impurity.host.positions.copy()
    close[2] = close[0] + [0.05, 0.02, 0.01]
    failed = ForceFieldEngine(
        potential="ase.calculators.lj.LennardJones",
        potential_arguments={"sigma": 2.3, "epsilon": 0.4, "rc": 6.0},
        relax_host=False,
    ).relax(impurity, close)
    assert "diverged: a force reached" in failed.error
    assert emt().relax(impurity).converged


def test_an_element_the_potential_does_not_know_is_a_failed_run(emt, copper):
    found = emt().relax(DefectConfiguration.create(copper, {0: "U"}))
    assert not found.converged
    assert "No EMT-potential for U" in found.error


def test_lennard_jones_relaxes_too(copper):
    engine = ForceFieldEngine(
        potential="ase.calculators.lj.LennardJones",
        potential_arguments={"sigma": 2.3, "epsilon": 0.4, "rc": 6.0, "smooth": True},
        relax_host=False,
    )
    found = engine.relax(DefectConfiguration.create(copper, {0: VACANCY}))
    assert found.converged
    assert found.engine_version.startswith("ase ")


def test_rattle_is_seeded_by_the_configuration_and_equal_for_both_starts(emt, impurity, counted, copper):
    engine = emt(rattle=0.05, max_steps=1)
    host, occupied = impurity.host, impurity.occupied
    engine.relax(impurity)
    engine.relax(impurity, host.positions + 0.1)
    engine.relax(impurity)
    baseline, prerelaxed, again = (seen - host.positions[occupied] for seen in counted.positions)
    np.testing.assert_allclose(prerelaxed, baseline + 0.1, atol=1e-12)
    assert np.array_equal(baseline, again)
    assert baseline.std() == pytest.approx(0.05, rel=0.3)
    other = DefectConfiguration.create(copper, {0: "Ag", 1: VACANCY, 7: "Au"})
    engine.relax(other)
    assert not np.allclose(counted.positions[-1] - host.positions[other.occupied], baseline)
    emt(max_steps=1).relax(impurity)
    assert np.array_equal(counted.positions[-1], host.positions[occupied]), "no rattle by default"


def test_the_physics_hash_is_of_what_changes_the_result():
    plain = ForceFieldEngine()
    for same in ({"threads": 4}, {"device": "cuda"}):
        assert ForceFieldEngine(**same).physics_hash == plain.physics_hash
        assert ForceFieldEngine(**same).execution != plain.execution
    different = [
        {"force_threshold": 0.02},
        {"potential": "7net-0"},
        {"potential_arguments": {"model": "r2scan"}},
        {"optimizer": "FIRE"},
        {"initial_hessian": 70.0},
        {"max_steps": 100},
        {"rattle": 0.01},
        {"relax_host": False},
    ]
    hashes = {ForceFieldEngine(**options).physics_hash for options in different} | {plain.physics_hash}
    assert len(hashes) == len(different) + 1
    covered = {name for options in different for name in options} | {"name"}
    assert covered == set(plain.physics), "every physics setting is in the hash"


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "Newton"},
        {"force_threshold": 0},
        {"max_steps": 0},
        {"rattle": -0.1},
        {"threads": 0},
        {"fmax": 0.01},
        {"name": "vasp"},
    ],
)
def test_impossible_settings(settings):
    with pytest.raises(ValidationError, match=next(iter(settings))):
        ForceFieldEngine(**settings)


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        ForceFieldEngine().force_threshold = 1.0


@pytest.mark.parametrize("potential", ["EMT2", "nopackage.Calculator", "ase.calculators.emt.Missing"])
def test_a_potential_that_is_not_there_stops_everything(copper, potential):
    with pytest.raises(InputError):
        ForceFieldEngine(potential=potential).relax(DefectConfiguration.create(copper, {0: "Ag"}))


def test_cores_and_core_hours(impurity, emt):
    found = emt(threads=3, max_steps=2).relax(impurity)
    assert found.cores == 3
    assert found.core_hours == pytest.approx(found.wall_seconds * 3 / 3600)
    assert (found.electronic_steps, found.total_moment) == (None, None)


def test_the_pristine_supercell_is_the_energy_reference(emt, copper, counted):
    found = emt().relax_pristine(copper)
    assert (found.converged, found.ionic_steps, len(counted.cells)) == (True, 1, 1)
    atoms = Atoms(copper.atomic_numbers, copper.positions, cell=copper.lattice, pbc=True, calculator=EMT())
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    assert np.array_equal(np.array(found.positions), copper.positions)


def test_a_charge_is_refused(emt, impurity):
    with pytest.raises(InputError, match=r"knows no charge, and \+1 was asked for"):
        emt().relax(impurity, charge=1)


class TestHostReference:
    def test_forces_vanish_and_the_cell_is_kept(self, emt, slab):
        engine = emt(relax_host=True)
        relaxed = engine.relaxed_host(slab)
        assert np.array_equal(relaxed.lattice, slab.lattice)
        assert relaxed.fingerprint == slab.fingerprint
        assert relaxed.species == slab.species
        atoms = Atoms(slab.atomic_numbers, relaxed.positions, cell=slab.lattice, pbc=True, calculator=EMT())
        assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 0.1 * engine.force_threshold
        assert engine.relax_pristine(relaxed).ionic_steps == 1
        assert engine.relax_pristine(slab).ionic_steps > 1

    def test_it_is_recorded_with_the_forces_before_and_after(self, emt, slab):
        engine = emt(relax_host=True)
        reference = engine.relaxed_host(slab).reference
        atoms = Atoms(slab.atomic_numbers, slab.positions, cell=slab.lattice, pbc=True, calculator=EMT())
        before = np.linalg.norm(atoms.get_forces(), axis=1).max()
        assert reference.max_force_before == pytest.approx(before, abs=1e-6)
        assert reference.max_force_after < 0.1 * engine.force_threshold < reference.max_force_before
        assert reference.physics_hash == engine.physics_hash
        assert reference.engine == "forcefield:tests.engines.calculators.CountingEMT"

    def test_it_keeps_the_symmetry_exactly(self, emt, slab):
        relaxed = emt(relax_host=True).relaxed_host(slab)
        inner, lower, upper = np.array(relaxed.reference.displacements)
        np.testing.assert_allclose(inner, 0, atol=1e-12)
        np.testing.assert_allclose(upper, -lower, atol=1e-12)
        np.testing.assert_allclose(upper[:2], 0, atol=1e-12)
        assert abs(upper[2]) > 0.01
        first = [c.id for c in enumerate_configurations(slab, "Ag_Cu+V_Cu")]
        assert [c.id for c in enumerate_configurations(relaxed, "Ag_Cu+V_Cu")] == first

    def test_it_is_made_once(self, emt, slab, counted):
        engine = emt(relax_host=True)
        relaxed = engine.relaxed_host(slab)
        n_evaluations = len(counted.cells)
        assert engine.relaxed_host(relaxed) is relaxed
        assert engine.relaxed_host(relaxed.with_supercell((2, 2, 1))).reference == relaxed.reference
        assert len(counted.cells) == n_evaluations
        other = emt(relax_host=True, force_threshold=0.02)
        assert other.relaxed_host(relaxed).reference.physics_hash == other.physics_hash

    def test_it_is_not_rattled(self, emt, slab):
        still, rattled = (emt(relax_host=True, rattle=r).relaxed_host(slab).reference for r in (0.0, 0.1))
        assert rattled.displacements == still.displacements

    def test_it_can_be_left_out(self, emt, slab):
        assert emt(relax_host=False).relaxed_host(slab) is slab

    def test_defects_start_from_it(self, emt, slab, counted):
        engine = emt(relax_host=True)
        configuration = DefectConfiguration.create(engine.relaxed_host(slab), {0: "Ag"})
        counted.positions.clear()
        engine.relax(configuration)
        assert np.array_equal(counted.positions[0], configuration.host.positions)

    def test_a_host_that_does_not_relax_is_an_error_of_its_own(self, emt, slab, faulty):
        with pytest.raises(
            DefinetFlowsError, match=r"Cu\(100\) cell did not relax .*largest force .*relax_host: false"
        ) as one:
            emt(relax_host=True, max_steps=2).relaxed_host(slab)
        assert one.value.exit_code == 1
        broken = faulty("runtime", 1).model_copy(update={"relax_host": True})
        with pytest.raises(DefinetFlowsError, match="RuntimeError: out of memory"):
            broken.relaxed_host(slab)


@pytest.fixture(scope="module")
def chgnet():
    pytest.importorskip("chgnet", reason="the forcefield extra is not installed")
    return ForceFieldEngine(force_threshold=0.05, max_steps=60)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True:UserWarning")  # CHGNet, of its volumes
def test_chgnet_relaxes_a_defect_of_mos2(chgnet, monkeypatch, capsys):
    """The default potential: evaluations counted inside it, the cell untouched, both starts in one minimum."""
    from definet_flows.engines.potentials import load_potential

    calculator = load_potential(chgnet.potential, chgnet.potential_arguments, chgnet.device)
    cells, calculate = [], calculator.calculate

    def counting(atoms, *arguments, **keywords):
        cells.append(atoms.cell.array.copy())
        calculate(atoms, *arguments, **keywords)

    monkeypatch.setattr(calculator, "calculate", counting)
    host = chgnet.relaxed_host(Host.from_preset("MoS2", (3, 3, 1), vacuum=15))
    assert host.reference.max_force_after < 0.005 < host.reference.max_force_before
    configuration = next(enumerate_configurations(host, "V_Mo+Se_S"))
    cells.clear()
    found = chgnet.relax(configuration)
    assert found.converged
    assert found.ionic_steps == len(cells) > 2
    assert all(np.array_equal(cell, host.lattice) for cell in cells)
    again = chgnet.relax(configuration, np.array(found.positions))
    assert again.ionic_steps == 1
    assert again.energy == pytest.approx(found.energy, abs=1e-5)
    assert "chgnet" in found.engine_version
    assert capsys.readouterr().out == "", "it announces its device on every start"
