"""The jobs of a campaign as jobflow Makers: thin, serialisable, and the same under every launcher."""

from definet_flows.jobs.generate import ConfigurationSource, GenerateMaker, RandomSampling
from definet_flows.jobs.hosts import RelaxHostMaker
from definet_flows.jobs.prerelax import ModelSettings, PrerelaxMaker
from definet_flows.jobs.relax import RelaxMaker
from definet_flows.jobs.selection import Selection
from definet_flows.jobs.summary import collect, summarize

__all__ = [
    "ConfigurationSource",
    "GenerateMaker",
    "ModelSettings",
    "PrerelaxMaker",
    "RandomSampling",
    "RelaxHostMaker",
    "RelaxMaker",
    "Selection",
    "collect",
    "summarize",
]
