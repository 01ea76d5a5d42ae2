"""A campaign that runs in seconds: copper with vacancies, aluminium and nickel, EMT, and a tiny random network.

The network does not know nickel, so that its guard refuses what contains it.
"""

from __future__ import annotations

import textwrap
from functools import cache

import numpy as np
import torch
from pymatgen.core import Lattice, Structure

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.definet import DefiNet, DefiNetConfig, ModelCard, save_checkpoint
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.records.documents import CampaignRecord, ModelSummary, PredictionRecord
from definet_flows.records.extract import record_from_relaxation
from definet_flows.records.keys import prediction_key

EMT = "ase.calculators.emt.EMT"
ENGINE = ForceFieldEngine(potential=EMT, force_threshold=0.02)
MODEL = ModelSummary(checkpoint="tiny", checkpoint_hash="c" * 16, guard_hash="d" * 16)


def unit_cell():
    return Structure(Lattice.cubic(3.61), ["Cu"] * 4, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


@cache
def host(supercell=(2, 2, 2)):
    return Host.from_structure(unit_cell(), supercell, name="Cu")


def configuration(changes=None, supercell=(2, 2, 2)):
    return DefectConfiguration.create(host(supercell), changes or {0: "Vac"})


def write_checkpoint(folder, seed=0, trained=(), name="tiny"):
    torch.manual_seed(seed)
    network = DefiNet(DefiNetConfig(features=8, n_layers=2, n_radial=8, max_neighbours=20))
    card = ModelCard(
        name=name,
        hosts=("Cu",),
        elements=("Cu", "Al"),
        teacher="EMT",
        max_displacement_trained=0.5,
        cluster_ids=tuple(one.cluster_id for one in trained if one.cluster_id),
    )
    save_checkpoint(folder, network, card)
    return folder


def write_campaign(folder, name="copper", host_lines="file: Cu.cif\nsupercell: [2, 2, 2]", **changes):
    """A campaign file with its checkpoint and structure beside it; `changes` replace top-level entries."""
    folder.mkdir(parents=True, exist_ok=True)
    unit_cell().to(filename=str(folder / "Cu.cif"))
    if not (folder / "tiny").exists():
        write_checkpoint(folder / "tiny")
    entries = {
        "host": "\n" + textwrap.indent(host_lines, "  "),
        "configurations": '{recipes: ["V_Cu", "Al_Cu", "V_Cu+Al_Cu", "V_Cu+Ni_Cu"]}',
        "model": "{checkpoint: tiny, device: cpu}",
        "engine": f"{{potential: {EMT}, force_threshold: 0.02}}",
        "baseline_fraction": "1.0",
    } | changes
    if "hosts" in entries:
        del entries["host"]
    path = folder / f"{name}.yaml"
    path.write_text(f"name: {name}\n" + "".join(f"{key}: {text}\n" for key, text in entries.items()))
    return path


def relaxation(
    configuration, energy=0.0, steps=5, shift=0.0, converged=True, error=None, moment=None, last_force=0.005
):
    """An engine's report of a run with forces falling evenly to `last_force`, every atom `shift` Å along x off."""
    positions = configuration.host.positions.copy()
    positions[configuration.occupied, 0] += np.atleast_1d(shift)
    history = np.linspace(0.4, last_force, steps).tolist()
    return Relaxation(
        converged=converged,
        error=error,
        ionic_steps=steps,
        max_force_history=history,
        max_force=history[-1],
        energy=energy,
        total_moment=moment,
        wall_seconds=36.0 * steps,
        cores=1,
        core_hours=0.01 * steps,
        positions=None if error else positions.tolist(),
        engine_version="test 1",
    )


def prediction(configuration, passed=True, model=MODEL, reference_hash="", exposure="new"):
    from definet_flows.records.extract import configuration_summary

    return PredictionRecord(
        key=prediction_key(configuration.id, model.checkpoint_hash, model.guard_hash, reference_hash),
        **configuration_summary(configuration, "copper"),
        **model.identity,
        reference_hash=reference_hash,
        positions=configuration.host.positions.tolist() if passed else None,
        passed=passed,
        reasons=[] if passed else ["an atom moves too far"],
        max_displacement=0.1 if passed else None,
        exposure=exposure,
        seconds=7.2,
    )


def record(configuration, prediction=None, engine=ENGINE, campaign="copper", charge=0, **outcome):
    report = relaxation(configuration, **outcome)
    return record_from_relaxation(configuration, report, engine, campaign, prediction, charge)


def campaign_record(name="copper", hosts=None, **changes):
    """The record of a campaign that planned nothing, on the copper host or on others; `changes` replace fields."""
    fields = {
        "key": "k",
        "name": name,
        "content_hash": "h",
        "settings": {},
        "hosts": {one.fingerprint: one.to_dict() for one in ([host()] if hosts is None else hosts)},
        "engine_name": "forcefield",
        "physics": ENGINE.physics,
        "physics_hash": ENGINE.physics_hash,
        "model": None,
    }
    return CampaignRecord(**fields | changes)
