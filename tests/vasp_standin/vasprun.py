"""vasprun.xml: one ``calculation`` per ionic step, and the tail that only a run that ended by itself has."""

from __future__ import annotations

from pathlib import Path

import numpy as np

HEAD = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator>
  <i name="program" type="string">vasp </i>
  <i name="version" type="string">6.4.2  </i>
  <i name="subversion" type="string">stand-in</i>
  <i name="platform" type="string">LinuxIFC </i>
  <i name="date" type="string">2026 01 01 </i>
  <i name="time" type="string">00:00:00 </i>
 </generator>
"""


class Vasprun:
    """Written step by step."""

    def __init__(self, job):
        self.job = job
        self.file = Path("vasprun.xml").open("w", encoding="iso-8859-1")  # noqa: SIM115  open as long as the run
        incar = parameters(job.incar)
        every = parameters(job.parameters)
        self.file.write(
            f"{HEAD} <incar>\n{incar} </incar>\n{kpoints(job)} <parameters>\n{every} </parameters>\n{atoms(job)}"
        )
        self.file.write(structure(job, job.cart_coords, ' name="initialpos"'))
        self.last = job.cart_coords

    def step(self, positions, energy, forces, electronic):
        """One ionic step with its electronic steps."""
        loops = "".join(
            f'  <scstep>\n   <time name="dav"> 0.01 0.01</time>\n{energies(value)}  </scstep>\n' for value in electronic
        )
        force_rows = vectors("forces", forces, 8)
        stress = vectors("stress", np.zeros((3, 3)), 8)
        tail = f'  <time name="totalsc">    0.10    0.10</time>\n{eigenvalues(self.job)} </calculation>\n'
        self.file.write(
            f" <calculation>\n{loops}{structure(self.job, positions)}{force_rows}{stress}{energies(energy)}{tail}"
        )
        self.last = positions

    def finish(self):
        """The final structure, without which the file is broken XML."""
        self.file.write(structure(self.job, self.last, ' name="finalpos"') + "</modeling>\n")
        self.file.close()


def parameters(settings):
    """INCAR-like entries with VASP's types."""
    return "".join(_parameter(key, value) for key, value in settings.items())


def _parameter(key, value):
    if key == "MAGMOM":
        return f'  <v name="{key}">{" ".join(expanded(value))}</v>\n'
    word = value.split()[0]
    if word.upper() in {".TRUE.", ".FALSE.", "T", "F", "TRUE", "FALSE"}:
        return f'  <i type="logical" name="{key}"> {"T" if word.strip(".").upper()[0] == "T" else "F"}  </i>\n'
    if len(value.split()) > 1:
        return f'  <v name="{key}">{value}</v>\n'
    if word.lstrip("+-").isdigit():
        return f'  <i type="int" name="{key}">{word:>6}</i>\n'
    try:
        return f'  <i name="{key}">{float(word):16.8f}</i>\n'
    except ValueError:
        return f'  <i type="string" name="{key}">{word}</i>\n'


def expanded(value):
    """``3*0.6 5.0`` written out."""
    for word in value.split():
        times, star, moment = word.partition("*")
        yield from [moment] * int(times) if star else [word]


def kpoints(job):
    """The grid, and its first point: nothing here depends on the others."""
    grid = " ".join(map(str, job.grid))
    return (
        f' <kpoints>\n  <generation param="Gamma">\n   <v type="int" name="divisions">{grid}</v>\n'
        f'   <v name="usershift">0.0 0.0 0.0</v>\n  </generation>\n{vectors("kpointlist", np.zeros((1, 3)), 8)}'
        f'  <varray name="weights">\n   <v> 1.0</v>\n  </varray>\n </kpoints>\n'
    )


def atoms(job):
    """Species of each atom, and each type's POTCAR."""
    kind = {symbol: number for number, symbol in enumerate(job.symbols, 1)}
    each = "".join(f"    <rc><c>{symbol:<2}</c><c>{kind[symbol]:4d}</c></rc>\n" for symbol in job.species)
    types = "".join(
        f"    <rc><c>{n:4d}</c><c>{s:<2}</c><c>10.0</c><c>{v:16.8f}</c><c>  {t}</c></rc>\n"
        for n, s, v, t in zip(job.counts, job.symbols, job.valences, job.titles, strict=True)
    )
    return (
        f" <atominfo>\n  <atoms>{len(job.species):8d} </atoms>\n  <types>{len(job.symbols):8d} </types>\n"
        f'  <array name="atoms" >\n   <dimension dim="1">ion</dimension>\n   <set>\n{each}   </set>\n  </array>\n'
        f'  <array name="atomtypes" >\n   <dimension dim="1">type</dimension>\n   <set>\n{types}   </set>\n  </array>\n'
        f" </atominfo>\n"
    )


def structure(job, positions, name=""):
    """Lattice and fractional coordinates, folded into the cell."""
    basis = vectors("basis", job.lattice, 8)
    reciprocal = vectors("rec_basis", np.linalg.inv(job.lattice).T, 8)
    volume = f'  <i name="volume">{abs(np.linalg.det(job.lattice)):16.8f}</i>\n'
    folded = (positions @ np.linalg.inv(job.lattice)) % 1.0
    crystal = f"  <crystal>\n{basis}{volume}{reciprocal}  </crystal>\n"
    return f" <structure{name}>\n{crystal}{vectors('positions', folded, 8)} </structure>\n"


def vectors(name, rows, digits):
    """A ``varray`` of rows."""
    body = "".join("   <v>" + "".join(f"{x:{digits + 9}.{digits}f}" for x in row) + " </v>\n" for row in rows)
    return f'  <varray name="{name}" >\n{body}  </varray>\n'


def energies(value):
    """The three energies, all the same without smearing."""
    names = ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    return "   <energy>\n" + "".join(f'    <i name="{name}">{value:16.8f} </i>\n' for name in names) + "   </energy>\n"


def eigenvalues(job):
    """One filled and one empty level, 2 eV apart, so that a band gap can be read."""
    levels = "     <r>   -1.0    1.0 </r>\n     <r>    1.0    0.0 </r>\n"
    spins = "".join(
        f'    <set comment="spin {n}">\n     <set comment="kpoint 1">\n{levels}     </set>\n    </set>\n'
        for n in range(1, 3 if job.spin else 2)
    )
    fermi = '  <dos>\n   <i name="efermi">      0.0 </i>\n' + _dos(job) + "  </dos>\n"
    return (
        f'  <eigenvalues>\n   <array>\n    <dimension dim="1">band</dimension>\n    <field>eigene</field>\n'
        f"    <field>occ</field>\n    <set>\n{spins}    </set>\n   </array>\n  </eigenvalues>\n{fermi}"
    )


def _dos(job):
    curve = "".join(
        f"      <r>{e:8.3f} {d:8.3f} {i:8.3f} </r>\n" for e, d, i in ((-2, 0, 0), (-1, 1, 1), (0, 0, 1), (1, 1, 2))
    )
    spins = "".join(f'     <set comment="spin {n}">\n{curve}     </set>\n' for n in range(1, 3 if job.spin else 2))
    return f"   <total>\n    <array>\n    <set>\n{spins}    </set>\n    </array>\n   </total>\n"
