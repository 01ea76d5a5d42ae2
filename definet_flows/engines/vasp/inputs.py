"""INCAR, KPOINTS, POSCAR and POTCAR of one run, through atomate2's input-set generator with nothing left to its defaults."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from atomate2.vasp.sets.base import VaspInputGenerator
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Kpoints
from pymatgen.io.vasp.inputs import PotcarSingle
from pymatgen.io.vasp.sets import MPScanRelaxSet

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines.moments import Scheme, initial_moments
from definet_flows.engines.relaxation import FloatArray
from definet_flows.engines.vasp.incar import EXECUTION, dipole_incar, run_incar
from definet_flows.engines.vasp.settings import SinglePoint, VaspEngine
from definet_flows.errors import InputError

POTCARS: dict[str, str] = dict(MPScanRelaxSet.CONFIG["POTCAR"])
"""POTCAR by element, the Materials Project's choice among the PBE sets."""

_LEVELS: dict[str, dict[str, Any]] = {
    "PBE": {},
    "r2SCAN": {"GGA": None, "METAGGA": "R2SCAN", "ALGO": "All"},
    "HSE06": {"LHFCALC": True, "HFSCREEN": 0.2, "AEXX": 0.25, "ALGO": "Damped", "TIME": 0.4, "PRECFOCK": "Normal"},
}
"""INCAR settings of the single points, on those of the relaxation."""

_MOVING = ("EDIFFG", "IBRION", "ISIF", "NSW", "POTIM")


@dataclass
class DefectSetGenerator(VaspInputGenerator):
    """atomate2's generator with a charge that is told, not read from the structure.

    Parameters
    ----------
    charge
        Total charge of the cell in elementary charges; where it is not 0, NELECT is set from the POTCARs.
    """

    charge: int = 0

    @property
    def incar_updates(self) -> dict[str, Any]:
        """NELECT of a charged cell."""
        return {"NELECT": float(self.nelect - self.charge)} if self.charge else {}


@dataclass(frozen=True)
class RunInputs:
    """What one run starts from.

    Attributes
    ----------
    generator
        Writes the input files.
    structure
        The atoms in POSCAR order, with their initial moments.
    sites
        [n_atoms] host site of each atom in POSCAR.
    """

    generator: DefectSetGenerator
    structure: Structure
    sites: npt.NDArray[np.int64]


def relaxation_inputs(
    engine: VaspEngine,
    configuration: DefectConfiguration,
    positions: FloatArray,
    charge: int = 0,
    scheme: Scheme | None = None,
    max_steps: int | None = None,
) -> RunInputs:
    """Inputs of the relaxation of a configuration.

    Parameters
    ----------
    engine
        The settings.
    configuration
        What is relaxed.
    positions
        [n_sites, 3] Å in host site order, where it starts.
    charge
        Of the cell, elementary charges.
    scheme
        Initial moments; by default the engine's first.
    max_steps
        Ionic steps that are left; by default the engine's.
    """
    host = configuration.host
    incar = engine.incar | {"NSW": max_steps or engine.max_steps} | _of_this_run(engine, host, charge)
    sites = poscar_order(configuration)
    moments = initial_moments(configuration, scheme or engine.moments[0])
    structure = Structure(
        Lattice(host.lattice),
        [configuration.species[site] for site in sites],
        np.asarray(positions)[sites],
        coords_are_cartesian=True,
        site_properties={"magmom": [float(moments[site]) for site in sites]},
    )
    return RunInputs(_generator(engine, incar, charge), structure, sites)


def single_point_inputs(
    engine: VaspEngine,
    configuration: DefectConfiguration,
    positions: FloatArray,
    level: SinglePoint,
    charge: int = 0,
    scheme: Scheme | None = None,
) -> RunInputs:
    """As `relaxation_inputs`, for an energy at another level of theory without moving atoms."""
    relaxing = relaxation_inputs(engine, configuration, positions, charge, scheme)
    incar = relaxing.generator.config_dict["INCAR"] | _LEVELS[level.functional] | level.user_incar_settings
    still = {key: value for key, value in incar.items() if key not in _MOVING and value is not None}
    generator = _generator(engine, still | {"NSW": 0, "IBRION": -1}, charge)
    return RunInputs(generator, relaxing.structure, relaxing.sites)


def poscar_order(configuration: DefectConfiguration) -> npt.NDArray[np.int64]:
    """[n_atoms] host sites in the order of POSCAR: one block per element, host elements first, sites ascending."""
    occupied = np.flatnonzero(configuration.occupied)
    species = configuration.species
    blocks = {symbol: rank for rank, symbol in enumerate(dict.fromkeys([*configuration.host.species, *species]))}
    ranks = [blocks[species[site]] for site in occupied]
    return np.asarray(occupied[np.argsort(ranks, kind="stable")])


def check_potcars(engine: VaspEngine, configuration: DefectConfiguration) -> None:
    """See that every POTCAR can be had before anything is run.

    Raises
    ------
    InputError
        If one cannot; the message names the element and says how to set POTCARs up.
    """
    for element in dict.fromkeys(configuration.species[site] for site in poscar_order(configuration)):
        _check_potcar(element, (POTCARS | engine.potcars).get(element, element), engine.potcar_functional)


def _of_this_run(engine: VaspEngine, host: Host, charge: int) -> dict[str, Any]:
    chosen = {key: value for key, value in engine.user_incar_settings.items() if key in EXECUTION | {"LREAL"}}
    settings = run_incar(host, engine.cores, int(np.prod(engine.kpoints))) | {"LWAVE": False, "LCHARG": False} | chosen
    if "NPAR" in chosen and "NCORE" not in chosen:
        del settings["NCORE"]
    dipole = dipole_incar(host, charge) if engine.dipole else {}
    return {key: value for key, value in (settings | dipole).items() if value is not None}


def _generator(engine: VaspEngine, incar: dict[str, Any], charge: int) -> DefectSetGenerator:
    config = {
        # MAGMOM is filled in from the moments of the sites.
        "INCAR": {**incar, "MAGMOM": {}},
        "KPOINTS": {},
        "POTCAR": POTCARS | engine.potcars,
        "POTCAR_FUNCTIONAL": engine.potcar_functional,
    }
    return DefectSetGenerator(
        config_dict=config,
        user_kpoints_settings=Kpoints.gamma_automatic(engine.kpoints),  # type: ignore[arg-type]  # a Kpoints will do
        user_potcar_functional=engine.potcar_functional,
        sort_structure=False,
        inherit_incar=False,
        auto_ismear=False,
        auto_metal_kpoints=False,
        charge=charge,
    )


@lru_cache(maxsize=128)
def _check_potcar(element: str, symbol: str, functional: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of POTCARs that pymatgen has no checksum of
            PotcarSingle.from_symbol_and_functional(symbol, functional)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"There is no POTCAR {symbol} for {element} in the set {functional} ({str(error).splitlines()[0]}); point "
            "PMG_VASP_PSP_DIR in ~/.pmgrc.yaml (pmg config -p SOURCE TARGET, then pmg config --add PMG_VASP_PSP_DIR "
            "TARGET) at your POTCARs, or name another one with 'potcars' or 'potcar_functional'."
        ) from error


def write_inputs(engine: VaspEngine, configuration: DefectConfiguration, folder: Path) -> None:
    """Write INCAR, KPOINTS, POSCAR and the POTCAR symbols of a relaxation from the unrelaxed start, without running it.

    Parameters
    ----------
    engine
        The settings.
    configuration
        What would be relaxed.
    folder
        Made if absent.
    """
    inputs = relaxation_inputs(engine, configuration, configuration.host.positions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pymatgen, about moments and cells that are as they were meant
        inputs.generator.get_input_set(inputs.structure, potcar_spec=True).write_input(folder)
