from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from definet_flows.defects import Host, available_hosts
from definet_flows.defects.presets import host_preset
from definet_flows.defects.vacuum import gap_along, infer_dimensionality, with_vacuum
from definet_flows.errors import InputError


@pytest.mark.parametrize("name", available_hosts())
@pytest.mark.parametrize("vacuum", [15.0, 22.5])
def test_widening_keeps_the_layer(name, vacuum):
    cell = host_preset(name)[1].unit_cell()
    wide = with_vacuum(cell, vacuum)
    assert gap_along(wide, 2) == pytest.approx(max(vacuum, gap_along(cell, 2)))
    np.testing.assert_allclose(wide.lattice.matrix[:2], cell.lattice.matrix[:2])
    between = [s.cart_coords[:, None] - s.cart_coords[None] for s in (wide, cell)]
    np.testing.assert_allclose(*between, atol=1e-9)
    in_plane = [s.distance_matrix for s in (wide, cell)]
    np.testing.assert_allclose(*in_plane, atol=1e-9)


def test_vacuum_is_never_narrowed():
    assert Host.from_preset("hBN", (2, 2, 1), vacuum=5).vacuum == pytest.approx(20.0)


@pytest.mark.parametrize("shift", [0.2, 0.5, 0.8])
def test_a_layer_cut_by_the_cell_edge_is_widened_in_one_piece(shift):
    cell = host_preset("MoS2")[1].unit_cell()
    cut = cell.copy()
    cut.translate_sites(range(3), [0, 0, shift], to_unit_cell=True)
    wide = Host.from_structure(cut, (3, 3, 1), dimensionality=2, vacuum=20)
    assert wide.vacuum == pytest.approx(20)
    np.testing.assert_allclose(wide.unit_cell.distance_matrix, cell.distance_matrix, atol=1e-9)
    heights = wide.positions[:, 2]
    assert heights.max() - heights.min() == pytest.approx(14.879 * (0.355174 - 0.144826))


def test_vacuum_is_measured_between_planes_in_a_skewed_cell():
    lattice = Lattice([[3, 0, 0], [0, 3, 0], [4, 0, 20]])
    layer = Structure(lattice, ["C", "C"], [[0, 0, 0.1], [0.5, 0.5, 0.2]])
    assert gap_along(layer, 2) == pytest.approx(18)
    wide = with_vacuum(layer, 30)
    assert gap_along(wide, 2) == pytest.approx(30)
    np.testing.assert_allclose(wide.cart_coords, layer.cart_coords, atol=1e-12)


@pytest.mark.parametrize(("axis", "letter"), [(0, "a"), (1, "b")])
def test_vacuum_along_another_axis_is_refused(axis, letter):
    lengths = [3.0, 3.0, 3.0]
    lengths[axis] = 20.0
    wire = Structure(Lattice.orthorhombic(*lengths), ["C"], [[0.5, 0.5, 0.5]])
    with pytest.raises(InputError, match=f"vacuum lies along {letter}; turn the cell so that it lies along c"):
        Host.from_structure(wire, (2, 2, 2))


def test_dimensionality_is_inferred():
    assert infer_dimensionality(host_preset("BP")[1].unit_cell()) == 2
    assert infer_dimensionality(Structure(Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])) == 3


@pytest.mark.parametrize("vacuum", [0, -3, float("nan"), float("inf")])
def test_impossible_vacuum(vacuum):
    with pytest.raises(InputError, match="not a positive length"):
        Host.from_preset("MoS2", (2, 2, 1), vacuum=vacuum)
