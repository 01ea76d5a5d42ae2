"""A cluster of this machine: a database of the test's own, a configuration folder, and launchers here or as processes."""

from __future__ import annotations

import jobflow
import pytest
from fireworks import FWorker
from fireworks.core.rocket_launcher import launch_rocket

from tests.launch.fireworks.launchers import Launchers, write_configuration

TWO_OF_EACH = '{recipes: ["V_Cu", "Al_Cu", "Ni_Cu", "V_Cu+Al_Cu"], max_distance: 4.0}'
"""V_Cu, Al_Cu, Ni_Cu (which the network does not know) and two pairs."""


@pytest.fixture
def configuration(mongo_uri, mongo_database, tmp_path):
    """A folder with what `definet-flows` and FireWorks need to find the database and to be a worker."""
    return write_configuration(tmp_path / "configuration", mongo_uri, mongo_database)


@pytest.fixture
def cluster(configuration):
    """The launchpad and the store, empty."""
    from definet_flows.launch.fireworks.cluster import Cluster

    with Cluster.open(configuration) as opened:
        yield opened


@pytest.fixture
def launchers(configuration, tmp_path):
    """Processes of ``rlaunch``, ended with the test."""
    with Launchers(configuration, tmp_path / "launches") as started:
        yield started


@pytest.fixture
def campaign(copper, tmp_path):
    """Write a campaign of five configurations and read it."""
    from definet_flows.flows import load_campaign

    def write(resources="{chunk_size: 3, max_active: 3}", **changes):
        entries = {"configurations": TWO_OF_EACH, "resources": resources} | changes
        return load_campaign(copper.write_campaign(tmp_path / "campaign", **entries))

    return write


@pytest.fixture
def submitted(cluster, tmp_path):
    """Submit a campaign; returns how many configurations were new."""
    from definet_flows.launch.fireworks.submitting import plan_submission, submit

    return lambda campaign: submit(plan_submission(campaign, cluster, tmp_path / "runs"), cluster)


@pytest.fixture
def rockets(cluster, configuration, tmp_path, monkeypatch):
    """Run what is ready for a category in this process; returns the number of launches."""
    from definet_flows.launch.fireworks.jobs import worker_store

    job_store = configuration.job_store()
    monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", job_store)
    worker_store.cache_clear()
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def run(category, at_most=1000, **query):
        worker = FWorker(category, category=category, query=query)
        launches = 0
        while launches < at_most and launch_rocket(cluster.launchpad, worker, strm_lvl="ERROR"):
            launches += 1
        return launches

    yield run
    worker_store().close()
    worker_store.cache_clear()
    for store in (job_store.docs_store, *job_store.additional_stores.values()):
        if store._coll is not None:
            store._coll.database.client.close()  # maggma's own close leaves the connection open
