"""Structures from files and databases, checked before anything is built on them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from pymatgen.core import Element, Lattice, Structure

from definet_flows.errors import InputError

_SMALLEST_DISTANCE = 0.5
"""Å, atoms closer than this are the same atom written twice."""

_EDGE = 1e-6
"""Fraction of a lattice vector within which a coordinate is on the cell's edge."""

_CIF_OPERATIONS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz", "_space_group_symop.operation_xyz")


def read_structure(path: str | Path) -> Structure:
    """Read a structure file of any format pymatgen or ASE knows (CIF, POSCAR, vasprun.xml, extxyz, ...).

    Raises
    ------
    InputError
        If the file is missing, empty, unreadable or holds no atoms.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"There is no structure file {file}; check the path.")
    if file.stat().st_size == 0:
        raise InputError(f"{file} is empty; give a CIF or POSCAR with a structure in it.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rounded coordinates and missing labels, which are checked below
            structure = _read_xyz(file) if file.suffix in {".xyz", ".extxyz"} else Structure.from_file(file)
            structure = _in_file_order(structure, file) if ".cif" in file.name.lower() else structure
    # The parsers behind pymatgen and ASE share no error: damaged files of ten formats raised 22 unrelated kinds, among them
    # IndexError, ModuleNotFoundError, zlib.error, lxml's SyntaxError, BadPoscarWarning and MemoryError.
    except Exception as error:
        raise InputError(
            f"{file} cannot be read as a structure ({type(error).__name__}: {error}); give a CIF or POSCAR."
        ) from error
    if len(structure) == 0:
        raise InputError(f"{file} holds no atoms; give a CIF or POSCAR with a structure in it.")
    return structure


def read_cif(path: str | Path) -> Structure:
    """Read a CIF, its atoms in the order of the file: as `read_structure`, but quick where the file lists every atom.

    Raises
    ------
    InputError
        As `read_structure`.
    """
    file = Path(path)
    structure = _listed_atoms(file) if file.is_file() else None
    return read_structure(file) if structure is None else structure


def _listed_atoms(file: Path) -> Structure | None:
    """The structure of a CIF without symmetry operations or shared sites; None for any other file."""
    from pymatgen.io.cif import CifFile, str2float

    try:
        (block,) = CifFile.from_file(file).data.values()
        columns = block.data
        operations = [text for key in _CIF_OPERATIONS for text in columns.get(key, ())]
        symbols = [text.rstrip("+-0123456789") for text in columns["_atom_site_type_symbol"]]
        frac_coords = np.array([[str2float(x) for x in columns[f"_atom_site_fract_{axis}"]] for axis in "xyz"]).T
        lengths = [str2float(columns[f"_cell_length_{axis}"]) for axis in "abc"]
        angles = [str2float(columns[f"_cell_angle_{angle}"]) for angle in ("alpha", "beta", "gamma")]
    except (ValueError, KeyError, IndexError, TypeError, AssertionError, ZeroDivisionError):
        return None
    plain = all("".join(text.split()).lower() == "x,y,z" for text in operations)
    whole = all(str2float(share) == 1 for share in columns.get("_atom_site_occupancy", ()))
    if not (
        plain
        and whole
        and operations
        and all(map(Element.is_valid_symbol, symbols))
        and len(symbols) == len(frac_coords)
    ):
        return None
    return Structure(Lattice.from_parameters(*lengths, *angles), symbols, frac_coords)


def _read_xyz(file: Path) -> Structure:
    from ase.io import read
    from pymatgen.io.ase import AseAtomsAdaptor

    return Structure.from_sites(AseAtomsAdaptor.get_structure(read(file, index=0)).sites)  # type: ignore[arg-type]


def _in_file_order(structure: Structure, file: Path) -> Structure:
    """The atoms of a CIF in the order of the file; pymatgen sorts them by element."""
    from pymatgen.io.cif import CifFile

    listed = [block.data.get("_atom_site_label") for block in CifFile.from_file(file).data.values()]
    labels: list[str] = next(labels for labels in listed if labels)
    return Structure.from_sites(
        sorted(structure, key=lambda site: labels.index(site.label) if site.label in labels else -1)
    )


def checked_unit_cell(structure: Structure) -> Structure:
    """A plain copy (elements and coordinates only) of an ordered structure without overlapping atoms.

    Raises
    ------
    InputError
        If the structure is empty, disordered, not finite or flat, or atoms overlap.
    """
    if len(structure) == 0:
        raise InputError("The structure holds no atoms; give a CIF or POSCAR with a structure in it.")
    if not structure.is_ordered:
        raise InputError("The structure has partially occupied sites; give one with a single element on each site.")
    if not (np.isfinite(structure.frac_coords).all() and np.isfinite(structure.lattice.matrix).all()):
        raise InputError("The structure has coordinates that are not finite numbers; check the file.")
    if structure.volume < _SMALLEST_DISTANCE**3:
        raise InputError("The cell has no volume; its three lattice vectors must be independent.")
    symbols = [
        site.specie.element.symbol if hasattr(site.specie, "element") else site.specie.symbol for site in structure
    ]
    frac_coords = structure.frac_coords % 1.0
    frac_coords[frac_coords > 1 - _EDGE] -= 1  # a hair below zero is zero, not the far side of the cell
    plain = Structure(structure.lattice, symbols, frac_coords)
    distances = plain.distance_matrix + np.where(np.eye(len(plain)), np.inf, 0.0)
    if distances.min() < _SMALLEST_DISTANCE:
        i, j = np.unravel_index(int(distances.argmin()), distances.shape)
        raise InputError(
            f"Atoms {i + 1} and {j + 1} overlap ({distances.min():.2f} Å apart); remove the duplicate from the structure."
        )
    return plain


def structure_from_mp(material_id: str) -> Structure:
    """A structure from the Materials Project.

    Raises
    ------
    InputError
        If ``mp-api`` is not installed, no key is set, or the service refuses.
    """
    try:
        from mp_api.client import MPRester
        from mp_api.client.core import MPRestError
    except ImportError as error:
        raise InputError(
            "Materials Project ids need the package mp-api: pip install mp-api, and set MP_API_KEY."
        ) from error
    try:
        with MPRester() as rester:
            structure: Structure | None = rester.get_structure_by_material_id(material_id)
    # No network is an OSError of requests; an answer that is not what the client expects, one of the others.
    except (MPRestError, OSError, LookupError, ValueError) as error:
        raise InputError(f"The Materials Project gave no structure for {material_id}: {error}") from error
    if structure is None:
        raise InputError(f"The Materials Project has no structure for {material_id}; check the id.")
    return structure
