"""OUTCAR: the lines that are read by pymatgen, custodian and emmet."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

CORES = "VASP_STANDIN_CORES"
RULE = "-" * 107


class Outcar:
    """Written step by step."""

    def __init__(self, job):
        self.job = job
        self.file = Path("OUTCAR").open("w")  # noqa: SIM115  open as long as the run
        n_atoms, bands = sum(job.counts), max(int(job.electrons), 2)
        spin = 2 if job.spin else 1
        titles = "".join(f" POTCAR:    {title}\n   TITEL  = {title}\n" for title in job.titles)
        self.file.write(
            f" vasp.6.4.2 20Jul23 (build stand-in {os.getpid()}) complex\n\n"
            f" executed on             StandIn date 2026.01.01  00:00:00\n"
            f" running on {int(os.environ.get(CORES, '1')):4d} total cores\n"
            f" distrk:  each k-point on    1 cores,    1 groups\n\n INCAR:\n{titles}\n"
            f"   k-points           NKPTS = {int(np.prod(job.grid)):6d}   k-points in BZ     NKDIM ={1:7d}"
            f"   number of bands    NBANDS= {bands:6d}\n"
            f"   number of dos      NEDOS =    301   number of ions     NIONS = {n_atoms:6d}\n"
            f"   total plane-waves  NPLWV ={4096:7d}\n\n"
            f"   ENCUT  ={job.number('ENCUT'):7.1f} eV  {job.number('ENCUT') / 13.6057:.2f} Ry\n"
            f"   ISPIN  =     {spin:2d}    spin polarized calculation?\n   LNONCOLLINEAR =      F non collinear calculations\n"
            f"   NELM   = {job.integer('NELM'):6d};   NELMIN=  2; NELMDL= -5     # of ELM steps\n"
            f"   EDIFF  = {job.number('EDIFF'):.1E}   stopping-criterion for ELM\n"
            f"   EDIFFG = {job.number('EDIFFG'):.1E}   stopping-criterion for IOM\n"
            f"   NSW    = {job.integer('NSW'):6d}    number of steps for IOM\n"
            f"   IBRION = {job.integer('IBRION'):6d}    ionic relax: 0-MD 1-quasi-New 2-CG\n"
            f"   NELECT =  {job.electrons:10.4f}    total number of electrons\n"
            f"   GGA     =    {job.incar.get('GGA', 'PE')}    GGA type\n"
            f"\n\n\n{'-' * 104}\n\n\n k-point   1 :   0.0000 0.0000 0.0000  plane waves:    2048\n\n"
            f" maximum and minimum number of plane-waves per node :      2048     2048\n\n\n"
        )

    def step(self, number, positions, energy, forces, electronic, seconds):
        """One ionic step with its electronic steps."""
        share = seconds / max(len(electronic), 1)
        out = [
            f"\n{'-' * 39} Iteration {number:6d}({n:4d})  {'-' * 39}\n"
            f"      LOOP:  cpu time {share:9.4f}: real time {share:9.4f}\n"
            for n in range(1, len(electronic) + 1)
        ]
        if len(electronic) < self.job.integer("NELM"):
            out.append(f"\n{'-' * 24} aborting loop because EDIFF is reached {'-' * 40}\n")
        electrons = self.job.electrons
        out.append(
            f" E-fermi :   0.0000     XC(G=0):  -6.1327     alpha+bet : -1.8238\n"
            f" number of electron {electrons:14.7f} magnetization {0.0:14.7f}\n"
        )
        if self.job.spin:
            out.append(self._moments(len(positions)))
        table = "".join(
            f" {p[0]:12.5f} {p[1]:12.5f} {p[2]:12.5f}    {f[0]:13.6f} {f[1]:13.6f} {f[2]:13.6f}\n"
            for p, f in zip(positions, forces, strict=True)
        )
        largest = np.linalg.norm(forces, axis=1).max()
        out.append(
            f" POSITION                                       TOTAL-FORCE (eV/Angst)\n {'-' * 83}\n{table} {'-' * 83}\n"
            f"    total drift:                         {0.0:13.6f} {0.0:13.6f} {0.0:13.6f}\n\n{RULE}\n\n"
            f"  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n  ---------------------------------------------------\n"
            f"  free  energy   TOTEN  = {energy:18.8f} eV\n\n"
            f"  energy  without entropy= {energy:18.8f}  energy(sigma->0) = {energy:18.8f}\n\n"
            f"  FORCES: max atom, RMS {largest:10.6f} {np.sqrt((forces**2).sum() / len(forces)):10.6f}\n"
            f"     LOOP+:  cpu time {seconds:9.4f}: real time {seconds:9.4f}\n"
        )
        self.file.write("".join(out))

    def _moments(self, n_atoms):
        sites = "".join(f"{i + 1:5d}       0.000   0.000   0.000   0.000\n" for i in range(n_atoms))
        tail = f"{'-' * 50}\ntot         0.000   0.000   0.000   0.000\n\n"
        return f"\n\n magnetization (x)\n\n# of ion       s       p       d       tot\n{'-' * 42}\n{sites}{tail}"

    def finish(self, said, seconds, steps):
        """The figures at the end, which only a run that ended by itself has."""
        self.file.write(
            f"\n{said}\n\n General timing and accounting informations for this job:\n {'=' * 55}\n\n"
            f"                  Total CPU time used (sec):  {0.9 * seconds:11.3f}\n"
            f"                            User time (sec):  {0.8 * seconds:11.3f}\n"
            f"                          System time (sec):  {0.1 * seconds:11.3f}\n"
            f"                         Elapsed time (sec):  {seconds:11.3f}\n\n"
            f"                   Maximum memory used (kb):  {100000 + 10 * steps}.\n"
            f"                   Average memory used (kb):          N/A\n\n"
        )
        self.file.close()
