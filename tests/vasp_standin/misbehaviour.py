"""How the stand-in is told to go wrong, by a file named in the environment variable VASP_STANDIN.

The file is JSON: a list of rules, of which the first applies whose ``where`` (a regular expression) is found in the path of
the working directory, and whose ``times`` are not over.

=============  =====================================================================================================
``do``         what happens
=============  =====================================================================================================
``diverge``    forces never fall below 0.2 eV/Å: the run ends at NSW
``unsettled``  the electronic loop never ends before NELM
``print``      ``text`` goes to the standard output after ``after`` ionic steps, and the run stops
``hang``       nothing more is written after ``after`` ionic steps
``signal``     it sends itself ``number`` (9 by default) after ``after`` ionic steps
``exit``       it exits with ``number`` (1 by default) after ``after`` ionic steps
``truncate``   its last files are cut in the middle, and it exits with 0
``disk full``  as ``truncate``, but with the message of a full disk on the standard error and an exit of 1
``slow``       each ionic step takes ``seconds``
=============  =====================================================================================================

``times`` limits a rule to the first so many starts in a run's folder, counted beside the rules' file.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

CUT = ("vasprun.xml", "OUTCAR", "OSZICAR", "CONTCAR")


@dataclass
class Misbehaviour:
    """What this start does wrong; ``do`` is empty where it does nothing."""

    do: str = ""
    after: int = 0
    number: int = 0
    text: str = ""
    seconds: float = 0.0
    times: int = 1_000_000
    where: str = ""

    def at(self, step, outputs):
        """Go wrong if it is time to: after `step` ionic steps are on file."""
        if self.do == "slow":
            time.sleep(self.seconds)
        if step < self.after or self.do in {"", "slow", "diverge", "unsettled", "truncate", "disk full"}:
            return
        outputs.flush()
        if self.do == "print":
            print(self.text, flush=True)
            sys.exit(1)
        if self.do == "hang":
            time.sleep(3600)
        if self.do == "signal":
            os.kill(os.getpid(), self.number or signal.SIGKILL)
        sys.exit(self.number or 1)

    def at_the_end(self):
        """Cut files short, where that is the fault; the exit code."""
        if self.do not in {"truncate", "disk full"}:
            return 0
        for name in CUT:
            path = Path(name)
            path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        if self.do == "truncate":
            return 0
        print("forrtl: No space left on device\nforrtl: severe (38): error during write, unit 8", file=sys.stderr)
        return 1


def of_this_start():
    """The rule that applies to this start."""
    control = os.environ.get("VASP_STANDIN")
    if not control:
        return Misbehaviour()
    here = str(Path.cwd())
    for index, rule in enumerate(json.loads(Path(control).read_text())):
        if re.search(rule["where"], here) and _starts(Path(control), index) <= rule.get("times", 1_000_000):
            return Misbehaviour(**rule)
    return Misbehaviour()


def _starts(control, index):
    """Starts in this run's folder so far, this one included; launches of one run count together."""
    run = re.sub(r"\W+", "_", re.sub(r"launch-\d+", "", str(Path.cwd())))
    tally = control.parent / "starts" / f"{index}-{run[-150:]}"
    tally.parent.mkdir(exist_ok=True)
    with tally.open("a") as file:
        file.write(".")
    return tally.stat().st_size
