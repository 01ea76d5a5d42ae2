"""INCAR settings of one run that follow from its supercell, its charge and the number of cores."""

from __future__ import annotations

from typing import Any

from definet_flows.defects import Host
from definet_flows.errors import InputError

_REAL_SPACE_ABOVE = 60
"""Sites of the pristine supercell from which projections are done in real space, for both starts and the reference alike."""


def run_incar(n_sites: int, cores: int, n_kpoints: int) -> dict[str, Any]:
    """Settings of a run that follow from its size and the number of cores.

    Parameters
    ----------
    n_sites
        Of its pristine cell.
    cores
        That it holds.
    n_kpoints
        Irreducible k-points; more groups of cores than these would be idle.
    """
    kpar = _largest_divisor(cores, n_kpoints)
    return {
        "LREAL": "Auto" if n_sites > _REAL_SPACE_ABOVE else False,
        "KPAR": kpar,
        "NCORE": _ncore(cores // kpar, n_sites),
    }


def dipole_incar(host: Host, charge: int) -> dict[str, Any]:
    """The dipole correction across a layer: along c, around the centre of the pristine layer.

    Raises
    ------
    InputError
        If the host is not a layer, or the cell is charged.
    """
    if host.dimensionality != 2:
        raise InputError(f"{host.name} is no layer and has no vacuum for a dipole correction; leave 'dipole' out.")
    if charge:
        raise InputError(
            f"The dipole correction is not defined for a cell of charge {charge:+d}; leave 'dipole' out for charged cells."
        )
    heights = host.unit_cell.frac_coords[:, 2]
    centre = float((heights.min() + heights.max()) / 2) % 1.0
    return {"LDIPOL": True, "IDIPOL": 3, "DIPOL": [0.5, 0.5, round(centre, 6)]}


def _ncore(cores: int, n_sites: int) -> int:
    """Cores per orbital: about the square root for large cells, fewer where there are few bands to share out."""
    if n_sites < 16:
        return 1
    return _largest_divisor(cores, max(1, round(cores**0.5)) if n_sites < 100 else max(1, round((2 * cores) ** 0.5)))


def _largest_divisor(number: int, limit: int) -> int:
    return next(divisor for divisor in range(min(number, limit), 0, -1) if number % divisor == 0)
