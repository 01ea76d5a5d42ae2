"""What a campaign saved: statistics that count the losers, and figures of them."""

from definet_flows.analysis.savings import CountedPair, counted_pairs
from definet_flows.analysis.table import SavingsRow, savings_table

__all__ = ["CountedPair", "SavingsRow", "counted_pairs", "savings_table"]
