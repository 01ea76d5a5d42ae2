"""The input set of one run, through atomate2's input-set generator with nothing left to its defaults."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from atomate2.vasp.sets.base import VaspInputGenerator
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Kpoints
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from definet_flows.defects import DefectConfiguration
from definet_flows.engines.moments import Scheme, initial_moments
from definet_flows.engines.relaxation import FloatArray
from definet_flows.engines.vasp.incar import EXECUTION
from definet_flows.engines.vasp.inputs.kpoints import points_without_symmetry
from definet_flows.engines.vasp.inputs.per_run import dipole_incar, run_incar
from definet_flows.engines.vasp.inputs.potcars import POTCARS
from definet_flows.engines.vasp.settings import SinglePoint, VaspSettings

FILES = ("INCAR", "KPOINTS", "POTCAR.spec", "POSCAR")
"""What `input_texts` gives: POTCARs are licensed, so their names stand for them."""

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
    settings: VaspSettings,
    configuration: DefectConfiguration,
    positions: FloatArray,
    charge: int = 0,
    scheme: Scheme | None = None,
    max_steps: int | None = None,
) -> RunInputs:
    """Inputs of the relaxation of a configuration.

    Parameters
    ----------
    settings
        The settings.
    configuration
        What is relaxed.
    positions
        [n_sites, 3] Å in host site order, where it starts.
    charge
        Of the cell, elementary charges.
    scheme
        Initial moments; by default the first of the settings.
    max_steps
        Ionic steps that are left; by default those of the settings.

    Raises
    ------
    InputError
        If a dipole correction is asked for that is not defined.
    """
    host = configuration.host
    dipole = dipole_incar(host, charge) if settings.dipole else {}
    incar = (
        settings.incar
        | {"NSW": max_steps or settings.max_steps}
        | _of_this_run(settings, host.n_sites, points_without_symmetry(settings.kpoints))
        | dipole
    )
    sites = poscar_order(configuration)
    moments = initial_moments(configuration, scheme or settings.moments[0])
    structure = Structure(
        Lattice(host.lattice),
        [configuration.species[site] for site in sites],
        np.asarray(positions)[sites],
        coords_are_cartesian=True,
        site_properties={"magmom": [float(moments[site]) for site in sites]},
    )
    return RunInputs(_generator(settings, incar, charge), structure, sites)


def phase_inputs(settings: VaspSettings, structure: Structure, max_steps: int, *, fixed_cell: bool) -> RunInputs:
    """Inputs of the relaxation of a phase with its cell, at the level of theory of the defects' supercells.

    Parameters
    ----------
    settings
        The settings, with the phase's own k-points.
    structure
        One block of sites per element, each with its ``magmom``.
    max_steps
        Ionic steps that are left.
    fixed_cell
        Leave the cell as it is, of a molecule in its box.
    """
    # Nothing breaks the symmetry of a phase, and on a dense mesh it saves most of the k-points.
    own = {"NSW": max_steps, "ISIF": 2 if fixed_cell else 3, "ISYM": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of spglib, asked by pymatgen in an old way
        n_kpoints = len(SpacegroupAnalyzer(structure).get_ir_reciprocal_mesh(settings.kpoints))
    incar = settings.incar | own | _of_this_run(settings, len(structure), n_kpoints)
    return RunInputs(_generator(settings, incar, 0), structure, np.arange(len(structure)))


def single_point_inputs(
    settings: VaspSettings,
    configuration: DefectConfiguration,
    positions: FloatArray,
    level: SinglePoint,
    charge: int = 0,
    scheme: Scheme | None = None,
) -> RunInputs:
    """As `relaxation_inputs`, for an energy at another level of theory without moving atoms."""
    relaxing = relaxation_inputs(settings, configuration, positions, charge, scheme)
    incar = relaxing.generator.config_dict["INCAR"] | _LEVELS[level.functional] | level.user_incar_settings
    still = {key: value for key, value in incar.items() if key not in _MOVING and value is not None}
    generator = _generator(settings, still | {"NSW": 0, "IBRION": -1}, charge)
    return RunInputs(generator, relaxing.structure, relaxing.sites)


def poscar_order(configuration: DefectConfiguration) -> npt.NDArray[np.int64]:
    """[n_atoms] host sites in the order of POSCAR: one block per element, host elements first, sites ascending."""
    occupied = np.flatnonzero(configuration.occupied)
    species = configuration.species
    blocks = {symbol: rank for rank, symbol in enumerate(dict.fromkeys([*configuration.host.species, *species]))}
    ranks = [blocks[species[site]] for site in occupied]
    return np.asarray(occupied[np.argsort(ranks, kind="stable")])


def input_texts(inputs: RunInputs) -> dict[str, str]:
    """The text of each of `FILES`; POTCARs are needed for a charged cell only.

    Parameters
    ----------
    inputs
        Of a run.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pymatgen, about moments and cells that are as they were meant
        written = inputs.generator.get_input_set(inputs.structure, potcar_spec=True)
    return {name: f"{str(written[name]).strip()}\n" for name in FILES}


def write_inputs(inputs: RunInputs, folder: Path) -> None:
    """Write `input_texts` into a folder, which is made if absent."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in input_texts(inputs).items():
        (folder / name).write_text(text, encoding="utf-8")


def _of_this_run(settings: VaspSettings, n_sites: int, n_kpoints: int) -> dict[str, Any]:
    chosen = {key: value for key, value in settings.user_incar_settings.items() if key in EXECUTION | {"LREAL"}}
    parallel = run_incar(n_sites, settings.cores, n_kpoints)
    incar = parallel | {"LWAVE": False, "LCHARG": False} | chosen
    if "NPAR" in chosen and "NCORE" not in chosen:
        del incar["NCORE"]
    return {key: value for key, value in incar.items() if value is not None}


def _generator(settings: VaspSettings, incar: dict[str, Any], charge: int) -> DefectSetGenerator:
    config = {
        # MAGMOM is filled in from the moments of the sites.
        "INCAR": {**incar, "MAGMOM": {}},
        "KPOINTS": {},
        "POTCAR": POTCARS | settings.potcars,
        "POTCAR_FUNCTIONAL": settings.potcar_functional,
    }
    return DefectSetGenerator(
        config_dict=config,
        user_kpoints_settings=Kpoints.gamma_automatic(settings.kpoints),  # type: ignore[arg-type]  # a Kpoints will do
        user_potcar_functional=settings.potcar_functional,
        sort_structure=False,
        inherit_incar=False,
        auto_ismear=False,
        auto_metal_kpoints=False,
        charge=charge,
    )
