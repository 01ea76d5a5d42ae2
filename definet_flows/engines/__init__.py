"""What finishes a relaxation: engines that take a configuration and a start, and report the same figures."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from definet_flows.engines.forcefield import ForceFieldEngine
from definet_flows.engines.gpaw.engine import GpawEngine
from definet_flows.engines.relaxation import Engine, EngineDescription, Relaxation
from definet_flows.engines.vasp.engine import VaspEngine


def _name(settings: Any) -> Any:
    """Which engine settings are for; those of a campaign file may leave the name out for the embedded engine."""
    return settings.get("name", "forcefield") if isinstance(settings, dict) else getattr(settings, "name", None)


EngineSettings = Annotated[
    Annotated[ForceFieldEngine, Tag("forcefield")]
    | Annotated[GpawEngine, Tag("gpaw")]
    | Annotated[VaspEngine, Tag("vasp")],
    Discriminator(_name),
]
"""Settings of any engine, as a campaign file holds them; told apart by ``name``."""

__all__ = [
    "Engine",
    "EngineDescription",
    "EngineSettings",
    "ForceFieldEngine",
    "GpawEngine",
    "Relaxation",
    "VaspEngine",
]
