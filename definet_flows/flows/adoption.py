"""Records taken from a jobflow JobStore, where a flow's jobs left them, into a results store."""

from __future__ import annotations

from jobflow.core.store import JobStore

from definet_flows.records.documents import PredictionRecord, RelaxationRecord
from definet_flows.records.store import RecordStore

_BATCH = 100
# A field that no other job's output has.
_RELAXATIONS = {"output.max_force_history": {"$exists": True}}
_PREDICTIONS = {"output.reference_hash": {"$exists": True}}


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
