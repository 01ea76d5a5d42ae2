from __future__ import annotations

import pytest

from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.datasets.split import Split
from definet_flows.training.provenance import model_card
from tests.training.conftest import TEACHER, configurations_of, labelled


def card_of(teacher):
    pool = LabelPool([labelled(configurations_of(3, "V_S", "Se_S"), teacher)])
    config = TrainingConfig(name="toy", remarks=("The teacher is made up.",))
    return model_card(config, pool, Split.of(pool, {"training": [0], "validation": [1]}), {})


def test_a_card_says_which_teacher_taught_which_hosts():
    sets = [labelled(configurations_of(3, "V_S"), TEACHER), labelled(configurations_of(4, "V_S"), TEACHER)]
    sets.append(labelled(configurations_of(3, "V_Se", host="WSe2"), {"name": "gpaw"}))
    pool = LabelPool(sets)
    card = model_card(TrainingConfig(name="toy"), pool, Split.of(pool, {"training": [0, 1, 2], "validation": []}), {})
    assert card.teacher == "pull (MoS2), gpaw (WSe2)"
    assert f"settings {TEACHER}; {{'name': 'gpaw'}}" in card.label_source
    assert any("Not a DFT-trained model" in limit for limit in card.limits)


@pytest.mark.parametrize(("teacher", "is_dft"), [(TEACHER, False), ({"name": "gpaw"}, True), ({"name": "vasp"}, True)])
def test_a_card_says_what_a_model_is_for_and_whether_its_labels_are_dft(teacher, is_dft):
    card = card_of(teacher)
    assert "point defects in MoS2 start" in card.intended_use
    assert card.remarks == ("The teacher is made up.",)
    assert any("Not a DFT-trained model" in limit for limit in card.limits) is not is_dft
