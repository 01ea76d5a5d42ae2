from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from definet_flows.launch.fireworks.clearing import clear
from definet_flows.launch.fireworks.elements import CLAIMS, submit_elements
from definet_flows.launch.fireworks.routing import MARK
from definet_flows.launch.fireworks.submissions import submission_named
from definet_flows.launch.fireworks.waves import Waves
from definet_flows.records.energetics import ElementRecord

BROUGHT = '{recipes: ["Al_Cu", "Ni_Cu", "Mo_Cu"]}'
"""Copper is the host, and its own reference; the potential knows no molybdenum."""


@pytest.fixture
def handed_over(cluster, campaign, submitted):
    """Submit the elements of a campaign; the campaign itself is submitted first."""
    plan = campaign(configurations=BROUGHT, model="null")
    submitted(plan)
    return lambda: submit_elements([plan], submission_named(cluster.launchpad, "copper"), cluster)


def test_elements_are_relaxed_once_on_cpu_workers(cluster, handed_over, rockets):
    with ThreadPoolExecutor(3) as pool:
        handed = list(pool.map(lambda _: handed_over(), range(3)))
    assert sorted(element for one in handed for element in one) == ["Al", "Mo", "Ni"]
    works = list(cluster.launchpad.fireworks.find({f"spec.{MARK}.role": "element"}))
    assert {work["spec"]["_category"] for work in works} == {"cpu"}
    assert rockets("cpu", **{f"spec.{MARK}.role": "element"}) == 3
    records = {one.element: one for one in cluster.store.read("elements", ElementRecord)}
    assert {element: one.state for element, one in records.items()} == {
        "Al": "converged",
        "Ni": "converged",
        "Mo": "failed",
    }
    assert records["Al"].energy_per_atom == pytest.approx(0.0, abs=0.01)  # where this potential has its zero
    assert handed_over() == []


def test_elements_leave_no_claim_once_their_campaign_is_cleared_and_are_no_chunks_of_it(cluster, handed_over):
    assert len(handed_over()) == 3
    submission = submission_named(cluster.launchpad, "copper")
    n_chunks = sum(Waves(cluster.launchpad, submission.key).counts().values())
    assert (n_chunks, len(list(Waves(cluster.launchpad, submission.key).listed()))) == (1, 1)
    assert clear(cluster, submission).chunks == n_chunks
    assert cluster.launchpad.db[CLAIMS].count_documents({}) == 0
