from __future__ import annotations

import sys

import numpy as np
import pytest
from ase.build import mx2
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from definet_flows.engines.potentials import load_potential, potential_version
from definet_flows.errors import InputError


def test_any_calculator_by_its_import_path_with_its_arguments():
    assert isinstance(load_potential("ase.calculators.emt.EMT", {}, "cpu"), EMT)
    lj = load_potential("ase.calculators.lj.LennardJones", {"sigma": 2.5, "epsilon": 0.1}, "cpu")
    assert isinstance(lj, LennardJones)
    assert (lj.parameters.sigma, lj.parameters.epsilon) == (2.5, 0.1)


def test_a_potential_is_loaded_once_per_process_and_arguments():
    path = "ase.calculators.lj.LennardJones"
    first = load_potential(path, {"sigma": 2.5, "epsilon": 0.1}, "cpu")
    assert load_potential(path, {"epsilon": 0.1, "sigma": 2.5}, "cpu") is first
    assert load_potential(path, {"sigma": 2.6}, "cpu") is not first


@pytest.mark.parametrize(
    ("potential", "arguments", "message"),
    [
        ("EMT", {}, "no potential 'EMT'; choose CHGNet, 7net-0, 7net-l3i5, or the import path"),
        ("", {}, "no potential ''"),
        ("nopackage.calculators.Fast", {}, "needs the package nopackage: pip install nopackage"),
        ("ase.calculators.emt.Faster", {}, "has no calculator Faster; check the import path"),
        ("ase.calculators.lj.LennardJones", {"sigma": "wide"}, "does not take the arguments {'sigma': 'wide'}"),
        ("ase.calculators.calculator.FileIOCalculator", {"restart": 3}, "does not start with|does not take"),
        ("ase.calculators.espresso.Espresso", {}, "does not start with .* change its device or arguments"),
        ("collections.OrderedDict", {}, "collections.OrderedDict is not an ASE calculator"),
    ],
)
def test_potentials_that_cannot_be_used(potential, arguments, message):
    with pytest.raises(InputError, match=message):
        load_potential(potential, arguments, "cpu")


@pytest.mark.parametrize(
    ("potential", "package"), [("CHGNet", "chgnet"), ("7net-0", "sevenn"), ("7net-l3i5", "sevenn")]
)
def test_named_potentials_without_their_package(monkeypatch, potential, package):
    for module in [name for name in sys.modules if name.partition(".")[0] == package] + [package]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "definet_flows.engines.chgnet", raising=False)
    with pytest.raises(InputError, match=f"Potential {potential} needs the package {package}: pip install {package}"):
        load_potential(potential, {"unheard_of": potential}, "cpu")


def test_a_device_that_is_not_there():
    pytest.importorskip("chgnet", reason="the forcefield extra is not installed")
    with pytest.raises(InputError, match=r"Potential CHGNet does not start with .* change its device"):
        load_potential("CHGNet", {}, "abacus")


def test_versions_for_the_record():
    import ase

    assert potential_version("ase.calculators.emt.EMT") == f"ase {ase.__version__}"
    assert potential_version("tests.engines.calculators.CountingEMT") == f"tests unknown, ase {ase.__version__}"
    assert potential_version("CHGNet").startswith("chgnet ")


@pytest.mark.filterwarnings("ignore:Converting a tensor")  # CHGNet's own
def test_chgnet_computes_no_stress_that_nobody_asked_for_and_the_same_forces():
    chgnet = pytest.importorskip("chgnet.model.dynamics", reason="the forcefield extra is not installed")
    atoms = mx2("MoS2", size=(2, 2, 1), vacuum=8.0)
    atoms.pbc = True
    atoms.rattle(0.05, seed=1)
    frugal, plain = load_potential("CHGNet", {}, "cpu"), chgnet.CHGNetCalculator(use_device="cpu")
    atoms.calc = frugal
    forces, energy = atoms.get_forces(), atoms.get_potential_energy()
    assert "stress" not in frugal.results
    stress = atoms.get_stress()
    atoms.calc = plain
    assert np.array_equal(forces, atoms.get_forces())
    assert energy == atoms.get_potential_energy()
    assert np.array_equal(stress, atoms.get_stress())
