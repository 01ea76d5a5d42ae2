from __future__ import annotations

import pytest

from definet_flows.analysis.savings import Threshold
from definet_flows.analysis.validation import validation_results
from tests.analysis.savings_records import pair, run

FINE = {Threshold.ENGINE: 0.01}


@pytest.fixture
def records():
    """Four held-out pairs: a gain, a loss, a lost run and one of a cluster seen at another size; and one that is not held out."""
    return [
        pair(1, run(20, 10), run(4, 2)),
        pair(2, run(10, 5), run(12, 5)),
        pair(3, run(30, 12), run(50, None, "unconverged")),
        pair(4, run(40, 12), run(4, 2), exposure="other_size"),
        pair(5, run(99, 12), run(1, 1)),
    ]


def settled(records, labels=(), planned=(), hours=0.0):
    held_out = {record.configuration_id for record in records[:4]} | set(planned)
    return validation_results(held_out, records, labels, FINE, hours)


def test_the_headline_has_new_clusters_only_and_every_loser(records):
    results = settled(records)
    (headline,) = results.headline
    assert (headline.clusters, headline.pairs) == ("new", 3)
    assert (headline.total_unrelaxed, headline.total_prerelaxed) == (20 + 10 + 30, 4 + 12 + 30 + 50)
    assert [(row.clusters, row.pairs) for row in results.rows] == [("seen at another size", 1), ("new", 3), ("all", 4)]


def test_groups_by_type_number_and_supercell(records):
    results = settled(records)
    rows = {row.group: row for row in results.groups}
    assert sum(row.pairs for row in results.groups) == 3 * 4, "each pair once in each of the three groupings"
    whole = next(row for row in results.groups if row.group.startswith(records[0].host.name))
    # 20, 10, 30, 40 from the unrelaxed start; 4, 12, 80, 4 from the prediction
    assert whole.unrelaxed.mean == 25
    assert (whole.unrelaxed.lower, whole.unrelaxed.median, whole.unrelaxed.upper) == (17.5, 25, 32.5)
    assert (whole.prerelaxed.mean, whole.prerelaxed.median) == (25, 8)
    assert whole.reduction == 0
    assert rows[records[0].label].pairs >= 1


def test_the_worst_are_named_dearest_first(records):
    assert [one.configuration_id for one in settled(records).worst] == [
        records[2].configuration_id,
        records[1].configuration_id,
    ]


def test_it_is_partial_while_a_pair_is_missing(records):
    assert not settled(records).is_partial
    assert settled(records, planned=["0" * 16]).is_partial


def test_labels_and_training_are_earned_back(copper):
    """Four labels of 0.05 core-hours, one of them failed, and a training, together 4.5 times what a configuration saves."""
    records = [pair(1, run(20, 10, core_hours=1.0), run(4, 2, core_hours=0.8))]
    saved = settled(records).investment.saved_per_configuration
    assert saved == pytest.approx(1.0 - 0.8 - records[0].prerelax_core_hours)
    placements = [copper.configuration({0: "Vac", site: "Al"}) for site in (1, 2, 3, 7)]
    labels = [copper.record(one, converged=one is not placements[2], steps=5) for one in placements]
    paid = settled(records, labels, hours=4.5 * saved - 0.2).investment
    assert (paid.labels, paid.labels_converged) == (4, 3)
    assert paid.label_core_hours == pytest.approx(0.2)
    assert paid.pays_after == 5
    assert settled([pair(2, run(10, 5), run(12, 5))]).investment.pays_after is None
    assert settled([]).investment.saved_per_configuration is None


def test_what_a_network_cost_before_is_earned_back_too():
    records = [pair(1, run(20, 10, core_hours=1.0), run(4, 2, core_hours=0.8))]
    saved = settled(records).investment.saved_per_configuration
    paid = validation_results(
        {records[0].configuration_id}, records, (), FINE, earlier_core_hours=9.5 * saved
    ).investment
    assert (paid.core_hours, paid.pays_after) == (pytest.approx(9.5 * saved), 10)
