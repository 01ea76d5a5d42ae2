"""All files of a run, kept readable after every ionic step as VASP's are."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from vasp_standin.outcar import Outcar
from vasp_standin.vasprun import Vasprun


class Outputs:
    """vasprun.xml, OUTCAR, OSZICAR, CONTCAR, XDATCAR and the standard output."""

    def __init__(self, job):
        self.job, self.steps, self.began = job, 0, time.time()
        self.electronic_converged = True
        self.oszicar = Path("OSZICAR").open("w", buffering=1)  # noqa: SIM115  open as long as the run
        self.xdatcar = Path("XDATCAR").open("w")  # noqa: SIM115
        self.outcar, self.vasprun = Outcar(job), Vasprun(job)
        self.xdatcar.write(header(job))
        print(" running on    1 total cores\n distrk:  each k-point on    1 cores,    1 groups")
        print(" vasp.6.4.2 stand-in\n POSCAR found type information on POSCAR", " ".join(job.symbols))
        print(" entering main loop", flush=True)

    def step(self, positions, energy, forces, electronic, seconds):
        """Write one ionic step."""
        self.steps += 1
        self.electronic_converged = len(electronic) < self.job.integer("NELM")
        self._oszicar(energy, electronic)
        self.outcar.step(self.steps, positions, energy, forces, electronic, seconds)
        self.vasprun.step(positions, energy, forces, electronic)
        self.xdatcar.write(f"Direct configuration={self.steps:6d}\n" + rows(positions, self.job.lattice, 8))
        self.flush()

    def _oszicar(self, energy, electronic):
        lines = ["       N       E                     dE             d eps       ncg     rms          rms(c)"]
        before = 0.0
        for number, value in enumerate(electronic, 1):
            change = value - before
            lines.append(f"DAV: {number:3d}   {value:.12E}  {change: .5E}  {change: .5E}   512   {abs(change):.3E}")
            before = value
        moment = "  mag=     0.0000" if self.job.spin else ""
        lines.append(f"{self.steps:4d} F= {energy: .8E} E0= {energy: .8E}  d E ={0.0: .6E}{moment}")
        self.oszicar.write("\n".join(lines) + "\n")
        print("\n".join(lines), flush=True)

    def contcar(self, positions):
        """Write where the atoms are, or go next."""
        text = header(self.job) + "Direct\n" + rows(positions, self.job.lattice, 16)
        Path("CONTCAR").write_text(text + "\n" + "  0.00000000E+00  0.00000000E+00  0.00000000E+00\n" * len(positions))

    def flush(self):
        """Hand everything to the operating system."""
        for file in (self.oszicar, self.xdatcar, self.outcar.file, self.vasprun.file):
            file.flush()

    def finish(self, reason):
        """Close all files as VASP does when it ends by itself."""
        said = {"converged": " reached required accuracy - stopping structural energy minimisation"}
        said["lstop"] = " soft stop encountered!  aborting job ..."
        said["labort"] = " hard stop encountered!  aborting job ..."
        print(said.get(reason, ""), flush=True)
        self.outcar.finish(said.get(reason, ""), time.time() - self.began, self.steps)
        self.vasprun.finish()
        self.oszicar.close()
        self.xdatcar.close()


def header(job):
    """The first seven lines of POSCAR, CONTCAR and XDATCAR."""
    lattice = "".join("  " + "".join(f"{x:22.16f}" for x in row) + "\n" for row in job.lattice)
    symbols, counts = "".join(f"{s:>5}" for s in job.symbols), "".join(f"{n:6d}" for n in job.counts)
    return f"stand-in\n   1.00000000000000\n{lattice}{symbols}\n{counts}\n"


def rows(positions, lattice, digits):
    """Fractional coordinates folded into the cell, as VASP folds them."""
    folded = (positions @ np.linalg.inv(lattice)) % 1.0
    return "".join("".join(f"{x:{digits + 4}.{digits}f}" for x in row) + "\n" for row in folded)
