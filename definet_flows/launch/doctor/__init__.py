"""What a campaign on a cluster stands on, checked before it runs: each module is a group of checks."""

from definet_flows.launch.doctor.examination import examine
from definet_flows.launch.doctor.findings import Finding, Subject

__all__ = ["Finding", "Subject", "examine"]
