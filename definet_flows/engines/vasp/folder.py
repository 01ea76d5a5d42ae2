"""The directory of one run: what was started there, how it ended, and where it can go on."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.distances import minimum_image
from definet_flows.defects.host import content_hash
from definet_flows.engines.relaxation import FloatArray
from definet_flows.engines.vasp.files import is_run_directory
from definet_flows.engines.vasp.settings import VaspEngine

STATE = "definet-run.json"
EARLIER = "launch-"
_KEPT = ("moments-", "single-point", EARLIER)


@dataclass(frozen=True)
class RunFolder:
    """A run's directory, the same for the same configuration, start and physics, so that a killed run is found again.

    The files of the last launch of custodian lie in it, those of earlier ones in ``launch-1`` and so on.

    Parameters
    ----------
    path
        The directory.
    """

    path: Path

    @classmethod
    def of(cls, engine: VaspEngine, configuration: DefectConfiguration, start: FloatArray, origin: str) -> RunFolder:
        """The directory of a run."""
        label = configuration.label if configuration.defects else "pristine"
        content = [configuration.id, engine.physics_hash, (np.round(start, 6) + 0.0).tolist()]
        path = (
            engine.directory or Path("vasp")
        ) / f"{label}-{configuration.id[:8]}-{origin}-{content_hash(content, 8)}"
        return cls(path.resolve())

    def below(self, name: str) -> RunFolder:
        """The folder of a single point of this run."""
        return RunFolder(self.path / name)

    @property
    def state(self) -> dict[str, Any]:
        """What this package noted of the run: the launches, whether the last ``ended``, and the ``reason`` if it failed."""
        try:
            noted: dict[str, Any] = json.loads((self.path / STATE).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):  # a new run, or killed while it was noted
            return {}
        return noted

    def note(self, **what: Any) -> None:
        """Add to `state`; the directory is made if absent."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / STATE).write_text(json.dumps(self.state | what, indent=1), encoding="utf-8")

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
            written = max((path.stat().st_mtime for path in self.path.iterdir() if path.name != STATE), default=0.0)
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

    def last_positions(self, configuration: DefectConfiguration, sites: Any, start: FloatArray) -> FloatArray:
        """[n_sites, 3] Å in host site order: where the last launch that wrote a whole CONTCAR was to go on, else the start.

        Parameters
        ----------
        configuration
            What is relaxed.
        sites
            [n_atoms] host site of each atom in POSCAR.
        start
            [n_sites, 3] Å, which tells the periodic image of each atom.
        """
        launches = sorted(self.path.glob(f"{EARLIER}*"), key=lambda path: int(path.name.removeprefix(EARLIER)))
        for folder in (self.path, *reversed(launches)):
            read = _contcar(folder, [configuration.species[site] for site in sites])
            if read is not None:
                positions = start.copy()
                positions[sites] += minimum_image(read - start[sites], configuration.host.lattice)
                return positions
        return start


def _contcar(folder: Path, species: list[str]) -> FloatArray | None:
    """[n_atoms, 3] Å; None where there is no CONTCAR, or one that was cut off."""
    from pymatgen.io.vasp import Poscar

    for name in ("CONTCAR", "CONTCAR.gz"):
        try:
            structure = Poscar.from_file(str(folder / name), check_for_potcar=False).structure
        except (OSError, EOFError, ValueError, IndexError):
            continue
        if [site.specie.symbol for site in structure] == species:
            return np.asarray(structure.cart_coords)
    return None
