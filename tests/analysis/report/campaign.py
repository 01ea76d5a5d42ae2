"""A campaign of every outcome, some of whose texts would like to be markup."""

from __future__ import annotations

from itertools import islice

import numpy as np

from definet_flows.defects import Host, enumerate_configurations
from definet_flows.definet import GuardVerdict, Prediction
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.plan import campaign_record
from definet_flows.records.documents import ModelSummary
from definet_flows.records.extract import pristine_configuration, record_from_prediction, record_from_relaxation
from definet_flows.records.store import open_store
from tests.records.energetics.element_records import element

IMAGE = "<img src=x onerror=window.hostile=1>"
SCRIPT = f"</script>{IMAGE}<script>window.hostile=1</script>"
NAME = "small </title>" + SCRIPT
REASON = f"crashed {SCRIPT}"
LABEL = f"V_S+{IMAGE}"
MODEL = ModelSummary(checkpoint=f"tiny {IMAGE}", checkpoint_hash="c" * 16, guard_hash="d" * 16)
ENGINE = ForceFieldEngine()
RECIPES = ("V_Mo+V_S+V_S", "V_Mo+V_S+Se_S")
N_PLAIN = 50
"""Configurations that were simply saved steps; with the others they fill more than one page of the table."""

UNRELAXED = [0.5, 0.2, 0.04, 0.02, 0.009]
PRERELAXED = [0.04, 0.009]
LOST = [0.3] * 9


def relaxation(host, history, moved=0.0, energy=-100.0):
    converged = history[-1] < ENGINE.force_threshold
    positions = host.positions.copy()
    positions[1:4, 0] += moved
    return Relaxation(
        converged=converged,
        ionic_steps=len(history),
        max_force_history=history,
        max_force=history[-1],
        energy=energy,
        wall_seconds=3.6,
        cores=1,
        core_hours=0.001 * len(history),
        positions=positions.tolist(),
        engine_version="test",
        error=None if converged else REASON,
    )


def fill(folder, n_plain=N_PLAIN):
    """Write the campaign; returns its configurations: the odd ones first, then the plain ones."""
    host = Host.from_preset("MoS2", (3, 3, 1), vacuum=15)
    settings = {"name": NAME, "host": {"preset": "MoS2", "supercell": [3, 3, 1], "vacuum": 15}}
    campaign = Campaign.model_validate({**settings, "configurations": {"recipes": list(RECIPES)}})
    every = (one for recipe in RECIPES for one in enumerate_configurations(host, recipe))
    listed = list(islice(every, 6 + n_plain))
    with open_store(folder) as store:
        store.put_campaign(campaign_record(campaign, host, MODEL, listed))
        for number, configuration in enumerate(listed):
            add(store, host, configuration, number)
    return listed


def add(store, host, configuration, number):
    """Of the first six: a lost run, a refusal, another minimum, a lost baseline, one start only, and only a prediction."""
    verdict = GuardVerdict.of([f"atoms too close {IMAGE}"] if number == 1 else [], 0.1)
    predicted = host.positions + np.random.default_rng(number).normal(scale=0.05, size=host.positions.shape)
    prediction = record_from_prediction(
        Prediction(configuration, predicted, verdict, 0.01, "other_size" if number % 2 else "new"), MODEL, NAME
    )
    label = {"label": LABEL} if number == 0 else {}
    store.add_predictions([prediction.model_copy(update=label)])
    ends = {
        0: (UNRELAXED, LOST, 0.0),
        1: (UNRELAXED, None, 0.0),
        2: (UNRELAXED, PRERELAXED, 0.4),
        3: (LOST, PRERELAXED, 0.0),
        4: (None, PRERELAXED, 0.0),
        5: (None, None, 0.0),
    }
    steps = [0.5] * (number % 7) + UNRELAXED
    baseline, other, moved = ends.get(number, (steps, PRERELAXED, 0.001))
    runs = []
    if baseline:
        runs.append(record_from_relaxation(configuration, relaxation(host, baseline), ENGINE, NAME))
    if other:
        run = relaxation(host, other, moved, -100.0 - 0.1 * bool(moved > 0.1))
        runs.append(record_from_relaxation(configuration, run, ENGINE, NAME, prediction))
    store.add_relaxations([run.model_copy(update=label) for run in runs])


def add_elements(folder):
    """Write the pristine supercell, elements and a compound of round energies.

    9 MoS2 of -24 eV; Mo -10, S -4, Se -3.5 eV per atom. S-rich: S -4, Mo -24 + 8 = -16 eV. Mo-rich: Mo -10, S -7 eV. MoSe2 at
    -20 eV keeps Se at (-20 + 10)/2 = -5 eV Mo-rich; S-rich, at -2 eV, it does not.
    """
    host = Host.from_preset("MoS2", (3, 3, 1), vacuum=15)
    run = relaxation(host, [0.009], energy=9 * -24.0)
    pristine = record_from_relaxation(pristine_configuration(host), run, ENGINE, NAME)
    energies = {"Mo": -10.0, "S": -4.0, "Se": -3.5, "MoSe2": -20.0 / 3}
    with open_store(folder) as store:
        store.add_relaxations([pristine])
        store.write("elements", [element(name, energy, engine=pristine.engine) for name, energy in energies.items()])
