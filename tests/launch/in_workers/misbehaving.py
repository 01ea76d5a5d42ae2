"""A calculator whose manners depend on the elements it meets; importable by path in worker processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from ase.calculators.emt import EMT


class Misbehaving(EMT):
    """EMT that is slow, and with Pt kills its process, with Pd only once, with Au has a bug, with Ag explodes."""

    def __init__(self, folder, delay=0.0):
        super().__init__()
        self.folder, self.delay = Path(folder), delay

    def calculate(self, atoms=None, properties=None, system_changes=None):
        symbols = set(atoms.get_chemical_symbols())
        with (self.folder / "evaluations").open("a") as journal:
            journal.write(f"{os.getpid()} {atoms.get_chemical_formula()}\n")
        time.sleep(self.delay)
        if "Pt" in symbols or ("Pd" in symbols and self.first_time()):
            os.kill(os.getpid(), signal.SIGKILL)
        if "Au" in symbols:
            raise TypeError("a bug")
        super().calculate(atoms, properties, system_changes)
        if "Ag" in symbols:
            self.results["forces"] = self.results["forces"] + 1e6

    def first_time(self):
        marker = self.folder / "died"
        found = marker.exists()
        marker.touch()
        return not found
