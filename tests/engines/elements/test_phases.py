from __future__ import annotations

import numpy as np
import pytest

from definet_flows.engines import ForceFieldEngine
from definet_flows.engines.elements import elemental_phase, relax_phase
from definet_flows.errors import InputError

EMT = "ase.calculators.emt.EMT"

# Shortest bonds as textbooks give them, Å, and numbers of atoms in the primitive cell.
BONDS = {
    "B": (1.67, 12),
    "C": (1.42, 4),
    "P": (2.22, 4),
    "S": (2.04, 32),
    "Se": (2.37, 3),
    "Te": (2.84, 3),
    "Ga": (2.48, 4),
    "In": (3.25, 1),
    "N": (1.10, 2),
    "O": (1.21, 2),
    "Mo": (2.73, 1),
    "W": (2.74, 1),
    "Cu": (2.55, 1),
    "Si": (2.35, 2),
    "Ti": (2.90, 2),
}


@pytest.mark.parametrize("element", BONDS)
def test_the_structures_have_the_bonds_of_the_elements(element):
    phase = elemental_phase(element)
    bond, n_atoms = BONDS[element]
    assert (phase.structure.composition.elements[0].symbol, len(phase.structure)) == (element, n_atoms)
    neighbours = phase.structure.get_all_neighbors(4.0)
    nearest = [min(one.nn_distance for one in around) for around in neighbours]
    assert min(nearest) == pytest.approx(bond, abs=0.08)
    assert phase.molecule == (element in {"N", "O"})
    assert phase.source
    assert len(phase.atoms()) == n_atoms


def test_every_sulphur_atom_is_in_a_ring_of_eight():
    structure = elemental_phase("S").structure
    bonded = [[one.index for one in around] for around in structure.get_all_neighbors(2.3)]
    assert {len(around) for around in bonded} == {2}
    ring, atom, came_from = [0], bonded[0][0], 0
    while atom != 0:
        ring.append(atom)
        atom, came_from = next(one for one in bonded[atom] if one != came_from), atom
    assert len(ring) == 8


@pytest.mark.parametrize("element", ["Pu", "Mn"])
def test_an_element_without_a_known_structure_is_refused(element):
    with pytest.raises(
        InputError, match=f"elemental phase of {element} is known here; name one under elements.crystals"
    ):
        elemental_phase(element)


def test_a_metal_is_relaxed_with_its_cell():
    """EMT's own copper has a lattice parameter of 3.59 Å and is its zero of energy."""
    outcome = relax_phase(ForceFieldEngine(potential=EMT, force_threshold=0.001), elemental_phase("Cu"), None)
    assert (outcome.converged, outcome.error) == (True, None)
    assert outcome.energy_per_atom == pytest.approx(-0.007, abs=0.002)
    assert (4 * abs(np.linalg.det(outcome.lattice))) ** (1 / 3) == pytest.approx(3.59, abs=0.01)
    assert outcome.ionic_steps > 1


def test_a_molecule_keeps_its_box():
    outcome = relax_phase(ForceFieldEngine(potential=EMT), elemental_phase("N"), None)
    assert outcome.converged
    assert np.array(outcome.lattice) == pytest.approx(np.eye(3) * 12)
    bond = np.linalg.norm(np.subtract(*outcome.positions))
    assert 0.9 < bond < 1.3


def test_what_a_potential_cannot_do_is_said():
    outcome = relax_phase(ForceFieldEngine(potential=EMT), elemental_phase("Mo"), None)
    assert (outcome.converged, outcome.energy_per_atom) == (False, None)
    assert outcome.error.startswith(f"{EMT} failed after 0 evaluations: NotImplementedError")
    outcome = relax_phase(ForceFieldEngine(potential=EMT, max_steps=2), elemental_phase("Al"), None)
    assert (outcome.converged, outcome.error) == (False, None)
