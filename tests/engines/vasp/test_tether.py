"""What happens when the process that runs a relaxation is killed: VASP ends too, and the run goes on later."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import sys
import pymatgen.core
pymatgen.core.SETTINGS["PMG_VASP_PSP_DIR"] = sys.argv[1]
from definet_flows.engines import VaspEngine
from tests import copper
VaspEngine.model_validate_json(sys.argv[2]).relax(copper.configuration({0: "Vac", 5: "Al"}))
"""


def wait_for(condition, seconds=60):
    for _ in range(int(seconds / 0.1)):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen in time")


def running_in(folder):
    """Processes whose working directory this is."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is another user's
            found += [link] if link.readlink() == folder else []
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_killed_worker_takes_vasp_along_and_the_run_goes_on(engine, pair, potcars, tmp_path):
    vasp = engine([{"do": "slow", "seconds": 0.6, "times": 1}])
    command = [sys.executable, "-c", SCRIPT, str(potcars), vasp.model_dump_json()]
    worker = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(os.environ))
    wait_for(lambda: any(file.read_text().count("F=") >= 2 for file in vasp.directory.glob("*/OSZICAR")))
    (oszicar,) = vasp.directory.glob("*/OSZICAR")
    assert running_in(oszicar.parent)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    wait_for(lambda: not running_in(oszicar.parent))
    steps = oszicar.read_text().count("F=")
    assert steps < 8, "it was ended on the way"

    outcome = vasp.relax(pair)
    assert outcome.converged
    first, last = outcome.details.attempts
    assert (first.source, first.ionic_steps, first.ended) == ("launch-1", steps, False)
    assert outcome.ionic_steps == steps + last.ionic_steps
    assert outcome.wall_seconds > 0.6 * (steps - 1)
    assert outcome.core_hours == pytest.approx(outcome.wall_seconds / 3600)
