"""The directory of one run of VASP, whose files are those of its last launch."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from definet_flows.engines.folders import STATE, LaunchFolder
from definet_flows.engines.vasp.outputs.files import is_run_directory

EARLIER = "launch-"
_KEPT = ("moments-", "single-point", EARLIER)


@dataclass(frozen=True)
class RunFolder(LaunchFolder):
    """A run's directory; the files of the last launch of custodian lie in it, those of earlier ones in ``launch-1`` and so on.

    Parameters
    ----------
    path
        The directory.
    """

    def below(self, name: str) -> RunFolder:
        """The folder of a single point of this run."""
        return RunFolder(self.path / name)

    @property
    def started(self) -> bool:
        """Whether VASP has written anything here."""
        return self.path.is_dir() and is_run_directory(self.path)

    def put_aside(self) -> None:
        """Move the files of the last launch into a folder of their own, to make room for another."""
        self.note(launches=self.launches())
        number = 1 + sum(path.name.startswith(EARLIER) for path in self.path.iterdir())
        folder = self.path / f"{EARLIER}{number}"
        folder.mkdir()
        for path in list(self.path.iterdir()):
            if path.name != STATE and not path.name.startswith(_KEPT):
                shutil.move(path, folder / path.name)
