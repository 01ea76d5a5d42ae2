from __future__ import annotations

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from definet_flows.defects import Host
from definet_flows.engines import EngineSettings, GpawEngine
from definet_flows.engines.gpaw.settings import grid_points


def test_the_defaults_are_what_the_paper_states_of_vasp():
    parameters = GpawEngine().parameters
    assert parameters["xc"] == "PBE"
    assert parameters["mode"] == {"name": "pw", "ecut": 500.0}
    assert parameters["kpts"]["size"] == [1, 1, 1]
    assert parameters["spinpol"] is True
    assert parameters["symmetry"] == "off"
    assert (GpawEngine().force_threshold, GpawEngine().moments) == (0.01, "near_defect")


def test_the_physics_hash_is_of_what_changes_the_result(tmp_path):
    plain = GpawEngine()
    elsewhere = GpawEngine(directory=tmp_path)
    assert (elsewhere.physics_hash, elsewhere.physics) == (plain.physics_hash, plain.physics)
    assert elsewhere.execution != plain.execution
    different = [
        {"force_threshold": 0.02},
        {"optimizer": "FIRE"},
        {"initial_hessian": 70.0},
        {"max_steps": 100},
        {"rattle": 0.01},
        {"relax_host": False},
        {"cutoff": 400.0},
        {"grid_spacing": 0.2},
        {"smearing": 0.1},
        {"empty_bands": 10},
        {"max_electronic_steps": 100},
        {"moments": "high_spin"},
    ]
    hashes = {GpawEngine(**options).physics_hash for options in different} | {plain.physics_hash}
    assert len(hashes) == len(different) + 1
    covered = {name for options in different for name in options} | {"name", "directory"}
    assert covered == set(GpawEngine.model_fields), "every setting but the directory is in the hash"


def test_a_campaign_file_names_it():
    engine = TypeAdapter(EngineSettings).validate_python({"name": "gpaw", "cutoff": 400})
    assert isinstance(engine, GpawEngine)
    assert (engine.cutoff, engine.cores, engine.threads) == (400.0, 1, 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"cutoff": 0},
        {"grid_spacing": -0.1},
        {"smearing": 0},
        {"empty_bands": 0},
        {"max_electronic_steps": 0},
        {"moments": "antiferro"},
        {"xc": "LDA"},
        {"optimizer": "Newton"},
    ],
)
def test_impossible_settings(settings):
    with pytest.raises(ValidationError, match=next(iter(settings))):
        GpawEngine(**settings)


@pytest.mark.parametrize("repeat", [1, 3, 4, 5, 8])
def test_every_unit_cell_has_the_same_points(repeat):
    host = Host.from_preset("hBN", (repeat, repeat, 1))
    points = np.array(grid_points(host, 0.16))
    assert points[0] == points[1] == 16 * repeat
    assert points[2] == 126, "the smallest even number with a fast transform that 20 Å need"
    assert (np.linalg.norm(host.lattice, axis=1) / points <= 0.16).all()


def test_a_skewed_supercell_has_points_enough():
    host = Host.from_preset("hBN", ((2, 1, 0), (-1, 3, 0), (0, 0, 1)))
    points = np.array(grid_points(host, 0.16))
    assert (np.linalg.norm(host.lattice, axis=1) / points <= 0.16).all()
    assert (points % 2 == 0).all()
