from __future__ import annotations

import pytest

from definet_flows.engines import ForceFieldEngine
from definet_flows.errors import InputError
from definet_flows.records.energetics.documents import ChargeTerm, EnergyCorrection
from definet_flows.records.energetics.elements import References
from definet_flows.records.energetics.energies import added_atoms, binding_energy, formation_energy, refuse_unlike
from definet_flows.records.energetics.potentials import formula, host_limits

# A host MoS2 of 4 formula units, worked out by hand:
#   E(pristine) = 4 · (-22) = -88 eV; μ(Mo) = -10, μ(S) = -4 eV per atom in the elements.
#   Formation enthalpy per formula unit: -22 - (-10) - 2·(-4) = -4 eV.
#   S-rich: μ_S = -4, μ_Mo = -22 + 8 = -14. Mo-rich: μ_Mo = -10, μ_S = (-22 + 10)/2 = -6.
ATOMS = {"Mo": 4, "S": 8}
PRISTINE = -88.0
ELEMENTS = {"Mo": -10.0, "S": -4.0, "Se": -3.5, "W": -12.0}
#   WS2 at -25 eV: it forms where μ(W) + 2 μ(S) > -25, which is above -17 eV S-rich and above -13 eV Mo-rich.
#   MoSe2 at -19 eV: where μ(Mo) + 2 μ(Se) > -19, which is above -2.5 eV S-rich, more than selenium itself, and -4.5 eV Mo-rich.
COMPOUNDS = {"WS2": -25.0, "MoSe2": -19.0}


def limits(impurities=(), compounds=None):
    return {one.limit: one.values for one in corners(impurities, compounds)}


def corners(impurities=(), compounds=None):
    return host_limits(ATOMS, PRISTINE, References(ELEMENTS, compounds or {}), impurities)


def test_the_two_limits_of_a_compound_by_hand():
    assert limits() == {"Mo-rich": {"Mo": -10.0, "S": -6.0}, "S-rich": {"S": -4.0, "Mo": -14.0}}


def test_every_limit_keeps_the_host_and_no_element_is_above_its_phase():
    for values in limits({"Se"}).values():
        assert values["Mo"] + 2 * values["S"] == pytest.approx(-22)
        assert all(values[element] <= ELEMENTS[element] for element in values)
        assert values["Se"] == -3.5


def test_a_compound_keeps_its_impurity_below_the_elemental_phase_by_hand():
    by_limit = {one.limit: one for one in corners({"Se", "W"}, COMPOUNDS)}
    sulphur, molybdenum = by_limit["S-rich"], by_limit["Mo-rich"]
    assert (sulphur.values["W"], sulphur.values["Se"], sulphur.bounds) == (-17.0, -3.5, {"W": "WS2"})
    assert (molybdenum.values["W"], molybdenum.values["Se"]) == (-13.0, -4.5)
    assert molybdenum.bounds == {"W": "WS2", "Se": "MoSe2"}
    assert sulphur.exceeded == molybdenum.exceeded == {}
    # W_Mo, cell at -90 eV: -2 + 17 - 14 = 1 eV S-rich; with tungsten at its elemental phase it would be -2 + 12 - 14 = -4 eV.
    found = [
        formation_energy(-90.0, PRISTINE, {"Mo": -1, "W": 1}, limits({"W"}, some)["S-rich"]) for some in (COMPOUNDS, {})
    ]
    assert found == [pytest.approx(1.0), pytest.approx(-4.0)]


def test_compounds_that_bound_no_single_impurity_are_named_where_they_would_form():
    # W + 2 Se at the elements cost -19 eV, and at the limits above -17 - 7 = -24 eV S-rich, -13 - 9 = -22 eV Mo-rich. Mo2S3 costs
    # 2·(-14) + 3·(-4) = -40 eV S-rich and 2·(-10) + 3·(-6) = -38 eV Mo-rich.
    compounds = COMPOUNDS | {"WSe2": -23.0, "Mo2S3": -39.0, "Re2S7": -500.0}
    by_limit = {one.limit: one for one in corners({"Se", "W"}, compounds)}
    assert by_limit["S-rich"].exceeded == {}
    assert by_limit["Mo-rich"].exceeded == {"WSe2": pytest.approx(1.0), "Mo2S3": pytest.approx(1.0)}


def test_a_ternary_host_has_a_corner_for_each_element_that_is_poor():
    # GaInSe2, one formula unit of -20 eV, elements -3, -3, -4 eV: 20 - 14 = 6 eV of formation enthalpy.
    found = {
        one.limit: one.values
        for one in host_limits({"Ga": 1, "In": 1, "Se": 2}, -20.0, References({"Ga": -3, "In": -3, "Se": -4}))
    }
    assert found == {
        "Ga,In-rich": {"Ga": -3, "In": -3, "Se": -7.0},
        "Ga,Se-rich": {"Ga": -3, "Se": -4, "In": -9.0},
        "In,Se-rich": {"In": -3, "Se": -4, "Ga": -9.0},
    }


def test_a_host_of_one_element_sets_its_own_potential():
    (only,) = host_limits({"P": 4}, -20.0, References({"N": -8.0, "P": -5.4}), {"N"})
    assert (only.limit, only.values) == ("P-rich", {"P": -5.0, "N": -8.0})


def test_formation_energies_of_vacancy_antisite_and_impurity_by_hand():
    by_limit = limits({"Se"})
    # V_S, cell at -81 eV: -81 + 88 - (-1)(-4) = 3 eV S-rich, and -81 + 88 - (-1)(-6) = 1 eV Mo-rich.
    assert formation_energy(-81.0, PRISTINE, {"S": -1}, by_limit["S-rich"]) == pytest.approx(3.0)
    assert formation_energy(-81.0, PRISTINE, {"S": -1}, by_limit["Mo-rich"]) == pytest.approx(1.0)
    # S_Mo, cell at -76 eV: 12 - (1)(-4) - (-1)(-14) = 2 eV S-rich, and 12 + 6 - 10 = 8 eV Mo-rich.
    assert formation_energy(-76.0, PRISTINE, {"Mo": -1, "S": 1}, by_limit["S-rich"]) == pytest.approx(2.0)
    assert formation_energy(-76.0, PRISTINE, {"Mo": -1, "S": 1}, by_limit["Mo-rich"]) == pytest.approx(8.0)
    # Se_S, cell at -87 eV: 1 + 3.5 - 4 = 0.5 eV S-rich, and 1 + 3.5 - 6 = -1.5 eV Mo-rich.
    assert formation_energy(-87.0, PRISTINE, {"S": -1, "Se": 1}, by_limit["S-rich"]) == pytest.approx(0.5)
    assert formation_energy(-87.0, PRISTINE, {"S": -1, "Se": 1}, by_limit["Mo-rich"]) == pytest.approx(-1.5)


def test_a_charged_cell_by_hand():
    # V_S at charge -1, S-rich: 3 eV neutral part, -1 · (0.5 + 1.2) eV for the electron, 0.3 eV of correction: 1.6 eV.
    term, correction = (
        ChargeTerm(fermi_level=0.5, valence_band_maximum=1.2),
        EnergyCorrection(scheme="by hand", energy=0.3),
    )
    potentials = limits()["S-rich"]
    assert formation_energy(-81.0, PRISTINE, {"S": -1}, potentials, -1, term, correction) == pytest.approx(1.6)


@pytest.mark.parametrize("given", [{}, {"charge_term": ChargeTerm(fermi_level=0, valence_band_maximum=0)}])
def test_a_charged_cell_without_correction_is_refused(given):
    with pytest.raises(InputError, match=r"The cell has the charge \+1: .* finite-size correction") as caught:
        formation_energy(-81.0, PRISTINE, {"S": -1}, limits()["S-rich"], 1, **given)
    assert caught.value.exit_code == 2


def test_binding_energies_by_hand():
    # Alone 7 and 5 eV above the pristine cell, together 10.5 eV: bound by 1.5 eV. Together 12.25 eV: repelled by 0.25 eV.
    assert binding_energy(-77.5, [-81.0, -83.0], PRISTINE) == pytest.approx(1.5)
    assert binding_energy(-75.75, [-81.0, -83.0], PRISTINE) == pytest.approx(-0.25)
    # Three parts of 7 eV each, together 18 eV: bound by 3 eV.
    assert binding_energy(-70.0, [-81.0] * 3, PRISTINE) == pytest.approx(3.0)


def test_chemical_potentials_cancel_in_binding_energies():
    for potentials in limits().values():
        parts = [formation_energy(e, PRISTINE, n, potentials) for e, n in ((-81.0, {"S": -1}), (-76.5, {"Mo": -1}))]
        together = formation_energy(-70.0, PRISTINE, {"S": -1, "Mo": -1}, potentials)
        assert binding_energy(-70.0, [-81.0, -76.5], PRISTINE) == pytest.approx(sum(parts) - together)


def test_atoms_that_are_added_and_taken_away():
    species = ["Mo", "Mo", "S", "S"]
    assert added_atoms([(0, "Vac")], species) == {"Mo": -1}
    assert added_atoms([(0, "S"), (2, "Vac")], species) == {"Mo": -1}
    assert added_atoms([(0, "W"), (2, "Se"), (3, "Se")], species) == {"Mo": -1, "S": -2, "Se": 2, "W": 1}
    assert added_atoms([(0, "S"), (2, "Mo")], species) == {}


def test_potentials_that_cannot_be_had_are_refused():
    with pytest.raises(InputError, match="no energy of the elemental phase of Re"):
        limits({"Re"})
    with pytest.raises(InputError, match=r"MoS2 is less stable than its elemental phases by 0\.1667 eV per atom"):
        host_limits(ATOMS, -70.0, References(ELEMENTS))
    with pytest.raises(InputError, match="no chemical potential of W"):
        formation_energy(-87.0, PRISTINE, {"Mo": -1, "W": 1}, limits()["S-rich"])


def test_formulas_are_reduced():
    assert [formula(atoms) for atoms in (ATOMS, {"P": 4}, {"B": 3, "N": 3})] == ["MoS2", "P", "BN"]


def test_unlike_energies_are_refused(copper):
    one, other_engine = copper.record(copper.configuration()), ForceFieldEngine(potential="another.Potential")
    refuse_unlike([one, copper.record(copper.configuration({0: "Al"}))])
    with pytest.raises(
        InputError, match=r"Energies of the forcefield engine with the settings \w+ and .* no common zero"
    ):
        refuse_unlike([one, copper.record(copper.configuration(), engine=other_engine)])
    with pytest.raises(InputError, match=r"two supercells of Cu were to be combined \(32 and 48 sites\)"):
        refuse_unlike([one, copper.record(copper.configuration(supercell=(3, 2, 2)))])
