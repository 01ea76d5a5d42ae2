"""The six hosts of the 2DMD database, their defect sections, and where their numbers come from.

Source: Huang et al., npj 2D Mater. Appl. 7, 6 (2023), doi 10.1038/s41699-023-00369-1; layer normal along c.
"""

from __future__ import annotations

from dataclasses import dataclass

from pymatgen.core import Lattice, Structure

from definet_flows.defects.point_defect import VACANCY
from definet_flows.errors import InputError


@dataclass(frozen=True)
class HostPreset:
    """A unit cell of the database.

    Parameters
    ----------
    lengths
        a, b, c in Å.
    gamma
        Angle between a and b, degrees; the others are 90.
    sites
        (element, fractional coordinates) of each site.
    supercell
        Supercell the database uses.
    dopants
        Substituting species of each host species, besides the vacancy.
    type_cap
        Largest share of the sites that one defect type takes in the high-density section.
    """

    lengths: tuple[float, float, float]
    gamma: float
    sites: tuple[tuple[str, tuple[float, float, float]], ...]
    supercell: tuple[int, int, int]
    dopants: dict[str, tuple[str, ...]]
    type_cap: float = 0.0625

    def unit_cell(self) -> Structure:
        """The pristine unit cell."""
        lattice = Lattice.from_parameters(*self.lengths, 90, 90, self.gamma)
        return Structure(lattice, [symbol for symbol, _ in self.sites], [coords for _, coords in self.sites])


_THIRD, _TWO_THIRDS = 1 / 3, 2 / 3

HOST_PRESETS: dict[str, HostPreset] = {
    "MoS2": HostPreset(
        (3.19032, 3.19032, 14.87900),
        120,
        (
            ("Mo", (_THIRD, _TWO_THIRDS, 0.25)),
            ("S", (_TWO_THIRDS, _THIRD, 0.144826)),
            ("S", (_TWO_THIRDS, _THIRD, 0.355174)),
        ),
        (8, 8, 1),
        {"Mo": ("W",), "S": ("Se",)},
    ),
    "WSe2": HostPreset(
        (3.32707, 3.32707, 15.06895),
        120,
        (
            ("W", (_THIRD, _TWO_THIRDS, 0.25)),
            ("Se", (_TWO_THIRDS, _THIRD, 0.361569)),
            ("Se", (_TWO_THIRDS, _THIRD, 0.138431)),
        ),
        (8, 8, 1),
        {"W": ("Mo",), "Se": ("S",)},
    ),
    "hBN": HostPreset(
        (2.51243, 2.51243, 20.0),
        120,
        (("B", (_THIRD, _TWO_THIRDS, 0.192682)), ("N", (_TWO_THIRDS, _THIRD, 0.192682))),
        (8, 8, 1),
        {"B": ("C",), "N": ("C",)},
    ),
    "GaSe": HostPreset(
        (3.81907, 3.81907, 20.0),
        120,
        (
            ("Ga", (_TWO_THIRDS, _THIRD, 0.383273)),
            ("Ga", (_TWO_THIRDS, _THIRD, 0.506817)),
            ("Se", (_THIRD, _TWO_THIRDS, 0.565480)),
            ("Se", (_THIRD, _TWO_THIRDS, 0.324610)),
        ),
        (6, 6, 1),
        {"Ga": ("In",), "Se": ("S",)},
        type_cap=0.0695,
    ),
    "InSe": HostPreset(
        (4.09647, 4.09647, 20.0),
        120,
        (
            ("In", (_THIRD, _TWO_THIRDS, 0.529438)),
            ("In", (_THIRD, _TWO_THIRDS, 0.387735)),
            ("Se", (_TWO_THIRDS, _THIRD, 0.592813)),
            ("Se", (_TWO_THIRDS, _THIRD, 0.324359)),
        ),
        (6, 6, 1),
        {"In": ("Ga",), "Se": ("S",)},
        type_cap=0.0695,
    ),
    "BP": HostPreset(
        (3.29992, 4.60093, 20.0),
        90,
        (
            ("P", (0.0, 0.588557, 0.209123)),
            ("P", (0.0, 0.411443, 0.314436)),
            ("P", (0.5, 0.088557, 0.314436)),
            ("P", (0.5, 0.911443, 0.209123)),
        ),
        (6, 6, 1),
        {"P": ("N",)},
    ),
}
"""Hosts in the database's own cells. MoS2, WSe2 and InSe have less than 15 Å of vacuum there; ``vacuum=`` widens it."""

HOST_ALIASES = {"h-BN": "hBN", "BN": "hBN", "black phosphorus": "BP", "P": "BP"}

# M and X are the host's metal and chalcogen, A and B what substitutes them.
_OF_METALS = ("V_M", "A_M")
_LOW_DENSITY_TYPES = (
    "V_X",
    "V_X+V_X",
    "B_X",
    "B_X+B_X",
    "V_X+B_X",
    *(f"{metal}{rest}" for metal in _OF_METALS for rest in ("", "+V_X", "+V_X+V_X", "+B_X", "+B_X+B_X", "+V_X+B_X")),
)


@dataclass(frozen=True)
class HighDensitySection:
    """Random placements of the database's high-density section.

    Parameters
    ----------
    substitutions
        Host species to the species (or vacancy) it may become.
    concentrations
        Defects per site.
    per_concentration
        Structures at each concentration.
    type_cap
        Largest share of the sites for one defect type.
    """

    substitutions: dict[str, tuple[str, ...]]
    concentrations: tuple[float, ...] = (0.025, 0.05, 0.075, 0.10, 0.125)
    per_concentration: int = 100
    type_cap: float = 0.0625


def available_hosts() -> list[str]:
    """Names of the presets."""
    return list(HOST_PRESETS)


def host_preset(name: str) -> tuple[str, HostPreset]:
    """Preset and its canonical name, by name or common alias.

    Raises
    ------
    InputError
        If there is no such preset.
    """
    canonical = HOST_ALIASES.get(name, name)
    if canonical not in HOST_PRESETS:
        raise InputError(
            f"There is no host preset '{name}'; choose one of {', '.join(HOST_PRESETS)}, or give a structure file."
        )
    return canonical, HOST_PRESETS[canonical]


def low_density_recipes(name: str) -> list[str]:
    """The 17 defect types of the low-density section; for a host of one species, the five without a metal.

    The database has the section for MoS2 and WSe2. The other hosts get the same types of their own species, the first of
    which stands for the metal.

    Raises
    ------
    InputError
        If there is no such preset.

    Examples
    --------
    >>> low_density_recipes("MoS2")[:4]
    ['V_S', 'V_S+V_S', 'Se_S', 'Se_S+Se_S']
    """
    *metals, (chalcogen, (chalcogen_dopant,)) = host_preset(name)[1].dopants.items()
    letters = {"X": chalcogen, "B": chalcogen_dopant}
    for metal, (metal_dopant,) in metals:
        letters |= {"M": metal, "A": metal_dopant}
    names = str.maketrans(letters)
    return [recipe.translate(names) for recipe in _LOW_DENSITY_TYPES if metals or not recipe.startswith(_OF_METALS)]


def high_density(name: str) -> HighDensitySection:
    """The high-density section of a preset host."""
    preset = host_preset(name)[1]
    options = {symbol: (*dopants, VACANCY) for symbol, dopants in preset.dopants.items()}
    return HighDensitySection(options, type_cap=preset.type_cap)
