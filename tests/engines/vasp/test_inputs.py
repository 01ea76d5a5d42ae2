"""The whole of INCAR, KPOINTS and POTCAR.spec is pinned: a key that a new atomate2 or pymatgen adds fails here."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pymatgen.core
import pytest

from definet_flows.defects import HOST_PRESETS, DefectConfiguration, Host
from definet_flows.engines import VaspEngine
from definet_flows.engines.moments import initial_moments
from definet_flows.engines.vasp.inputs.potcars import POTCARS
from definet_flows.engines.vasp.inputs.sets import poscar_order, relaxation_inputs, single_point_inputs
from definet_flows.engines.vasp.running.job import VaspJob
from definet_flows.engines.vasp.settings import SinglePoint
from definet_flows.errors import InputError
from tests.vasp_standin.potcars import VALENCES, write_potcars

PINNED = Path(__file__).with_name("pinned")


def written(engine, configuration, spec=True, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inputs = relaxation_inputs(engine, configuration, configuration.host.positions, **options)
        return inputs, inputs.generator.get_input_set(inputs.structure, potcar_spec=spec)


def incar_of(configuration, **settings):
    return written(VaspEngine(**settings), configuration)[1]["INCAR"]


@pytest.fixture(scope="module")
def doped():
    """MoS2 with a vacancy, tungsten and selenium: a new element between the host's."""
    host = Host.from_preset("MoS2", (6, 6, 1), vacuum=15)
    return DefectConfiguration.create(host, {0: "W", 36: "Se", 37: "Vac"})


@pytest.mark.parametrize("name", HOST_PRESETS)
def test_the_inputs_of_each_host_are_these_and_no_more(name):
    host = Host.from_preset(name, vacuum=15)
    dopant = next(iter(HOST_PRESETS[name].dopants.items()))
    site = host.species.index(dopant[0])
    configuration = DefectConfiguration.create(host, {site: dopant[1][0], site + 1: "Vac"})
    inputs = written(VaspEngine(cores=32), configuration)[1]
    parts = [f"# {file}\n{str(inputs[file]).strip()}\n" for file in ("INCAR", "KPOINTS", "POTCAR.spec")]
    assert "\n".join(parts) == (PINNED / f"{name}.txt").read_text()


def test_atoms_come_in_blocks_and_go_back_to_their_sites(doped):
    inputs, files = written(VaspEngine(), doped)
    assert files["POSCAR"].site_symbols == ["Mo", "S", "W", "Se"]
    assert files["POTCAR.spec"].split() == ["Mo_pv", "S", "W_sv", "Se"]
    assert sorted(inputs.sites) == list(np.flatnonzero(doped.occupied))
    assert [doped.species[site] for site in inputs.sites] == [site.specie.symbol for site in files["POSCAR"].structure]
    assert np.allclose(files["POSCAR"].structure.cart_coords, doped.host.positions[inputs.sites])
    assert np.array_equal(poscar_order(doped), inputs.sites)


def test_moments_are_those_of_the_sites(doped):
    inputs, files = written(VaspEngine(moments=("flipped",)), doped)
    assert files["INCAR"]["MAGMOM"] == pytest.approx(initial_moments(doped, "flipped")[inputs.sites].tolist())
    assert min(files["INCAR"]["MAGMOM"]) == -5


def test_real_space_projection_depends_on_the_supercell_alone():
    small, large = (Host.from_preset("MoS2", (n, n, 1), vacuum=15) for n in (4, 5))
    for host, expected in ((small, False), (large, "Auto")):
        for defects in ({0: "Vac"}, {0: "Vac", 1: "Vac", 2: "Vac"}):
            assert incar_of(DefectConfiguration.create(host, defects))["LREAL"] == expected


@pytest.mark.parametrize(
    ("cores", "kpoints", "expected"),
    [(1, (1, 1, 1), (1, 1)), (32, (1, 1, 1), (1, 8)), (32, (2, 2, 1), (4, 4)), (32, (3, 3, 1), (4, 4))],
)
def test_parallelisation_follows_cores_supercell_and_kpoints(doped, cores, kpoints, expected):
    incar = incar_of(doped, cores=cores, kpoints=kpoints)
    assert (incar["KPAR"], incar["NCORE"]) == expected


def test_settings_replace_defaults_add_keys_and_leave_keys_out(doped):
    incar = incar_of(doped, user_incar_settings={"encut": 400, "AMIN": 0.01, "LASPH": None, "NCORE": 2})
    assert (incar["ENCUT"], incar["AMIN"], incar["NCORE"]) == (400, 0.01, 2)
    assert "LASPH" not in incar
    assert "NCORE" not in incar_of(doped, user_incar_settings={"NPAR": 4})


def test_the_charge_sets_the_electrons_and_never_the_structure(doped, tmp_path, monkeypatch):
    write_potcars(tmp_path, ["Mo_pv", "S", "W_sv", "Se"])
    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path))
    symbols = [doped.species[site] for site in poscar_order(doped)]
    neutral = sum(VALENCES[symbol] for symbol in symbols)
    for charge in (-1, 2):
        inputs, files = written(VaspEngine(), doped, spec=False, charge=charge)
        assert files["INCAR"]["NELECT"] == neutral - charge
        assert inputs.structure.charge == 0
    assert "NELECT" not in written(VaspEngine(), doped, spec=False)[1]["INCAR"]


def test_dipole_correction_across_the_pristine_layer(doped):
    incar = incar_of(doped, dipole=True)
    assert (incar["LDIPOL"], incar["IDIPOL"]) == (True, 3)
    z = doped.host.structure.frac_coords[:, 2]
    assert incar["DIPOL"] == pytest.approx([0.5, 0.5, (z.min() + z.max()) / 2], abs=1e-5)


def test_both_starts_of_a_charged_cell_have_the_same_electrons(doped, tmp_path, monkeypatch):
    write_potcars(tmp_path, ["Mo_pv", "S", "W_sv", "Se"])
    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path))
    predicted = doped.host.positions + 0.02
    incars = []
    for origin, start in (("unrelaxed", doped.host.positions), ("prerelaxed", predicted)):
        inputs = VaspJob(VaspEngine(), doped, start, origin, charge=-1).inputs(None, "high_spin")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            incars.append(inputs.generator.get_input_set(inputs.structure, potcar_spec=False)["INCAR"])
    neutral = sum(VALENCES[doped.species[site]] for site in poscar_order(doped))
    assert [incar["NELECT"] for incar in incars] == [neutral + 1] * 2
    assert incars[0] == incars[1]


def test_dipole_correction_is_refused_for_charge_and_for_bulk(doped, pair):
    with pytest.raises(InputError, match=r"not defined for a cell of charge \+1"):
        written(VaspEngine(dipole=True), doped, charge=1)
    with pytest.raises(InputError, match="is no layer"):
        written(VaspEngine(dipole=True), pair)


@pytest.mark.parametrize(("vdw", "ivdw"), [("D3", 11), ("D3BJ", 12)])
def test_dispersion(doped, vdw, ivdw):
    assert incar_of(doped, vdw=vdw)["IVDW"] == ivdw


def test_single_points_move_nothing_and_keep_the_rest(doped):
    relaxing = incar_of(doped)
    levels = {"HSE06": {"LHFCALC": True, "HFSCREEN": 0.2}, "r2SCAN": {"METAGGA": "R2scan"}}
    for functional, expected in levels.items():
        level = SinglePoint(functional=functional, user_incar_settings={"NELM": 300})
        inputs = single_point_inputs(VaspEngine(), doped, doped.host.positions, level)
        incar = inputs.generator.get_input_set(inputs.structure, potcar_spec=True)["INCAR"]
        assert expected.items() <= incar.items()
        assert (incar["NSW"], incar["NELM"]) == (0, 300)
        assert not {"IBRION", "EDIFFG", "POTIM", "ISIF"} & incar.keys()
        assert {key: incar[key] for key in ("ENCUT", "EDIFF", "ISYM", "MAGMOM")} == {
            key: relaxing[key] for key in ("ENCUT", "EDIFF", "ISYM", "MAGMOM")
        }
        assert ("GGA" in incar) == (functional == "HSE06")


def test_the_table_of_potcars_has_every_element_of_the_hosts():
    elements = {symbol for preset in HOST_PRESETS.values() for symbol, _ in preset.sites}
    assert elements <= POTCARS.keys()
