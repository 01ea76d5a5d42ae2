from __future__ import annotations

import numpy as np
import pytest

from definet_flows.records import RecordStore, build_savings
from definet_flows.records.building.trust import committee_spread, displacement_quantile, trust
from tests.records.building.test_builder import QUANTILES, campaign

LENGTHS = [(0.5, 0.1), (0.99, 0.2), (1.0, 0.5)]


@pytest.mark.parametrize(
    ("displacement", "share"),
    [(0.0, 0.0), (0.05, 0.25), (0.1, 0.5), (0.15, 0.745), (0.2, 0.99), (0.35, 0.995), (0.5, 1.0), (9.0, 1.0)],
)
def test_the_quantile_of_a_displacement_grows_linearly_between_the_known_ones(displacement, share):
    assert displacement_quantile(displacement, LENGTHS) == pytest.approx(share)


def test_nothing_is_said_where_nothing_is_known():
    assert displacement_quantile(None, LENGTHS) is displacement_quantile(0.1, []) is None
    assert trust(True, None, LENGTHS) is trust(True, 0.1, []) is None


def test_trust_falls_with_the_displacement():
    assert trust(True, 0.0, LENGTHS) == 1.0
    assert trust(True, 0.2, LENGTHS) == pytest.approx(np.exp(-1))
    assert trust(True, 0.1, LENGTHS) == pytest.approx(np.exp(-0.5))
    assert trust(False, 0.0, LENGTHS) == 0.0


def test_the_spread_is_the_largest_deviation_whatever_the_translation():
    atoms = np.zeros((2, 3))
    # Apart by 0.3 Å along x: after centring each atom is 0.15 Å off.
    apart = np.array([[0.0, 0, 0], [0.3, 0, 0]])
    assert committee_spread(atoms, []) is None
    assert committee_spread(atoms, [atoms + 5.0]) == pytest.approx(0)
    assert committee_spread(atoms, [atoms, apart + 1.0]) == pytest.approx(0.15)


def test_a_record_has_the_spread_over_the_checkpoints_in_its_store(copper):
    """The vacancy's neighbourhood is 31 atoms; one of them 0.31 Å off is sqrt(0.31² · 30/31 / 31) Å apart, centred."""
    configuration = copper.configuration()
    models = [
        copper.MODEL.model_copy(update={"checkpoint_hash": letter * 16, "displacement_quantiles": QUANTILES})
        for letter in "abc"
    ]
    predictions = [copper.prediction(configuration, model=model) for model in models]
    positions = np.array(predictions[1].positions)
    positions[configuration.occupied.nonzero()[0][0], 0] += 0.31
    predictions[1] = predictions[1].model_copy(update={"positions": positions.tolist()})
    elsewhere = copper.prediction(configuration, model=copper.MODEL, reference_hash="another")
    with RecordStore.in_memory() as store:
        store.put_campaign(campaign(copper, models[0]))
        store.add_predictions([*predictions, elsewhere])
        store.add_relaxations([copper.record(configuration), copper.record(configuration, predictions[0])])
        (record,) = build_savings(store)
    assert record.committee_size == 3
    assert record.committee_spread == pytest.approx(np.sqrt(0.31**2 * 30 / 31 / 31))
    assert record.displacement_quantile == pytest.approx(
        0.5 + 0.49 / 3
    )  # 0.1 Å lies a third of the way from 0.05 to 0.2
    assert record.trust == pytest.approx(np.exp(-0.5))
