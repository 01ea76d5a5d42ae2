"""Which POTCAR each element gets, and whether it is there."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import lru_cache

from pymatgen.core import SETTINGS
from pymatgen.io.vasp.inputs import PotcarSingle
from pymatgen.io.vasp.sets import MPScanRelaxSet

from definet_flows.engines.vasp.settings import VaspSettings
from definet_flows.errors import InputError

POTCARS: dict[str, str] = dict(MPScanRelaxSet.CONFIG["POTCAR"])
"""POTCAR by element, the Materials Project's choice among the PBE sets."""


def check_potcars(settings: VaspSettings, elements: Iterable[str]) -> None:
    """See that every POTCAR can be had before anything is run.

    Parameters
    ----------
    settings
        Which set, and which POTCARs are chosen by hand.
    elements
        Symbols; each is looked up once in a process.

    Raises
    ------
    InputError
        If one cannot be read; the message names the element and says how to set POTCARs up.
    """
    chosen = POTCARS | settings.potcars
    for element in dict.fromkeys(elements):
        _check_potcar(element, chosen.get(element, element), settings.potcar_functional)


@lru_cache(maxsize=128)
def _check_potcar(element: str, symbol: str, functional: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of POTCARs that pymatgen has no checksum of
            PotcarSingle.from_symbol_and_functional(symbol, functional)
    except (OSError, ValueError, KeyError) as error:
        folder = SETTINGS.get("PMG_VASP_PSP_DIR")
        where = f"PMG_VASP_PSP_DIR is {folder}" if folder else "PMG_VASP_PSP_DIR is not set"
        raise InputError(
            f"There is no POTCAR {symbol} for {element} in the set {functional} ({where}); make a folder of yours with "
            "pmg config -p SOURCE TARGET and name it with pmg config --add PMG_VASP_PSP_DIR TARGET, or choose another one "
            "with 'potcars' or 'potcar_functional'."
        ) from error
