from __future__ import annotations

import re

import pytest
from pydantic import BaseModel, ValidationError

from definet_flows.records import documents
from definet_flows.records.documents import (
    SCHEMA_VERSION,
    CampaignRecord,
    PredictionRecord,
    RelaxationRecord,
    SavingsRecord,
)

MODELS = [model for model in vars(documents).values() if isinstance(model, type) and issubclass(model, BaseModel)]
UNITS = {
    "energy": "eV",
    "energy_difference": "eV",
    "max_force": "eV/Å",
    "max_force_history": "eV/Å",
    "positions": "Å",
    "largest_distance": "Å",
    "max_displacement": "Å",
    "wall_seconds": " s",
    "seconds": " s",
    "prerelax_seconds": " s",
    "core_hours": "ore-hours",
    "total_moment": "Bohr magnetons",
    "moment_difference": "Bohr magnetons",
    "charge": "elementary charges",
}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_says_what_it_is_and_in_which_unit(model):
    for name, field in model.model_fields.items():
        if model is BaseModel:
            continue
        assert field.description, name
        assert UNITS.get(name, "") in f" {field.description}", name


def test_documents_know_their_versions(copper):
    record = copper.record(copper.configuration())
    assert record.schema_version == SCHEMA_VERSION
    assert re.match(r"\d+\.\d+", record.code_version)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", record.last_updated)


def test_documents_survive_json(copper):
    prediction = copper.prediction(copper.configuration())
    for document in (prediction, copper.record(copper.configuration(), prediction)):
        again = type(document).model_validate_json(document.model_dump_json())
        assert again == document


@pytest.mark.parametrize("model", [RelaxationRecord, PredictionRecord, SavingsRecord, CampaignRecord])
def test_an_unknown_field_is_refused(model):
    with pytest.raises(ValidationError, match="Extra inputs"):
        model.model_validate({"steps": 3})


def test_documents_written_before_there_were_details_are_read(copper):
    content = copper.record(copper.configuration()).model_dump(mode="json")
    prediction = copper.prediction(copper.configuration()).model_dump(mode="json")
    assert content.pop("details") is None
    assert prediction.pop("gpus") == 0
    assert RelaxationRecord.model_validate(content).details is None
    assert PredictionRecord.model_validate(prediction).gpus == 0


def test_a_charged_cell_says_what_its_energy_lacks_and_that_networks_do_not_know_it(copper):
    from definet_flows.defects import DefectConfiguration, Host

    bulk = copper.record(copper.configuration(), charge=-1)
    layer = copper.record(
        DefectConfiguration.create(Host.from_preset("hBN", (3, 3, 1), vacuum=15), {0: "Vac"}), charge=1
    )
    neutral = copper.record(copper.configuration())
    assert (bulk.charge, bulk.charge_outside_training, bulk.charge_correction) == (-1, True, "bulk")
    assert (layer.charge, layer.charge_outside_training, layer.charge_correction) == (1, True, "layer")
    assert (neutral.charge, neutral.charge_outside_training, neutral.charge_correction) == (0, False, None)
    assert len({bulk.key, neutral.key}) == 2


def test_documents_written_before_there_were_charges_are_read(copper):
    content = copper.record(copper.configuration()).model_dump(mode="json") | {"schema_version": 1}
    del content["charge_outside_training"], content["charge_correction"]
    assert not RelaxationRecord.model_validate(content).charge_outside_training
