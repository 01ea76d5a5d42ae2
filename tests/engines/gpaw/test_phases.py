"""Elemental phases on GPAW itself, where that is installed (`make gpaw`)."""

from __future__ import annotations

import numpy as np
import pytest

from definet_flows.engines.elements import elemental_phase, own_density, relax_phase

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib, asked by pymatgen


def test_the_density_is_for_crystals(engine):
    assert own_density(engine(), elemental_phase("Li"), 30.0) == 30.0
    assert own_density(engine(), elemental_phase("H"), 30.0) is None


def test_lithium_is_relaxed_with_its_cell_on_its_own_k_points(engine):
    pytest.importorskip("gpaw", reason="GPAW is not installed: make gpaw")
    made = engine()
    outcome = relax_phase(made, elemental_phase("Li"), 12.0)
    assert (outcome.converged, outcome.error, outcome.kpoints) == (True, None, (5, 5, 5))
    # In experiment the edge of the cube is 3.49 Å; PBE gives 3.44 Å.
    assert (2 * abs(np.linalg.det(outcome.lattice))) ** (1 / 3) == pytest.approx(3.44, abs=0.05)
    assert outcome.core_hours == pytest.approx(outcome.wall_seconds / 3600)
    (log,) = made.directory.glob("Li-bcc-Li/gpaw.txt")
    assert "PBE" in log.read_text()
