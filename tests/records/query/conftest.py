"""One campaign's worth of records in a directory and in a database, and in plain lists as the oracle."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import numpy as np
import pytest
from pymongo import MongoClient

from definet_flows.records import ResultsStore, build_savings, open_store
from definet_flows.records.documents import ModelSummary
from definet_flows.records.extract import pristine_configuration
from definet_flows.records.query import Kind
from tests import copper
from tests.database.fixtures import address_of

CHANGES = [
    *({0: "Vac"}, {0: "Al"}, {0: "Vac", 1: "Al"}, {0: "Vac", 1: "Vac"}, {0: "Vac", 6: "Vac"}),
    *({0: "Al", 2: "Vac", 3: "Ni"}, {0: "V"}),
]
EXPOSURES = ("same_size", "other_size", "new", "new", "new", "new", "other_size")
OTHER_MODEL = ModelSummary(checkpoint="other", checkpoint_hash="e" * 16, guard_hash="none")


def relaxations_and_predictions():
    """Runs of seven configurations in two supercells: converged, unconverged and failed, of two models and two campaigns."""
    pristine = copper.record(pristine_configuration(copper.host()), energy=-100.0)
    relaxations, predictions = [pristine], []
    for supercell, campaign in (((2, 2, 2), "copper"), ((3, 2, 2), "wide")):
        for number, changes in enumerate(CHANGES):
            configuration = copper.configuration(changes, supercell)
            model = OTHER_MODEL if number == 1 else copper.MODEL
            predicted = copper.prediction(configuration, number != 5, model, exposure=EXPOSURES[number])
            predicted = predicted.model_copy(update={"campaign": campaign})
            predictions.append(predicted)
            energy = -3.5 * configuration.n_defects - number / 7
            relaxations.append(copper.record(configuration, campaign=campaign, energy=energy, steps=5 + number))
            if predicted.passed:
                outcome = {3: {"error": "it crashed"}, 4: {"converged": False, "last_force": 0.3}}.get(number, {})
                shift = 0.5 * np.arange(configuration.occupied.sum()) / 99 if number == 2 else 0.0
                run = copper.record(
                    configuration, predicted, campaign=campaign, energy=energy, steps=3, shift=shift, **outcome
                )
                relaxations.append(run)
    charged = relaxations[1].model_copy(update={"key": "f" * 32, "charge": -1, "energy": None})
    return [*relaxations, charged], predictions


def campaign(name, supercell):
    planned = [copper.configuration(changes, supercell).id for changes in CHANGES]
    plan = {"model": copper.MODEL, "configuration_ids": planned, "baseline_ids": planned}
    return copper.campaign_record(name, [copper.host(supercell)], key=name, **plan)


def fill(place, relaxations, predictions):
    with open_store(place) as store:
        for name, supercell in (("copper", (2, 2, 2)), ("wide", (3, 2, 2))):
            store.put_campaign(campaign(name, supercell))
        store.add_predictions(predictions)
        store.add_relaxations(relaxations)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Every record by kind, as they went in."""
    relaxations, predictions = relaxations_and_predictions()
    place = tmp_path_factory.mktemp("oracle")
    fill(place, relaxations, predictions)
    with open_store(place, read_only=True) as store:
        savings = build_savings(store)
    listed = {Kind.RELAXATIONS: relaxations, Kind.PREDICTIONS: predictions, Kind.SAVINGS: savings}
    return SimpleNamespace(place=place, **{kind.value: listed[kind] for kind in Kind}, of=listed)


@pytest.fixture(scope="module", params=["directory", "database"])
def results(request, records):
    """The same results from either kind of store."""
    if request.param == "directory":
        with ResultsStore(records.place) as opened:
            yield opened
        return
    uri = request.getfixturevalue("mongo_uri")
    name = f"test_query_{uuid.uuid4().hex[:8]}"
    place = address_of(uri, name)
    fill(place, records.relaxations, records.predictions)
    with ResultsStore(place) as opened:
        yield opened
    with MongoClient(uri) as client:
        client.drop_database(name)
