"""What finishes a relaxation: engines that take a configuration and a start, and report the same figures."""

from definet_flows.engines.forcefield import ForceFieldEngine
from definet_flows.engines.relaxation import Engine, Relaxation

EngineSettings = ForceFieldEngine
"""Settings of any engine, as a campaign file holds them; told apart by ``name``."""

__all__ = ["Engine", "EngineSettings", "ForceFieldEngine", "Relaxation"]
