"""Hosts, point defects and defect configurations: what is screened, before any model or engine sees it."""

from definet_flows.defects.configuration import DefectConfiguration
from definet_flows.defects.counting import count_configurations
from definet_flows.defects.enumeration import enumerate_configurations
from definet_flows.defects.host import Host, HostReference
from definet_flows.defects.interop import (
    configuration_from_entry,
    to_defect_entry,
    write_extxyz,
    write_structure,
)
from definet_flows.defects.listing import read_configurations, write_configurations
from definet_flows.defects.matching import MatchError, configuration_from_structure
from definet_flows.defects.point_defect import VACANCY, PointDefect, Recipe
from definet_flows.defects.presets import (
    HOST_PRESETS,
    HighDensitySection,
    available_hosts,
    high_density,
    low_density_recipes,
)
from definet_flows.defects.reading import read_structure
from definet_flows.defects.sampling import sample_configurations

__all__ = [
    "HOST_PRESETS",
    "VACANCY",
    "DefectConfiguration",
    "HighDensitySection",
    "Host",
    "HostReference",
    "MatchError",
    "PointDefect",
    "Recipe",
    "available_hosts",
    "configuration_from_entry",
    "configuration_from_structure",
    "count_configurations",
    "enumerate_configurations",
    "high_density",
    "low_density_recipes",
    "read_configurations",
    "read_structure",
    "sample_configurations",
    "to_defect_entry",
    "write_configurations",
    "write_extxyz",
    "write_structure",
]
