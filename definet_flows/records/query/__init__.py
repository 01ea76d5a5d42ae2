"""Questions to a results store, and answers as records, tables, files and structures."""

from definet_flows.records.query.filters import ResultFilter
from definet_flows.records.query.kinds import Kind
from definet_flows.records.query.results import ResultsStore, Selection

__all__ = ["Kind", "ResultFilter", "ResultsStore", "Selection"]
