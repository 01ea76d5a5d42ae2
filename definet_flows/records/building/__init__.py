"""Savings records built from relaxations and predictions: what is missing or out of date, and nothing else."""

from definet_flows.records.building.builder import BuildSummary, SavingsBuilder, build_savings

__all__ = ["BuildSummary", "SavingsBuilder", "build_savings"]
