"""Every INCAR setting of a relaxation, where it comes from, and what may not be set by hand."""

from __future__ import annotations

from typing import Any

PAPER: dict[str, Any] = {
    "GGA": "PE",
    "ENCUT": 500,
    "ISPIN": 2,
    "EDIFF": 1e-6,
    "EDIFFG": -0.01,
    "ISIF": 2,
}
"""What the DefiNet paper states (doi 10.1038/s41524-025-01728-w), with a Γ-only grid and PAW."""

OURS: dict[str, Any] = {
    "PREC": "Accurate",
    "ALGO": "Normal",
    "NELM": 200,
    "IBRION": 2,
    "POTIM": 0.5,
    "NSW": 300,
    "ISMEAR": 0,
    "SIGMA": 0.05,
    "ISYM": 0,
    "LASPH": True,
    "LDAU": False,
    "LMAXMIX": 4,
    "LORBIT": 11,
    "LWAVE": False,
    "LCHARG": False,
}
"""Our defaults for what the paper does not state, the same for both starts."""

DISPERSION = {"D3": 11, "D3BJ": 12}
"""IVDW of Grimme's DFT-D3 with zero and with Becke–Johnson damping."""

EXECUTION = {"NCORE", "NPAR", "KPAR", "NSIM", "LPLANE", "LSCALU", "LWAVE", "LCHARG"}
"""Settings that change only how fast it runs and what is kept; never hashed."""

_CHANGES_PHYSICS = ("LHFCALC", "METAGGA", "LDAU", "LSORBIT", "LNONCOLLINEAR", "LUSE_VDW", "IVDW")

_REFUSED = {
    "MAGMOM": "initial moments are chosen with 'moments'",
    "NELECT": "the number of electrons follows from the charge on record",
    "ISIF": "the cell is that of the host and may not change",
    "NSW": "use 'max_steps'",
    "EDIFFG": "use 'force_threshold'",
    "KSPACING": "use 'kpoints'",
    "LDIPOL": "use 'dipole'",
    "IDIPOL": "use 'dipole'; the vacuum of a host lies along c, so it is always 3",
    "DIPOL": "use 'dipole'; it is the centre of the pristine layer",
    "IVDW": "use 'vdw'",
}


def checked_settings(user: dict[str, Any]) -> dict[str, Any]:
    """Settings from a campaign file with upper-case keys.

    Raises
    ------
    ValueError
        If a key is one that the engine sets by other means, or moves no atoms.
    """
    settings = {str(key).upper(): value for key, value in user.items()}
    for key, instead in _REFUSED.items():
        if key in settings:
            raise ValueError(f"{key} cannot be set: {instead}")
    if settings.get("IBRION", 2) not in {1, 2, 3}:
        raise ValueError(f"IBRION {settings['IBRION']} does not relax; choose 1, 2 or 3")
    return settings


def relaxation_incar(user: dict[str, Any], max_steps: int, force_threshold: float, vdw: str | None) -> dict[str, Any]:
    """All settings that are the same for every run of a campaign.

    Parameters
    ----------
    user
        Settings that replace the defaults; a value of None leaves a key out.
    max_steps
        Largest number of ionic steps.
    force_threshold
        eV/Å.
    vdw
        ``D3``, ``D3BJ`` or None.
    """
    incar = PAPER | OURS | {"NSW": max_steps, "EDIFFG": -force_threshold}
    if vdw is not None:
        incar["IVDW"] = DISPERSION[vdw]
    incar |= user
    return {key: value for key, value in sorted(incar.items()) if value is not None}


def departures(incar: dict[str, Any], kpoints: tuple[int, int, int]) -> dict[str, str]:
    """Where settings contradict what the paper states, by key: allowed, and part of every record."""
    found = {
        key: f"{incar.get(key, 'not set')}, in the paper {value}"
        for key, value in PAPER.items()
        if incar.get(key) != value
    }
    found |= {key: f"{incar[key]}, not in the paper" for key in _CHANGES_PHYSICS if incar.get(key)}
    if kpoints != (1, 1, 1):
        found["KPOINTS"] = f"{' '.join(map(str, kpoints))}, in the paper 1 1 1"
    return found
