"""The pristine supercell that defects are placed in, held once."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pymatgen.core import Lattice, Structure

from definet_flows.defects.presets import host_preset
from definet_flows.defects.reading import checked_unit_cell, read_structure, structure_from_mp
from definet_flows.defects.supercell import CellGrid, IntArray, SupercellMatrix, reduction, supercell_matrix
from definet_flows.defects.symmetry import UnitCellOperation, site_permutations, unit_cell_operations
from definet_flows.defects.vacuum import (
    RECOMMENDED_VACUUM,
    gap_along,
    infer_dimensionality,
    unwrapped_along_c,
    with_vacuum,
)
from definet_flows.errors import InputError

logger = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]


def content_hash(content: Any, length: int = 16) -> str:
    """SHA-256 of JSON-able content, shortened to `length` hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:length]


@dataclass(frozen=True)
class HostReference:
    """Where an engine puts the atoms of the pristine unit cell, as displacements from the nominal structure.

    Parameters
    ----------
    engine
        Name of the engine.
    physics_hash
        Hash of the engine settings that change the result.
    displacements
        [n_unit_sites][3] Å.
    max_force_before, max_force_after
        Largest force on an atom before and after, eV/Å.
    """

    engine: str
    physics_hash: str
    displacements: tuple[tuple[float, float, float], ...]
    max_force_before: float
    max_force_after: float


@dataclass(frozen=True, eq=False)
class Host:
    """A pristine supercell with its symmetry as site permutations.

    Build one with `from_preset`, `from_file`, `from_structure` or `from_mp_id`. Site (k, cell) of the supercell, the copy of
    unit-cell site k in unit cell `cell`, has index ``k * n_cells + cell``; this order never changes.

    Parameters
    ----------
    name
        What reports call it.
    unit_cell
        Nominal unit cell.
    supercell_matrix
        Rows are the supercell's lattice vectors in units of the unit cell's.
    dimensionality
        2 for a layer with vacuum along c, else 3.
    reference
        The engine's own positions of the pristine sites, once an engine has relaxed them.
    """

    name: str
    unit_cell: Structure = field(repr=False)
    supercell_matrix: SupercellMatrix
    dimensionality: int
    reference: HostReference | None = field(default=None, repr=False)

    @classmethod
    def from_preset(cls, name: str, supercell: Any = None, vacuum: float | None = None) -> Host:
        """One of the database's hosts.

        Parameters
        ----------
        name
            ``MoS2``, ``WSe2``, ``hBN``, ``GaSe``, ``InSe`` or ``BP``.
        supercell
            Three integers or a 3×3 integer matrix; by default the database's own.
        vacuum
            Å; the cell's own vacuum is widened to at least this.

        Examples
        --------
        >>> host = Host.from_preset("MoS2", supercell=(4, 4, 1), vacuum=15)
        >>> len(host.species), len(host.permutations)
        (48, 192)
        """
        canonical, preset = host_preset(name)
        return cls.from_structure(
            preset.unit_cell(),
            preset.supercell if supercell is None else supercell,
            canonical,
            dimensionality=2,
            vacuum=vacuum,
        )

    @classmethod
    def from_file(
        cls, path: str | Path, supercell: Any, dimensionality: int | None = None, vacuum: float | None = None
    ) -> Host:
        """A unit cell read from any file pymatgen reads (CIF, POSCAR, ...)."""
        return cls.from_structure(read_structure(path), supercell, Path(path).stem, dimensionality, vacuum)

    @classmethod
    def from_mp_id(
        cls, material_id: str, supercell: Any, dimensionality: int | None = None, vacuum: float | None = None
    ) -> Host:
        """A unit cell from the Materials Project (needs the package ``mp-api`` and an API key)."""
        return cls.from_structure(structure_from_mp(material_id), supercell, material_id, dimensionality, vacuum)

    @classmethod
    def from_structure(
        cls,
        structure: Structure,
        supercell: Any,
        name: str | None = None,
        dimensionality: int | None = None,
        vacuum: float | None = None,
    ) -> Host:
        """A host from a pymatgen unit cell.

        Raises
        ------
        InputError
            If the cell is empty, disordered or has overlapping atoms, or the supercell is not a regular integer matrix.
        """
        unit_cell = checked_unit_cell(structure)
        dimensions = dimensionality or infer_dimensionality(unit_cell)
        if dimensions not in {2, 3}:
            raise InputError(f"Dimensionality {dimensions} is neither 2 (layer, vacuum along c) nor 3 (bulk).")
        if dimensions == 2:
            # A layer cut by the cell's edge would be another cluster, and another host, than the same layer in one piece.
            unit_cell = unwrapped_along_c(unit_cell)
            unit_cell = unit_cell if vacuum is None else with_vacuum(unit_cell, vacuum)
        host = cls(name or unit_cell.composition.reduced_formula, unit_cell, supercell_matrix(supercell), dimensions)
        if host.vacuum_warning:
            logger.warning(host.vacuum_warning)
        return host

    @property
    def vacuum(self) -> float | None:
        """Empty space along c in Å, None for a bulk host."""
        return gap_along(self.unit_cell, 2) if self.dimensionality == 2 else None

    @property
    def vacuum_warning(self) -> str | None:
        """What to do where the vacuum is under the recommended 15 Å, else None."""
        if self.vacuum is None or self.vacuum >= RECOMMENDED_VACUUM - 1e-6:
            return None
        return (
            f"{self.name} has {self.vacuum:.1f} Å of vacuum, under the recommended {RECOMMENDED_VACUUM:.0f} Å; "
            f"vacuum={RECOMMENDED_VACUUM:.0f} (--vacuum {RECOMMENDED_VACUUM:.0f}) widens it."
        )

    @cached_property
    def grid(self) -> CellGrid:
        """The unit cells of the supercell."""
        return CellGrid(self.supercell_matrix)

    @property
    def n_cells(self) -> int:
        """Unit cells in the supercell."""
        return self.grid.n_cells

    @property
    def reference_hash(self) -> str:
        """Physics hash of the engine that relaxed the pristine cell; empty where none did."""
        return self.reference.physics_hash if self.reference else ""

    @property
    def n_sites(self) -> int:
        """Sites in the supercell."""
        return len(self.unit_cell) * self.n_cells

    @cached_property
    def lattice(self) -> FloatArray:
        """[3, 3] Å, rows are lattice vectors."""
        return np.array(self.supercell_matrix, dtype=float) @ self.unit_cell.lattice.matrix

    @cached_property
    def compact_supercell(self) -> IntArray:
        """[3, 3] integers: shortest vectors of the same superlattice, however skewed the supercell's own are."""
        return reduction(self.lattice) @ np.array(self.supercell_matrix, dtype=np.int64)

    @cached_property
    def nominal_positions(self) -> FloatArray:
        """[n_sites, 3] Å, sites of the unit cell as given."""
        frac_coords = self.unit_cell.frac_coords[:, None] + self.grid.cells[None]  # [n_unit_sites, n_cells, 3]
        return np.asarray(frac_coords @ self.unit_cell.lattice.matrix, dtype=np.float64).reshape(-1, 3)

    @cached_property
    def positions(self) -> FloatArray:
        """[n_sites, 3] Å, pristine sites: the engine's where it has relaxed the host, else the nominal ones."""
        if self.reference is None:
            return self.nominal_positions
        displacements = np.repeat(np.array(self.reference.displacements), self.n_cells, axis=0)
        return np.asarray(self.nominal_positions + displacements)

    @cached_property
    def species(self) -> tuple[str, ...]:
        """Element symbol of each site."""
        return tuple(site.specie.symbol for site in self.unit_cell for _ in range(self.n_cells))

    @cached_property
    def atomic_numbers(self) -> npt.NDArray[np.int64]:
        """[n_sites] atomic numbers."""
        return np.repeat([site.specie.Z for site in self.unit_cell], self.n_cells).astype(np.int64)

    @property
    def structure(self) -> Structure:
        """The pristine supercell in host site order."""
        return Structure(Lattice(self.lattice), list(self.species), self.positions, coords_are_cartesian=True)

    @cached_property
    def _symmetry(self) -> tuple[tuple[UnitCellOperation, ...], int]:
        return unit_cell_operations(self.unit_cell)

    @property
    def unit_cell_operations(self) -> tuple[UnitCellOperation, ...]:
        """Space-group operations of the unit cell."""
        return self._symmetry[0]

    @property
    def permutations(self) -> npt.NDArray[np.int32]:
        """[n_permutations, n_sites] distinct site permutations by symmetry; entry [g, i] is the image of site i."""
        return self._site_symmetry[0]

    @cached_property
    def permutation_rotations(self) -> FloatArray:
        """[n_permutations, 3, 3] Cartesian rotation of each permutation, acting on rows: vectors at i become v @ R at image i."""
        lattice = self.unit_cell.lattice.matrix
        fractional = np.array([operation.rotation.T for operation in self.unit_cell_operations], dtype=float)
        return np.asarray((np.linalg.inv(lattice) @ fractional @ lattice)[self._site_symmetry[1]])

    @cached_property
    def _site_symmetry(self) -> tuple[npt.NDArray[np.int32], IntArray]:
        return site_permutations(self.unit_cell_operations, self.grid)

    @property
    def crystal(self) -> str:
        """Reduced formula and space group, such as ``MoS2-187``: the same however unit cell, supercell and vacuum are chosen."""
        return f"{self.unit_cell.composition.reduced_formula}-{self._symmetry[1]}"

    @cached_property
    def family(self) -> str:
        """The crystal with the order of the unit cell's sites, on which site indices and cluster ids depend."""
        sites = "".join(site.specie.symbol for site in self.unit_cell)
        return f"{self.crystal}-{sites}"

    @cached_property
    def fingerprint(self) -> str:
        """Content hash of the nominal unit cell and the supercell matrix; an engine's reference does not change it."""
        content = self._content()
        # Six decimals: the same cell written to a file and read back is the same host. Adding zero makes -0.0 the same as 0.0.
        rounded = {key: (np.round(content[key], 6) + 0.0).tolist() for key in ("lattice", "frac_coords")}
        return content_hash(content | rounded)

    def _content(self) -> dict[str, Any]:
        return {
            "lattice": self.unit_cell.lattice.matrix.tolist(),
            "species": [site.specie.symbol for site in self.unit_cell],
            "frac_coords": self.unit_cell.frac_coords.tolist(),
            "supercell_matrix": [list(row) for row in self.supercell_matrix],
            "dimensionality": self.dimensionality,
        }

    def with_reference(self, reference: HostReference) -> Host:
        """The same host with the pristine positions that an engine found."""
        return replace(self, reference=reference)

    def with_supercell(self, supercell: Any) -> Host:
        """The same crystal in another supercell; an engine's reference is kept."""
        return replace(self, supercell_matrix=supercell_matrix(supercell))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able content, read back by `from_dict`."""
        reference = None if self.reference is None else vars(self.reference)
        return {"name": self.name, **self._content(), "reference": reference}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Host:
        """Rebuild a host from `to_dict`.

        Raises
        ------
        InputError
            If a key is missing or an entry is malformed.
        """
        try:
            unit_cell = Structure(Lattice(content["lattice"]), content["species"], content["frac_coords"])
            reference = content.get("reference")
            if reference is not None:
                rows = tuple(tuple(float(x) for x in row) for row in reference["displacements"])
                reference = HostReference(**{**reference, "displacements": rows})
            return cls(
                content["name"],
                unit_cell,
                supercell_matrix(content["supercell_matrix"]),
                content["dimensionality"],
                reference,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"This is not the record of a host ({error!r}); make it anew with Host.to_dict."
            ) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Host) and (self.fingerprint, self.reference) == (other.fingerprint, other.reference)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __getstate__(self) -> dict[str, Any]:
        # Caches (permutations of a large host are tens of MB) are cheaper to rebuild than to send to a worker.
        return {
            name: self.__dict__[name]
            for name in ("name", "unit_cell", "supercell_matrix", "dimensionality", "reference")
        }
