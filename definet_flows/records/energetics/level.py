"""Which settings cells of different kinds must share for their energies to have a common zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from definet_flows.defects.host import content_hash

OF_A_CELL = frozenset(
    {"kpoints", "departures", "dipole", "moments", "rattle", "relax_host", "single_point", "incar.ISIF", "incar.ISYM"}
)
"""What of an engine's physics belongs to a supercell with defects, and is chosen anew for a phase that is relaxed with its cell:
k-points (and what follows from them), what is done to layers, the start, and symmetry."""


def level_hash(physics: Mapping[str, Any]) -> str:
    """Content hash of an engine's physics without what belongs to one kind of cell.

    Supercells and elemental phases of the same level have the same potential, functional, cutoff, PAW data sets, dispersion
    correction, smearing and thresholds, and their own k-points.

    Parameters
    ----------
    physics
        The engine's settings as records have them.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    shared = {}
    for name, setting in physics.items():
        if name not in OF_A_CELL:
            within = isinstance(setting, Mapping)
            shared[name] = (
                {key: one for key, one in setting.items() if f"{name}.{key}" not in OF_A_CELL} if within else setting
            )
    return content_hash(shared)
