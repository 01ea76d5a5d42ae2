"""The run: electronic loop, files, next positions, until one of VASP's reasons to stop."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import numpy as np

from vasp_standin.job import read_job
from vasp_standin.misbehaviour import of_this_start
from vasp_standin.optimizers import moves
from vasp_standin.outputs import Outputs
from vasp_standin.potential import Springs

ELECTRONIC_STEPS = 8
STRAINED = 0.002  # relaxing the cell (ISIF 3) scales it until its bonds are this near to their length


def main():
    """One start of "VASP" in the working directory; the exit code."""
    job, fault = read_job(), of_this_start()
    outputs = Outputs(job)
    reason = run(job, fault, outputs)
    outputs.finish(reason)
    Path("STOPCAR").unlink(missing_ok=True)
    return fault.at_the_end()


def run(job, fault, outputs):
    """Relax; why it ended: ``converged``, ``nsw``, ``lstop`` or ``labort``."""
    positions = job.cart_coords
    springs = Springs(job.lattice, job.species, positions)
    relaxing = job.integer("NSW") > 0 and job.integer("IBRION") in {1, 2, 3}
    path = moves(job.integer("IBRION"), positions, job.number("POTIM")) if relaxing else None
    where = next(path) if path else positions
    before = None
    for step in range(1, max(job.integer("NSW"), 1) + 1):
        began = time.perf_counter()
        fault.at(step - 1, outputs)
        energy, forces = evaluate(springs, where, step, fault)
        outputs.step(where, energy, forces, electronic(job, energy, step, fault), time.perf_counter() - began)
        strain = springs.strain(where) if relaxing and job.integer("ISIF") == 3 else 0.0
        reason = reason_to_stop(job, energy, before, forces, step, strain) if relaxing else "nsw"
        if reason:
            outputs.contcar(where)
            return reason
        before, where = energy, path.send(forces)
        if abs(strain) > STRAINED:
            job.lattice, where = (1 + strain) * job.lattice, (1 + strain) * where
            springs = Springs(job.lattice, job.species, where)
            path = moves(job.integer("IBRION"), where, job.number("POTIM"))
            next(path)
        outputs.contcar(where)
    return "nsw"


def evaluate(springs, positions, step, fault):
    energy, forces = springs.evaluate(positions)
    if fault.do == "diverge":
        # It turns with every step, so that no position balances it.
        push = np.array([0.2 if step % 2 else -0.2, 0.0, 0.0])
        forces = forces.copy()
        forces[0], forces[1] = push, -push
    return energy, forces


def electronic(job, energy, step, fault):
    """Energies of a self-consistency loop that converges geometrically, faster once there are orbitals."""
    unsettled = fault.do == "unsettled"
    n = job.integer("NELM") if unsettled else ELECTRONIC_STEPS - (3 if step > 1 else 0)
    excess = 10.0 * 0.05 ** np.arange(n) if not unsettled else np.where(np.arange(n) % 2, 1.0, -1.0)
    return energy + excess


def reason_to_stop(job, energy, before, forces, step, strain):
    """VASP's reasons, in its order: accuracy, then STOPCAR, then NSW."""
    threshold = job.number("EDIFFG")
    if threshold < 0:
        reached = np.linalg.norm(forces, axis=1).max() < -threshold
    else:
        reached = before is not None and abs(energy - before) < threshold
    if reached and abs(strain) <= STRAINED:
        return "converged"
    return stopcar() or ("nsw" if step == job.integer("NSW") else None)


def stopcar():
    try:
        text = Path("STOPCAR").read_text()
    except FileNotFoundError:
        return None
    for key in ("LABORT", "LSTOP"):
        if re.search(rf"{key}\s*=\s*\.?T", text, re.IGNORECASE):
            return key.lower()
    return None


if __name__ == "__main__":
    sys.exit(main())
