"""Campaigns, and the flows of jobs that carry them out."""

from definet_flows.flows.campaign import Campaign, HostSettings
from definet_flows.flows.reading import load_campaign, load_campaigns
from definet_flows.flows.screening import ScreeningMaker

__all__ = ["Campaign", "HostSettings", "ScreeningMaker", "load_campaign", "load_campaigns"]
