"""Configurations to and from files and the defect packages users already have; site order is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure

from definet_flows.defects.configuration import DefectConfiguration
from definet_flows.defects.host import FloatArray, Host
from definet_flows.defects.matching import configuration_from_structure
from definet_flows.defects.point_defect import VACANCY
from definet_flows.errors import InputError

_SUPERCELL_ATTRIBUTES = ("sc_entry", "defect_supercell", "supercell_structure", "structure")


def configuration_from_entry(host: Host, entry: Any) -> DefectConfiguration:
    """The configuration of a pymatgen-analysis-defects or doped ``DefectEntry``.

    Parameters
    ----------
    host
        The pristine supercell the entry was made in.
    entry
        Any object that holds its supercell as ``sc_entry.structure`` (pymatgen-analysis-defects) or ``defect_supercell``
        (doped), or a plain pymatgen Structure.

    Raises
    ------
    InputError
        If it holds no structure, or the structure does not match the host.
    """
    for attribute in _SUPERCELL_ATTRIBUTES:
        found = entry if isinstance(entry, Structure) else getattr(entry, attribute, None)
        structure = getattr(found, "structure", found)
        if isinstance(structure, Structure):
            return configuration_from_structure(host, structure)
    raise InputError(
        f"{type(entry).__name__} holds no supercell; give a DefectEntry with its supercell, or a Structure."
    )


def to_defect_entry(configuration: DefectConfiguration, positions: FloatArray | None = None) -> Any:
    """A pymatgen-analysis-defects ``DefectEntry`` of a single point defect, charge 0, without an energy.

    Parameters
    ----------
    configuration
        A configuration with one defect.
    positions
        [n_sites, 3] Å in host site order; by default the pristine positions.

    Raises
    ------
    InputError
        If the package is not installed or the configuration has several defects, for which it has no class.
    """
    try:
        from pymatgen.analysis.defects.core import Substitution, Vacancy
        from pymatgen.analysis.defects.thermo import DefectEntry
    except ImportError as error:
        raise InputError(
            "This export needs pymatgen-analysis-defects: pip install pymatgen-analysis-defects."
        ) from error
    from pymatgen.core import PeriodicSite
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    if configuration.n_defects != 1:
        raise InputError(
            f"pymatgen-analysis-defects has no class for {configuration.label}; export it as POSCAR or extxyz."
        )
    host = configuration.host
    (site, species), unit_cell = configuration.defects[0], host.unit_cell
    primitive = unit_cell[site // host.n_cells]
    vacated = species == VACANCY
    changed = PeriodicSite(primitive.specie if vacated else species, primitive.frac_coords, unit_cell.lattice)
    defect = (Vacancy if vacated else Substitution)(structure=unit_cell, site=changed)
    entry = ComputedStructureEntry(configuration.structure(positions), 0.0)
    frac_coords = host.positions[site] @ np.linalg.inv(host.lattice)
    return DefectEntry(defect=defect, charge_state=0, sc_entry=entry, sc_defect_frac_coords=frac_coords)


def write_structure(configuration: DefectConfiguration, path: str | Path, positions: FloatArray | None = None) -> Path:
    """Write the atoms in host site order, as CIF or POSCAR.

    Parameters
    ----------
    configuration
        What to write.
    path
        Target file: ``*.cif``, ``*.vasp`` or a name that starts with POSCAR or CONTCAR.
    positions
        [n_sites, 3] Å; by default the pristine positions.

    Raises
    ------
    InputError
        If the name says no format.
    """
    file = Path(path)
    if file.suffix not in {".cif", ".vasp"} and not file.name.startswith(("POSCAR", "CONTCAR")):
        raise InputError(f"{file} names no format; end it in .cif or .vasp, call it POSCAR, or use write_extxyz.")
    structure = configuration.structure(positions)
    structure.to(filename=str(file), fmt="cif" if file.suffix == ".cif" else "poscar")
    return file


def write_extxyz(
    configurations: Iterable[DefectConfiguration],
    path: str | Path,
    positions: Iterable[FloatArray | None] | None = None,
) -> Path:
    """Write configurations as one extended XYZ file, each frame with its id, label and the host site of every atom.

    Parameters
    ----------
    configurations
        What to write, in this order.
    path
        Target file.
    positions
        [n_sites, 3] Å for each configuration; by default the pristine positions.
    """
    from ase import Atoms
    from ase.io import write

    listed = list(configurations)
    coordinates = [None] * len(listed) if positions is None else list(positions)
    frames = []
    for configuration, coords in zip(listed, coordinates, strict=True):
        sites = np.flatnonzero(configuration.occupied)
        host = configuration.host
        atoms = Atoms(
            numbers=configuration.atomic_numbers[sites],
            positions=(host.positions if coords is None else coords)[sites],
            cell=host.lattice,
            pbc=True,
        )
        atoms.set_array("host_site", sites)
        atoms.info.update(configuration_id=as_extxyz_text(configuration.id), label=configuration.label)
        frames.append(atoms)
    write(str(path), frames, format="extxyz")
    return Path(path)


def as_extxyz_text(word: str) -> str:
    """A word in a form that ASE reads from extended XYZ as that word: an id such as 12e4 would come back as a number."""
    from ase.io.extxyz import key_val_str_to_dict

    read = key_val_str_to_dict(f'word="{word}"')["word"]
    return word if isinstance(read, str) else f"_JSON {json.dumps(word)}"
