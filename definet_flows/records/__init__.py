"""What is kept of a campaign: typed documents in a maggma store, and what is read out of them."""

from definet_flows.records.building import BuildSummary, SavingsBuilder, build_savings
from definet_flows.records.documents import (
    CampaignRecord,
    PredictionRecord,
    RelaxationRecord,
    RunFigures,
    SavingsRecord,
)
from definet_flows.records.errors import StoreContentError, StoreError, StoreInUseError
from definet_flows.records.keys import prediction_key, relaxation_key, savings_key
from definet_flows.records.query import ResultFilter, ResultsStore
from definet_flows.records.savings import COARSE_FORCE, steps_to
from definet_flows.records.store import RecordStore, open_store

__all__ = [
    "COARSE_FORCE",
    "BuildSummary",
    "CampaignRecord",
    "PredictionRecord",
    "RecordStore",
    "RelaxationRecord",
    "ResultFilter",
    "ResultsStore",
    "RunFigures",
    "SavingsBuilder",
    "SavingsRecord",
    "StoreContentError",
    "StoreError",
    "StoreInUseError",
    "build_savings",
    "open_store",
    "prediction_key",
    "relaxation_key",
    "savings_key",
    "steps_to",
]
