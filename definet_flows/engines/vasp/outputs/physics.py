"""The settings of an existing run that decide its result, written so that equal settings give equal hashes.

Only what is known to change a result is compared: parallelisation, output switches, the algorithm of the self-consistency cycle
and the limits on steps are not, nor are initial moments, which differ from one configuration to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from definet_flows.engines.vasp.outputs.attempts import AttemptFigures
from definet_flows.errors import InputError

_DEFAULTS: dict[str, Any] = {
    "PREC": "normal",
    "EDIFF": 1e-4,
    "LREAL": False,
    "LASPH": False,
    "ADDGRID": False,
    "ISYM": 2,
    "ISPIN": 1,
    "NUPDOWN": -1.0,
    "LSORBIT": False,
    "LNONCOLLINEAR": False,
    "ISMEAR": 1,
    "SIGMA": 0.2,
    "METAGGA": "",
    "LHFCALC": False,
    "AEXX": 0.25,
    "HFSCREEN": 0.0,
    "IVDW": 0,
    "LUSE_VDW": False,
    "LDAU": False,
    "LDAUTYPE": None,
    "LDAUL": None,
    "LDAUU": None,
    "LDAUJ": None,
    "ISIF": 2,
    "IBRION": None,
    "POTIM": 0.5,
    "LDIPOL": False,
    "IDIPOL": 0,
    "EFIELD": 0.0,
}
"""What VASP does where INCAR is silent, for every setting that is compared besides the cutoff, EDIFFG and GGA."""

_MUST_BE_TOLD = ("ENCUT", "GGA", "IBRION")
"""Settings whose default lies in the POTCAR or in other settings."""

_FULL = {
    "PREC": {"a": "accurate", "n": "normal", "h": "high", "m": "medium", "l": "low", "s": "single"},
    "LREAL": {"a": "auto", "o": "on"},
}
_GGA_OF_POTCAR = {"PAW_PBE": "pe", "PAW_GGA": "91", "PAW": "ca"}
_FUNCTIONALS = {
    "pe": "PBE",
    "ps": "PBEsol",
    "rp": "RPBE",
    "re": "revPBE",
    "am": "AM05",
    "91": "PW91",
    "ca": "LDA",
    "or": "optPBE",
    "bo": "optB88",
    "mk": "optB86b",
    "ml": "rev-vdW-DF2",
}
_DISPERSION = {
    **dict.fromkeys((1, 10), "D2"),
    11: "D3",
    12: "D3(BJ)",
    2: "TS",
    20: "TS",
    21: "TS/HI",
    202: "MBD",
    4: "dDsC",
}
_NO_METAGGA = {"", "--", "none"}
_INTEGER_CHARGE = 0.01


def physics_of(run: AttemptFigures) -> dict[str, Any]:
    """The settings that decide the result of a run.

    Parameters
    ----------
    run
        Its first start, before custodian changed anything.

    Returns
    -------
    dict
        ``incar``, ``kpoints``, ``potcars`` and ``lattice``; None where no file tells.
    """
    lattice = None if run.initial is None else np.round(run.initial.lattice, 3) + 0.0
    return {
        "incar": _compared_settings(run),
        "kpoints": run.kpoints,
        "potcars": dict(sorted(run.potcars.items())) or None,
        "lattice": None if lattice is None else lattice.tolist(),
    }


def untold(physics: Mapping[str, Any]) -> list[str]:
    """What no file tells of `physics_of`: such a run is the equal of no other.

    Parameters
    ----------
    physics
        What `physics_of` returned.
    """
    incar = physics["incar"] or {}
    whole = [name for name, setting in physics.items() if setting is None]
    return whole + [name for name in _MUST_BE_TOLD if name in incar and incar[name] is None]


def _compared_settings(run: AttemptFigures) -> dict[str, Any] | None:
    """Settings with VASP's defaults; None without an INCAR, which relies on no default alone."""
    if not run.incar:
        return None
    incar = {name: _normal(name, run.incar.get(name, default)) for name, default in _DEFAULTS.items()}
    incar["ENCUT"] = _normal("ENCUT", _cutoff(run))
    incar["EDIFFG"] = _normal("EDIFFG", force_or_energy_limit(run))
    incar["GGA"] = _gga(run)
    incar["IBRION"] = _normal("IBRION", run.setting("IBRION"))
    if not incar["LDIPOL"]:
        incar["IDIPOL"] = 0
    return dict(sorted(incar.items()))


def force_or_energy_limit(run: AttemptFigures) -> float:
    """EDIFFG: where negative, the force in eV/Å at which a relaxation stops; where positive, the change of energy in eV."""
    limit = run.incar.get("EDIFFG", run.parameters.get("EDIFFG"))
    if limit is not None:
        return float(limit)
    return 10 * float(run.incar.get("EDIFF", _DEFAULTS["EDIFF"]))


def functional_of(run: AttemptFigures) -> str | None:
    """Name of exchange and correlation, such as ``PBE``, ``r2SCAN`` or ``HSE06+D3``; None where no file tells."""
    incar = _compared_settings(run)
    if incar is None:
        return None
    base = _FUNCTIONALS.get(incar["GGA"], incar["GGA"])
    if incar["METAGGA"]:
        base = {"R2SCAN": "r2SCAN"}.get(incar["METAGGA"].upper(), incar["METAGGA"].upper())
    if incar["LHFCALC"]:
        base = _hybrid(incar, base)
    if base is None:
        return None
    vdw = _DISPERSION.get(int(incar["IVDW"]), f"IVDW {int(incar['IVDW'])}") if incar["IVDW"] else None
    parts = ("U" if incar["LDAU"] else None, vdw, "vdW-DF" if incar["LUSE_VDW"] else None)
    return "+".join([base, *filter(None, parts), *(["SOC"] if incar["LSORBIT"] else [])])


def cutoff_of(run: AttemptFigures) -> float | None:
    """Plane-wave cutoff in eV; None where no file tells."""
    found = _cutoff(run)
    return None if found is None else float(found)


def charge_of(run: AttemptFigures) -> int:
    """Total charge of the cell in elementary charges.

    Raises
    ------
    InputError
        If the number of electrons was set and no file tells how many the neutral cell has, or the charge is no whole number.
    """
    electrons = run.setting("NELECT")
    if run.valence_electrons is None or electrons is None:
        if run.incar.get("NELECT") is None:
            return 0
        raise InputError("NELECT is set, and no vasprun.xml or OUTCAR tells how many electrons the neutral cell has.")
    charge = run.valence_electrons - float(electrons)
    if abs(charge - round(charge)) > _INTEGER_CHARGE:
        raise InputError(f"The charge of the cell is {charge:.3f}, which is no whole number.")
    return round(charge)


def _cutoff(run: AttemptFigures) -> Any:
    found = (source.get(name) for source in (run.incar, run.parameters) for name in ("ENCUT", "ENMAX"))
    return next((one for one in found if one is not None), None)


def _gga(run: AttemptFigures) -> str | None:
    given = str(run.incar.get("GGA", run.parameters.get("GGA", "--"))).strip().lower()
    if given not in {"--", ""}:
        return given
    families = {title.split()[0] for title in run.potcars.values()}
    return _GGA_OF_POTCAR.get(families.pop()) if len(families) == 1 else None


def _hybrid(incar: Mapping[str, Any], base: str | None) -> str:
    screening, share = incar["HFSCREEN"], incar["AEXX"]
    if base in {None, "PBE"} and share == 0.25:
        named = {0.0: "PBE0", 0.2: "HSE06", 0.207: "HSE06", 0.3: "HSE03"}
        if screening in named:
            return named[screening]
    return f"hybrid (AEXX {share:g}, HFSCREEN {screening:g})"


def _normal(name: str, value: Any) -> Any:
    """A setting as it is compared, whichever file and spelling it comes from."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return float(f"{value:.8g}")
    if isinstance(value, str):
        text = value.strip().strip(".").lower()
        if name == "METAGGA":
            return "" if text in _NO_METAGGA else text
        return _FULL.get(name, {}).get(text[:1], text)
    return [_normal(name, item) for item in value]
