from __future__ import annotations

import numpy as np
import pytest

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines.moments import initial_moments


@pytest.fixture(scope="module")
def vacancy():
    host = Host.from_preset("MoS2", (4, 4, 1), vacuum=15)
    return DefectConfiguration.create(host, {16: "Vac"})


def test_high_spin_is_by_element_and_ferromagnetic(vacancy):
    moments = initial_moments(vacancy, "high_spin")
    species = np.array(vacancy.species)
    assert set(moments[species == "Mo"]) == {5.0}
    assert set(moments[(species == "S") & vacancy.occupied]) == {0.6}
    assert moments[~vacancy.occupied].tolist() == [0.0]


def test_near_defect_is_the_first_shell(vacancy):
    """A sulphur site of MoS2 has three molybdenum neighbours."""
    moments = initial_moments(vacancy, "near_defect")
    assert sorted(moments[moments > 0]) == [1.0, 1.0, 1.0]
    assert {vacancy.species[site] for site in np.flatnonzero(moments)} == {"Mo"}


def test_flipped_turns_that_shell_round(vacancy):
    high, flipped = (initial_moments(vacancy, scheme) for scheme in ("high_spin", "flipped"))
    near = initial_moments(vacancy, "near_defect") > 0
    assert np.array_equal(flipped[near], -high[near])
    assert np.array_equal(flipped[~near], high[~near])


def test_a_substituted_site_belongs_to_its_shell():
    host = Host.from_preset("MoS2", (4, 4, 1), vacuum=15)
    tungsten = DefectConfiguration.create(host, {0: "W"})
    assert (initial_moments(tungsten, "near_defect") > 0).sum() == 7


def test_the_pristine_supercell_has_no_shell(vacancy):
    pristine = DefectConfiguration(vacancy.host, ())
    assert not initial_moments(pristine, "near_defect").any()
    assert initial_moments(pristine, "flipped").min() > 0
