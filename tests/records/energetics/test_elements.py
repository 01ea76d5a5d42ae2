from __future__ import annotations

import json

import pytest

from definet_flows.errors import InputError
from definet_flows.records import documents
from definet_flows.records.energetics import documents as energetics
from definet_flows.records.energetics import read_element_table
from definet_flows.records.energetics.elements import element_key

CONTENT = {"physics_hash": "abc", "source": "by hand", "elements": {"Mo": -10.5, "S": -4}}


def test_a_table_is_read_from_yaml_and_json(tmp_path):
    yaml_file, json_file = tmp_path / "table.yaml", tmp_path / "table.json"
    yaml_file.write_text("physics_hash: abc\nsource: by hand\nelements: {Mo: -10.5, S: -4}\n", encoding="utf-8")
    json_file.write_text(json.dumps(CONTENT), encoding="utf-8")
    table = read_element_table(yaml_file)
    assert table == read_element_table(json_file)
    assert (table.physics_hash, table.elements) == ("abc", {"Mo": -10.5, "S": -4.0})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no table of elements"),
        ("[1", "cannot be read"),
        ("- 1", "cannot be used"),
        ("elements: {Mo: -1}", "physics_hash: Field required"),
        ("physics_hash: a\nelements: {Xx: -1}", "Xx is no element's symbol"),
        ("physics_hash: a\nelements: {Mo: heavy}", "elements.Mo: Input should be a valid number"),
        ("physics_hash: a\ncompounds: {W: -12}", "compounds: Value error, W is no compound"),
        ("physics_hash: a\ncompounds: {W0.5S: -12}", "W0.5S is no compound"),
        ("physics_hash: a\ncompounds: {Tungsten: -12}", "Tungsten is no compound"),
        ("physics_hash: a\nelements: {Mo: -1}\nunit: eV", "unit: Extra inputs"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "table.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=sentence.replace(".", r"\.")) as caught:
        read_element_table(path)
    assert caught.value.exit_code == 2


def test_what_decides_the_energy_of_a_phase_is_in_its_key():
    keys = [
        element_key("S", "alpha-S8", "a", None),
        element_key("S", "alpha-S8", "a", 40.0),
        element_key("S", "alpha-S8", "b", None),
        element_key("S", "other", "a", None),
        element_key("Se", "alpha-S8", "a", None),
    ]
    assert len(set(keys)) == 5


def test_every_field_says_what_it_is():
    models = [one for one in vars(energetics).values() if isinstance(one, type) and hasattr(one, "model_fields")]
    own = [one for one in models if one.__module__ == energetics.__name__]
    assert len(own) >= 7
    assert all(field.description for model in own for field in model.model_fields.values())
    assert issubclass(energetics.ElementRecord, documents.StoredDocument)
