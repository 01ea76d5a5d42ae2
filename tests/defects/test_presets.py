"""The presets against the table of the database (Huang et al., npj 2D Mater. Appl. 7, 6 (2023)), written out again here."""

from __future__ import annotations

import numpy as np
import pytest

from definet_flows.defects import (
    VACANCY,
    Host,
    PointDefect,
    available_hosts,
    high_density,
    low_density_recipes,
    sample_configurations,
)
from definet_flows.errors import InputError

# a, c in Å; n of the n×n×1 supercell and its sites; the vacuum along c; layers below and above the middle.
PUBLISHED = {
    "MoS2": (3.19032, 14.879, 8, 192, 187),
    "WSe2": (3.32707, 15.06895, 8, 192, 187),
    "hBN": (2.51243, 20.0, 8, 128, 187),
    "GaSe": (3.81907, 20.0, 6, 144, 187),
    "InSe": (4.09647, 20.0, 6, 144, 187),
    "BP": (3.29992, 20.0, 6, 144, 53),
}
# M is the metal and A what replaces it, X the chalcogen and B what replaces it.
LOW_DENSITY = [
    *("V_X", "V_X+V_X", "B_X", "B_X+B_X", "V_X+B_X"),
    *("V_M", "V_M+V_X", "V_M+V_X+V_X", "V_M+B_X", "V_M+B_X+B_X", "V_M+V_X+B_X"),
    *("A_M", "A_M+V_X", "A_M+V_X+V_X", "A_M+B_X", "A_M+B_X+B_X", "A_M+V_X+B_X"),
]
HIGH_DENSITY = {
    "MoS2": {"Mo": {"W"}, "S": {"Se"}},
    "WSe2": {"W": {"Mo"}, "Se": {"S"}},
    "hBN": {"B": {"C"}, "N": {"C"}},
    "GaSe": {"Ga": {"In"}, "Se": {"S"}},
    "InSe": {"In": {"Ga"}, "Se": {"S"}},
    "BP": {"P": {"N"}},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_hosts_are_those_of_the_database(name):
    a, c, size, n_sites, group = PUBLISHED[name]
    host = Host.from_preset(name)
    assert host.name == name
    assert host.unit_cell.lattice.a == pytest.approx(a)
    assert host.unit_cell.lattice.c == pytest.approx(c)
    assert host.unit_cell.lattice.gamma == pytest.approx(90 if name == "BP" else 120)
    assert host.supercell_matrix == ((size, 0, 0), (0, size, 0), (0, 0, 1))
    assert host.n_sites == n_sites
    assert f"-{group}-" in host.family


def test_bond_lengths_are_those_of_the_crystals():
    """Å, from the fractional coordinates of the table."""
    for name, bond in {"MoS2": 2.413, "WSe2": 2.546, "hBN": 1.4505, "GaSe": 2.5, "InSe": 2.69, "BP": 2.22}.items():
        distances = Host.from_preset(name, (3, 3, 1)).structure.distance_matrix
        assert np.sort(distances[0])[1] == pytest.approx(bond, abs=0.06), name


def test_names_and_aliases():
    assert available_hosts() == list(PUBLISHED)
    for alias, name in {"h-BN": "hBN", "BN": "hBN", "P": "BP", "black phosphorus": "BP"}.items():
        assert Host.from_preset(alias, (2, 2, 1)) == Host.from_preset(name, (2, 2, 1))
        assert low_density_recipes(alias) == low_density_recipes(name)
    with pytest.raises(InputError, match="no host preset 'MoTe2'"):
        low_density_recipes("MoTe2")


@pytest.mark.parametrize(("name", "letters"), [("MoS2", "Mo W S Se"), ("WSe2", "W Mo Se S")])
def test_the_17_low_density_types(name, letters):
    metal, other_metal, chalcogen, other_chalcogen = letters.split()
    spelled = {"M": metal, "A": other_metal, "X": chalcogen, "B": other_chalcogen, "V": "V"}
    expected = [
        "+".join("_".join(spelled[letter] for letter in part.split("_")) for part in recipe.split("+"))
        for recipe in LOW_DENSITY
    ]
    assert low_density_recipes(name) == expected
    assert len(set(expected)) == 17


def test_other_hosts_get_the_same_types_of_their_own_species():
    assert low_density_recipes("BP") == ["V_P", "V_P+V_P", "N_P", "N_P+N_P", "V_P+N_P"]
    assert low_density_recipes("hBN")[5:8] == ["V_B", "V_B+V_N", "V_B+V_N+V_N"]
    assert low_density_recipes("GaSe")[-1] == "In_Ga+V_Se+S_Se"
    assert {len(low_density_recipes(name)) for name in PUBLISHED if name != "BP"} == {17}


@pytest.mark.parametrize("name", PUBLISHED)
def test_high_density_sections(name):
    section = high_density(name)
    options = {symbol: set(new) for symbol, new in section.substitutions.items()}
    assert options == {symbol: new | {VACANCY} for symbol, new in HIGH_DENSITY[name].items()}
    assert section.concentrations == (0.025, 0.05, 0.075, 0.10, 0.125)
    assert section.per_concentration == 100
    assert section.type_cap == (0.0695 if name in {"GaSe", "InSe"} else 0.0625)


@pytest.mark.parametrize("name", PUBLISHED)
def test_high_density_structures_of_every_host(name):
    host, section = Host.from_preset(name, vacuum=15), high_density(name)
    sampled = sample_configurations(host, section.substitutions, section.concentrations, 4, 1, section.type_cap)
    assert len(sampled) == len({c.id for c in sampled}) == 20
    for i, configuration in enumerate(sampled):
        assert configuration.n_defects == round(section.concentrations[i // 4] * host.n_sites)
        for defect, count in configuration.recipe.counts:
            assert count <= section.type_cap * host.n_sites
            assert defect.new_species in section.substitutions[defect.host_species]
            assert isinstance(defect, PointDefect)
