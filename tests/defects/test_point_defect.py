from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Element

from definet_flows.defects import VACANCY, PointDefect, Recipe
from definet_flows.errors import InputError

ELEMENTS = st.sampled_from([element.symbol for element in Element])


@pytest.mark.parametrize(
    ("text", "host", "new", "printed"),
    [
        ("V_S", "S", VACANCY, "V_S"),
        ("v_S", "S", VACANCY, "V_S"),
        (" V_Mo ", "Mo", VACANCY, "V_Mo"),
        ("Se_S", "S", "Se", "Se_S"),
        ("Mo_S", "S", "Mo", "Mo_S"),  # an antisite is a substitution by a host species
        ("Vanadium_Mo", "Mo", "V", "Vanadium_Mo"),
        ("V_V", "V", VACANCY, "V_V"),  # a vacancy in a vanadium host
        ("Br_I", "I", "Br", "Br_I"),  # iodine is no interstitial
    ],
)
def test_notation(text, host, new, printed):
    defect = PointDefect.parse(text)
    assert (defect.host_species, defect.new_species, str(defect)) == (host, new, printed)
    assert defect.is_vacancy == (new == VACANCY)


@given(ELEMENTS, st.one_of(ELEMENTS, st.just(VACANCY)))
def test_what_is_printed_is_read_back(host, new):
    if host != new:
        defect = PointDefect(host, new)
        assert PointDefect.parse(str(defect)) == defect


@pytest.mark.parametrize(
    "text",
    [
        "S_i",
        "Mo_i",
        "S_i_Td",
        "i_S",
        "Interstitial_S",
        "S_interstitial",
        "V_S_split",
        "Split_S",
        "dumbbell_S",
        "Frenkel_S",
        "S_Mo_i",
        "reconstruction",
    ],
)
def test_what_the_model_cannot_represent_is_refused_by_name(text):
    with pytest.raises(InputError, match=f"'{text}' is an interstitial, split defect or reconstruction"):
        Recipe.parse(f"V_S+{text}")


@pytest.mark.parametrize("text", ["", "V", "V_", "_S", "VS", "S2_Mo", "V_S-V_S", "V_S V_S", "V_S+", "vac_S", "Se_s"])
def test_what_is_not_a_defect(text):
    with pytest.raises(InputError, match="is not a point defect; write V_S for a vacancy"):
        Recipe.parse(text)


@pytest.mark.parametrize(("text", "symbol"), [("Xx_S", "Xx"), ("V_Qq", "Qq"), ("Vanadum_S", "Vanadum")])
def test_unknown_elements(text, symbol):
    with pytest.raises(InputError, match=f"'{symbol}' is not an element"):
        PointDefect.parse(text)


@pytest.mark.parametrize("text", ["S_S", "Vanadium_V"])
def test_defects_that_change_nothing(text):
    with pytest.raises(InputError, match=f"{text} changes nothing"):
        PointDefect.parse(text)


def test_recipes_are_multisets():
    recipe = Recipe.parse("V_S + Se_S+V_Mo+ V_S")
    assert recipe == Recipe.parse("V_S+V_S+V_Mo+Se_S") == Recipe.parse(recipe)
    assert recipe.n_defects == 4
    assert Recipe.parse(str(recipe)) == recipe
    assert recipe.label(("S", "Mo")) == "V_S+V_S+Se_S+V_Mo"
    assert recipe.label(("Mo", "S")) == "V_Mo+V_S+V_S+Se_S"
