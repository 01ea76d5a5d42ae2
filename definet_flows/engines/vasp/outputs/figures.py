"""The figures of one start of VASP, and what the readers of its files have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """Atoms in their cell.

    Parameters
    ----------
    lattice
        [3, 3] rows in Å.
    frac_coords
        [n_atoms, 3].
    species
        Element symbol of each atom.
    """

    lattice: FloatArray
    frac_coords: FloatArray
    species: tuple[str, ...]


@dataclass(frozen=True)
class IonicStep:
    """One evaluation of the forces; what a file does not tell is None.

    Parameters
    ----------
    electronic_steps
        Self-consistency steps.
    energy
        Extrapolated to zero smearing, eV.
    max_force
        Largest force on an atom that may move, eV/Å.
    electronic_converged
        Whether the self-consistency cycle ended before its limit.
    """

    electronic_steps: int | None = None
    energy: float | None = None
    max_force: float | None = None
    electronic_converged: bool | None = None


@dataclass(kw_only=True)
class Figures:
    """What is known of one start of VASP; None for what is not.

    Parameters
    ----------
    steps
        Finished ionic steps.
    unfinished
        Self-consistency steps of an ionic step that was not finished.
    initial, final
        Atoms of the input, and of the last finished ionic step.
    ended
        VASP came to its own end, whether converged or not.
    reached
        VASP says, after its last step, that it reached the required accuracy.
    total_moment
        Of the last finished step, Bohr magnetons; its length where spins are not collinear.
    cpu_seconds
        Processor time by VASP's own account at its end, s.
    cores
        Processor cores.
    memory_kb
        Largest memory of a process, kB.
    version
        Version of VASP.
    incar, parameters
        Settings as given, and with VASP's defaults.
    kpoints
        The mesh, as `kpoint_mesh` writes it.
    potcars
        Element symbol to title of its potential.
    valence_electrons
        Electrons of the neutral cell.
    """

    steps: list[IonicStep] = field(default_factory=list)
    unfinished: int = 0
    initial: Frame | None = None
    final: Frame | None = None
    ended: bool | None = None
    reached: bool = False
    total_moment: float | None = None
    cpu_seconds: float | None = None
    cores: int | None = None
    memory_kb: float | None = None
    version: str | None = None
    incar: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    kpoints: dict[str, Any] | None = None
    potcars: dict[str, str] = field(default_factory=dict)
    valence_electrons: float | None = None


@dataclass(kw_only=True)
class FileReport(Figures):
    """What one of VASP's files tells of one start.

    Parameters
    ----------
    final_positions
        [n_atoms, 3] Å of the last finished ionic step, where the file gives no cell with them.
    elapsed
        Wall time by VASP's own account at its end, s.
    loops
        Seconds of the self-consistency cycles and forces, which is all that a run cut off tells of its time.
    flaw
        What is wrong with the file; None where it is whole.
    """

    final_positions: FloatArray | None = None
    elapsed: float | None = None
    loops: float | None = None
    flaw: str | None = None


def largest_force(forces: FloatArray, movable: npt.NDArray[np.bool_] | None = None) -> float | None:
    """Largest force on an atom, eV/Å; components that are held fixed do not count; None where a force is no number."""
    if not forces.size:
        return None
    acting = forces if movable is None or movable.shape != forces.shape else np.where(movable, forces, 0.0)
    largest = float(np.linalg.norm(acting, axis=1).max())
    return largest if np.isfinite(largest) else None


def kpoint_mesh(divisions: tuple[int, ...], shift: tuple[float, ...], *, monkhorst_pack: bool) -> dict[str, Any]:
    """A k-point mesh so that equal ones are written alike.

    Parameters
    ----------
    divisions
        Three numbers of points.
    shift
        Three shifts, as fractions of a mesh step.
    monkhorst_pack
        The original scheme, which shifts even meshes by half a step.
    """
    moved = [
        (offset + (0.5 if monkhorst_pack and number % 2 == 0 else 0.0)) % 1.0
        for number, offset in zip(divisions, shift, strict=True)
    ]
    return {"divisions": list(divisions), "shift": [round(offset, 6) for offset in moved]}


def fortran_number(text: str | None) -> float:
    """A number as Fortran writes it, a full stop or semicolon after it left out; not a number where it wrote stars or nothing."""
    try:
        return float((text or "").strip().rstrip(".;") or "nan")
    except ValueError:
        return float("nan")


def extrapolated(
    free: float | None, wrong: float | None, last_free: float | None = None, last: float | None = None
) -> float | None:
    """Energy of an ionic step without smearing, the extrapolation taken from its last self-consistency step.

    VASP writes a wrong ``e_0_energy`` at the end of an ionic step (https://www.vasp.at/forum/viewtopic.php?t=16942).

    Parameters
    ----------
    free, wrong
        ``e_fr_energy`` and ``e_0_energy`` of the ionic step, eV.
    last_free, last
        The same of its last self-consistency step, where they are known.
    """
    known = free is not None and last_free is not None and last is not None
    energy = round(free + last - last_free, 8) if known else wrong  # type: ignore[operator]
    return energy if energy is not None and np.isfinite(energy) else None
