"""The directory of one run: its name, what was launched there, what it cost by our clock, and how it ended."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.host import content_hash
from definet_flows.engines.relaxation import FloatArray

STATE = "definet-run.json"


def run_name(
    configuration: DefectConfiguration, start: FloatArray, origin: str, physics_hash: str, charge: int = 0
) -> str:
    """The name of a run's directory, the same for the same content, so that a killed run is found again.

    Parameters
    ----------
    configuration
        What is relaxed; the one without defects is the pristine supercell.
    start
        [n_sites, 3] Å in host site order.
    origin
        ``unrelaxed`` or ``prerelaxed``.
    physics_hash
        Of the engine.
    charge
        Total charge of the cell in elementary charges.
    """
    content = [configuration.id, physics_hash, (np.round(start, 6) + 0.0).tolist()]
    parts = [
        configuration.label if configuration.defects else "pristine",
        configuration.id[:8],
        *([f"q{charge:+d}"] if charge else []),
        origin,
        content_hash([*content, charge] if charge else content, 8),
    ]
    return "-".join(parts)


@dataclass(frozen=True)
class LaunchFolder:
    """The directory of a run that may be launched several times before it comes to its end.

    Parameters
    ----------
    path
        The directory.
    """

    path: Path

    @property
    def state(self) -> dict[str, Any]:
        """What this package noted of the run: the launches, whether the last ``ended``, and the ``reason`` if it failed."""
        try:
            noted: dict[str, Any] = json.loads((self.path / STATE).read_text(encoding="utf-8"))
        except FileNotFoundError:  # a new run
            return {}
        return noted

    def note(self, **what: Any) -> None:
        """Add to `state`; the directory is made if absent."""
        self.path.mkdir(parents=True, exist_ok=True)
        whole = self.path / f"{STATE}.new"
        whole.write_text(json.dumps(self.state | what, indent=1), encoding="utf-8")
        whole.replace(self.path / STATE)  # whoever is killed here leaves the old state or the new one

    def begin(self, cores: int) -> None:
        """Note that the program is started."""
        launch = {"began": time.time(), "seconds": None, "cores": cores}
        self.note(ended=False, reason=None, launches=[*self.launches(), launch])

    def end(self, reason: str | None) -> None:
        """Note that the program has ended, and why it failed."""
        launches = self.launches()
        launches[-1]["seconds"] = time.time() - launches[-1]["began"]
        self.note(reason=reason, launches=launches)

    def costs(self) -> tuple[float, float]:
        """Elapsed seconds and core-hours of all launches by this package's clock."""
        timed = [(launch["seconds"] or 0.0, launch["cores"]) for launch in self.launches()]
        return sum(seconds for seconds, _ in timed), sum(seconds * cores for seconds, cores in timed) / 3600

    def launches(self) -> list[dict[str, Any]]:
        """The launches so far; of one that was killed, the last write to its files tells when."""
        launches: list[dict[str, Any]] = self.state.get("launches", [])
        if launches and launches[-1]["seconds"] is None:
            files = (path for path in self.path.iterdir() if not path.name.startswith(STATE))
            written = max((path.stat().st_mtime for path in files), default=0.0)
            launches[-1]["seconds"] = max(0.0, written - launches[-1]["began"])
        return launches
