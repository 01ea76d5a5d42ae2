"""The directory of one run: what was started there, what it cost by our clock, and how it ended."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from definet_flows.engines.vasp.outputs.files import is_run_directory

STATE = "definet-run.json"
EARLIER = "launch-"
_KEPT = ("moments-", "single-point", EARLIER)


@dataclass(frozen=True)
class RunFolder:
    """A run's directory; the files of the last launch of custodian lie in it, those of earlier ones in ``launch-1`` and so on.

    Parameters
    ----------
    path
        The directory.
    """

    path: Path

    def below(self, name: str) -> RunFolder:
        """The folder of a single point of this run."""
        return RunFolder(self.path / name)

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
        """Note that VASP is started."""
        launch = {"began": time.time(), "seconds": None, "cores": cores}
        self.note(ended=False, reason=None, launches=[*self._launches(), launch])

    def end(self, reason: str | None) -> None:
        """Note that VASP has ended, and why it failed."""
        launches = self._launches()
        launches[-1]["seconds"] = time.time() - launches[-1]["began"]
        self.note(reason=reason, launches=launches)

    def costs(self) -> tuple[float, float]:
        """Elapsed seconds and core-hours of all launches by this package's clock, what VASP does not tell included."""
        timed = [(launch["seconds"] or 0.0, launch["cores"]) for launch in self._launches()]
        return sum(seconds for seconds, _ in timed), sum(seconds * cores for seconds, cores in timed) / 3600

    def _launches(self) -> list[dict[str, Any]]:
        """The launches so far; of one that was killed, the last write to its files tells when."""
        launches: list[dict[str, Any]] = self.state.get("launches", [])
        if launches and launches[-1]["seconds"] is None:
            files = (path for path in self.path.iterdir() if not path.name.startswith(STATE))
            written = max((path.stat().st_mtime for path in files), default=0.0)
            launches[-1]["seconds"] = max(0.0, written - launches[-1]["began"])
        return launches

    @property
    def started(self) -> bool:
        """Whether VASP has written anything here."""
        return self.path.is_dir() and is_run_directory(self.path)

    def put_aside(self) -> None:
        """Move the files of the last launch into a folder of their own, to make room for another."""
        self.note(launches=self._launches())
        number = 1 + sum(path.name.startswith(EARLIER) for path in self.path.iterdir())
        folder = self.path / f"{EARLIER}{number}"
        folder.mkdir()
        for path in list(self.path.iterdir()):
            if path.name != STATE and not path.name.startswith(_KEPT):
                shutil.move(path, folder / path.name)
