"""Records taken from a jobflow JobStore, where a flow's jobs left them, into a results store."""

from __future__ import annotations

from pathlib import Path

import yaml
from jobflow.core.store import JobStore
from jobflow.settings import JobflowSettings
from pydantic import ValidationError

from definet_flows.defects import Host
from definet_flows.errors import InputError
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.plan import campaign_record
from definet_flows.jobs.hosts import host_from
from definet_flows.records.documents import PredictionRecord, RelaxationRecord
from definet_flows.records.store import RecordStore

CONFIGURED = "configured"
"""In place of a file's name: the job store that jobflow itself is configured with."""

_BATCH = 100
# Fields that no other job's output has.
_RELAXATIONS = {"output.max_force_history": {"$exists": True}}
_PREDICTIONS = {"output.reference_hash": {"$exists": True}}
_HOSTS = {"output.supercell_matrix": {"$exists": True}}


def configured_job_store(place: str) -> JobStore:
    """The store of jobs' outputs that a configuration of jobflow names, not connected.

    Parameters
    ----------
    place
        Path of a configuration with ``JOB_STORE``, such as jobflow.yaml; or ``configured``, for that of jobflow itself.

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    try:
        if place == CONFIGURED:
            return JobflowSettings().JOB_STORE
        _refuse_other_files(Path(place))
        return JobflowSettings(CONFIG_FILE=place).JOB_STORE
    except (ValidationError, ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"The job store of {place} cannot be used ({reason}): correct its JOB_STORE.") from error


def adopt_outputs(job_store: JobStore, store: RecordStore) -> tuple[int, int]:
    """Copy the relaxations and predictions that jobs put out; those that are there already are replaced by equal ones.

    Parameters
    ----------
    job_store
        Where the jobs' outputs are.
    store
        Where the records go.

    Returns
    -------
    tuple of int
        Number of relaxations and of predictions.
    """
    relaxations: list[RelaxationRecord] = []
    n_relaxations = n_predictions = 0
    for document in job_store.query(_RELAXATIONS, properties=["output"], load=True):
        relaxations.append(RelaxationRecord.model_validate(document["output"]))
        n_relaxations += 1
        if len(relaxations) == _BATCH:
            store.add_relaxations(relaxations)
            relaxations = []
    store.add_relaxations(relaxations)
    for document in job_store.query(_PREDICTIONS, properties=["output"], load=True):
        predictions = [PredictionRecord.model_validate(output) for output in document["output"]]
        store.add_predictions(predictions)
        n_predictions += len(predictions)
    return n_relaxations, n_predictions


def adopt_campaign(job_store: JobStore, store: RecordStore, campaign: Campaign) -> None:
    """Write the record of the campaign whose jobs these are: no output has it whole.

    Parameters
    ----------
    job_store
        Has the host as its engine relaxed it.
    store
        Where the record goes.
    campaign
        As its file says; one host of it.

    Raises
    ------
    InputError
        If no job put out this campaign's host.
    """
    host = _relaxed_host(job_store, campaign)
    model = None if campaign.model is None else campaign.model.summary()
    store.put_campaign(campaign_record(campaign, host, model, campaign.configurations.configurations(host)))


def _relaxed_host(job_store: JobStore, campaign: Campaign) -> Host:
    nominal, physics_hash = campaign.host.host(), campaign.engine.physics_hash
    for document in job_store.query(_HOSTS, properties=["output"]):
        host = host_from(document["output"])
        if host == nominal or (host.fingerprint == nominal.fingerprint and host.reference_hash == physics_hash):
            return host
    raise InputError(
        f"No job in this job store put out the host of {campaign.name} with its engine's settings; check that both belong "
        "together."
    )


def _refuse_other_files(path: Path) -> None:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; name jobflow's configuration, such as jobflow.yaml.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"The file {path} cannot be read ({type(error).__name__}).") from error
    if not isinstance(content, dict) or "JOB_STORE" not in content:
        raise InputError(f"{path} has no JOB_STORE; name jobflow's configuration, such as jobflow.yaml.")
