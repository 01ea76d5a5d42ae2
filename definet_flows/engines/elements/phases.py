"""The stable phase of each element: crystallographic facts, each with where it is published.

Close-packed metals and diamond structures come from ASE's table of reference states. Their lattice parameters are where a
relaxation starts, not where it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from definet_flows.defects.reading import read_structure
from definet_flows.engines.moments import BACKGROUND, HIGH_SPIN
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

BOX = 12.0
"""Å; edge of the cubic box that a molecule is relaxed in."""

_ASE_SOURCE = "ASE reference_states, after Ashcroft and Mermin, Solid State Physics (1976)"
_ASE_STRUCTURES = {"fcc", "bcc", "hcp", "diamond"}


@dataclass(frozen=True)
class ElementalPhase:
    """A phase of one element, or a compound that competes with a host.

    Parameters
    ----------
    element
        Its symbol, or the compound's reduced formula.
    name
        What the phase is called.
    source
        Where its structure is published.
    structure
        Its primitive cell, or a molecule in its box.
    molecule
        Whether it is a molecule, whose box stays as it is.
    """

    element: str
    name: str
    source: str
    structure: Structure
    molecule: bool = False

    @property
    def folder(self) -> str:
        """Name of the directory of its runs."""
        return f"{self.element}-{self.name.replace(' ', '-').replace('/', '')}"

    def moments(self) -> list[float]:
        """Initial magnetic moment of each atom, µ_B: high spin, ferromagnetic; molecular oxygen is a triplet."""
        if self.molecule and self.element == "O":
            return [1.0] * len(self.structure)
        return [HIGH_SPIN.get(site.specie.symbol, BACKGROUND) for site in self.structure]

    def kpoints(self, density: float | None) -> tuple[int, int, int]:
        """The Γ-centred grid of a density, as pymatgen's ``reciprocal_density`` gives it.

        Parameters
        ----------
        density
            k-points per reciprocal volume, Å³; None for the Γ point alone.
        """
        from pymatgen.io.vasp import Kpoints

        if density is None:
            return (1, 1, 1)
        grid = Kpoints.automatic_density_by_vol(self.structure, density, force_gamma=True)  # type: ignore[arg-type]  # any number
        first, second, third = grid.kpts[0]
        return int(first), int(second), int(third)

    def atoms(self) -> Atoms:
        """A new ASE object of it."""
        return AseAtomsAdaptor.get_atoms(self.structure, msonable=False)

    def to_dict(self) -> dict[str, Any]:
        """The phase as JSON, its structure as text, into which nothing that reads JSON looks."""
        return {**vars(self), "structure": self.structure.to_json()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The phase that `to_dict` wrote."""
        names = ("element", "name", "source", "molecule")
        return cls(
            structure=Structure.from_str(content["structure"], "json"), **{name: content[name] for name in names}
        )


@dataclass(frozen=True)
class _Crystal:
    """Space group and setting, lattice (a, b, c in Å, angles in degrees), and fractional coordinates of the sites."""

    name: str
    space_group: str
    lattice: tuple[float, float, float, float, float, float]
    sites: Sequence[tuple[float, float, float]]
    source: str


_CRYSTALS = {
    "B": _Crystal(
        "alpha-rhombohedral B12",
        "R-3m:H",
        (4.908, 4.908, 12.567, 90, 90, 120),
        [(0.1187, -0.1187, 0.8912), (0.1965, -0.1965, 0.0241)],
        "Decker and Kasper, Acta Cryst. 12, 503 (1959)",
    ),
    "C": _Crystal(
        "graphite",
        "P6_3/mmc",
        (2.464, 2.464, 6.711, 90, 90, 120),
        [(0, 0, 0.25), (1 / 3, 2 / 3, 0.25)],
        "Trucano and Chen, Nature 258, 136 (1975)",
    ),
    "P": _Crystal(
        "black phosphorus",
        "Cmce",
        (3.3136, 10.478, 4.3763, 90, 90, 90),
        [(0, 0.10168, 0.08056)],
        "Brown and Rundqvist, Acta Cryst. 19, 684 (1965)",
    ),
    "S": _Crystal(
        "alpha-S8",
        "Fddd:2",
        (10.4646, 12.8660, 24.4860, 90, 90, 90),
        [
            (0.14415, 0.04732, 0.0486),
            (0.29277, 0.2269, 0.25406),
            (0.21598, 0.28022, 0.32618),
            (0.21405, 0.15761, 0.37947),
        ],
        "Rettig and Trotter, Acta Cryst. C 43, 2260 (1987)",
    ),
    "Se": _Crystal(
        "trigonal Se",
        "P3_121",
        (4.3662, 4.3662, 4.9536, 90, 90, 120),
        [(0.2254, 0, 1 / 3)],
        "Cherin and Unger, Inorg. Chem. 6, 1589 (1967)",
    ),
    "Te": _Crystal(
        "trigonal Te",
        "P3_121",
        (4.4572, 4.4572, 5.9290, 90, 90, 120),
        [(0.2633, 0, 1 / 3)],
        "Cherin and Unger, Acta Cryst. 23, 670 (1967)",
    ),
    "Ga": _Crystal(
        "alpha-Ga",
        "Cmce",
        (4.5197, 7.6633, 4.5260, 90, 90, 90),
        [(0, 0.1549, 0.0810)],
        "Sharma and Donohue, Z. Kristallogr. 117, 293 (1962)",
    ),
    "In": _Crystal(
        "tetragonal In",
        "I4/mmm",
        (3.2530, 3.2530, 4.9470, 90, 90, 90),
        [(0, 0, 0)],
        "Ridley, J. Less-Common Met. 8, 354 (1965)",
    ),
}

_MOLECULES = {"H": 0.741, "N": 1.098, "O": 1.208, "F": 1.412, "Cl": 1.988}
"""Bond lengths in Å."""

_MOLECULE_SOURCE = "Huber and Herzberg, Constants of Diatomic Molecules (1979)"


def elemental_phase(element: str) -> ElementalPhase:
    """The stable phase of an element at room conditions.

    Parameters
    ----------
    element
        Symbol.

    Raises
    ------
    InputError
        If none is known here.
    """
    if element in _MOLECULES:
        middle, half = BOX / 2, _MOLECULES[element] / 2
        positions = [(middle, middle, middle - half), (middle, middle, middle + half)]
        molecule = Structure(Lattice.cubic(BOX), [element] * 2, positions, coords_are_cartesian=True)
        return ElementalPhase(element, f"{element}2 molecule", _MOLECULE_SOURCE, molecule, molecule=True)
    if element in _CRYSTALS:
        crystal = _CRYSTALS[element]
        lattice = Lattice.from_parameters(*crystal.lattice)
        sites = list(crystal.sites)
        whole = Structure.from_spacegroup(crystal.space_group, lattice, [element] * len(sites), sites)
        return ElementalPhase(element, crystal.name, crystal.source, whole.get_primitive_structure())
    return _from_ase(element)


def crystal_phase(path: str | Path) -> ElementalPhase:
    """A compound, or a phase of an element, from a file; it is called after its space group.

    Parameters
    ----------
    path
        Structure in any format pymatgen reads.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    structure = read_structure(path).get_primitive_structure()
    elements = structure.composition.elements
    name = elements[0].symbol if len(elements) == 1 else structure.composition.reduced_formula
    return ElementalPhase(name, f"{structure.get_space_group_info()[0]} {name}", Path(path).name, structure)


def _from_ase(element: str) -> ElementalPhase:
    from ase.build import bulk
    from ase.data import atomic_numbers, reference_states

    state = reference_states[atomic_numbers[element]] if element in atomic_numbers else None
    if state is None or state["symmetry"] not in _ASE_STRUCTURES:
        raise InputError(
            f"No structure of the elemental phase of {element} is known here; name one under elements.crystals in the campaign "
            "file, or write its energy into a table and give it as `definet-flows energies --elements FILE`."
        )
    structure = AseAtomsAdaptor.get_structure(bulk(element))
    return ElementalPhase(element, f"{state['symmetry']} {element}", _ASE_SOURCE, structure)
