"""Label sets: what an engine's relaxations teach, one compact file per host supercell.

A label is the displacement of every site from the pristine to the relaxed position, unwrapped because engines never wrap, in
host site order, with the mean over real atoms removed and zero at vacancy placeholders.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from pymatgen.core import Element
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from definet_flows.defects import VACANCY, DefectConfiguration, Host
from definet_flows.defects.host import content_hash
from definet_flows.errors import InputError

SCHEMA_VERSION = 1

SUFFIX = ".safetensors"

_TENSORS = ("displacements", "defect_sites", "defect_species")
_FORCE_CONSTANTS = "force_constants"

Density = Literal["low", "high"]
"""Section of a data set: a few defects each, or random placements at a set concentration."""

Share = Literal["training", "validation", "test"]

SHARES: tuple[Share, ...] = get_args(Share)

_NO_DEFECT = -1
"""Site number that pads the table of changed sites."""


class LabelError(InputError):
    """Labels that cannot be read or do not belong together."""


@dataclass(frozen=True)
class LabelSet:
    """Relaxed displacements of configurations of one host.

    Parameters
    ----------
    host
        With the reference positions of the engine that made the labels.
    configurations
        What was relaxed.
    displacements
        float32 [n_labels, n_sites, 3] Å from the host's positions.
    teacher
        Engine settings that change the labels.
    force_constants
        float32 [n_unit_sites, 3, n_sites, 3] eV/Å² of the pristine host under the same teacher (`pristine_hessian`), where they
        were computed; they let training weigh an error by the force it makes.
    density
        Section of the data set, where it has sections.
    given_shares
        Share of each label in the split that the data set came with, where it came with one.
    """

    host: Host
    configurations: tuple[DefectConfiguration, ...]
    displacements: npt.NDArray[np.float32]
    teacher: dict[str, Any]
    force_constants: npt.NDArray[np.float32] | None = None
    density: Density | None = None
    given_shares: tuple[Share, ...] | None = None

    def __len__(self) -> int:
        return len(self.configurations)

    @classmethod
    def of(
        cls,
        relaxed: Iterable[tuple[DefectConfiguration, npt.ArrayLike]],
        teacher: dict[str, Any],
    ) -> LabelSet:
        """Labels from relaxed positions.

        Parameters
        ----------
        relaxed
            Pairs (configuration, relaxed positions [n_sites, 3] Å), all of one host.
        teacher
            Engine settings that change the labels.

        Raises
        ------
        LabelError
            If there are none, or they belong to several hosts.
        """
        pairs = list(relaxed)
        if not pairs:
            raise LabelError("There is no relaxed configuration to learn from; run a campaign first.")
        host = pairs[0][0].host
        if any(configuration.host != host for configuration, _ in pairs):
            raise LabelError("The labels belong to several hosts; make one label set per host supercell.")
        displacements = np.stack(
            [centred_displacements(configuration, positions) for configuration, positions in pairs]
        )
        configurations = tuple(configuration for configuration, _ in pairs)
        return cls(host, configurations, displacements.astype(np.float32), teacher)

    @property
    def content_hash(self) -> str:
        """Hash of what training learns from: ids, teacher, displacements (to 1e-5 Å), force constants (to 1e-3 eV/Å²)."""
        labels = np.round(self.displacements.astype(np.float64), 5).tolist()
        constants = None if self.force_constants is None else np.round(self.force_constants.astype(float), 3).tolist()
        ids = [configuration.id for configuration in self.configurations]
        return content_hash({"ids": ids, "labels": labels, "teacher": self.teacher, "force_constants": constants})

    def subset(self, indices: Sequence[int]) -> LabelSet:
        """Some of the labels, by position."""
        return replace(
            self,
            configurations=tuple(self.configurations[i] for i in indices),
            displacements=self.displacements[list(indices)],
            given_shares=None if self.given_shares is None else tuple(self.given_shares[i] for i in indices),
        )

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file."""
        width = max(configuration.n_defects for configuration in self.configurations)
        sites = np.full((len(self), width), _NO_DEFECT, dtype=np.int32)
        species = np.zeros((len(self), width), dtype=np.uint8)
        for row, configuration in enumerate(self.configurations):
            for column, (site, symbol) in enumerate(configuration.defects):
                sites[row, column] = site
                species[row, column] = 0 if symbol == VACANCY else Element(symbol).Z
        optional = {"density": self.density, "given_shares": self.given_shares}
        header = {"schema_version": SCHEMA_VERSION, "host": self.host.to_dict(), "teacher": self.teacher}
        header |= {key: value for key, value in optional.items() if value is not None}
        tensors: dict[str, npt.NDArray[Any]] = dict(zip(_TENSORS, (self.displacements, sites, species), strict=True))
        if self.force_constants is not None:
            tensors[_FORCE_CONSTANTS] = self.force_constants
        # Its own `save_file` lets nobody but the owner read, whatever the umask.
        Path(path).write_bytes(save(tensors, metadata={"definet_flows": json.dumps(header)}))
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> LabelSet:
        """Read a file written by `save`.

        Raises
        ------
        LabelError
            If the file is missing, damaged, or not a label set of this schema.
        """
        file = Path(path)
        if not file.is_file():
            raise LabelError(f"There is no label set {file}; check the path.")
        try:
            with safe_open(str(file), framework="np") as stored:
                header = json.loads((stored.metadata() or {})["definet_flows"])
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  not a mapping
                displacements, sites, species = (tensors[name] for name in _TENSORS)
        except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
            raise LabelError(
                f"{file} is not a label set or is damaged ({type(error).__name__}); make it anew."
            ) from error
        if header.get("schema_version") != SCHEMA_VERSION:
            raise LabelError(
                f"{file} has label schema {header.get('schema_version')}, this version reads {SCHEMA_VERSION}; make it anew."
            )
        host = Host.from_dict(header.get("host", {}))
        fitting = displacements.shape == (len(sites), host.n_sites, 3) and sites.shape == species.shape
        if not (fitting and len(sites) and np.isfinite(displacements).all() and sites.max() < host.n_sites):
            raise LabelError(f"The labels in {file} do not fit their host {host.name}; make it anew.")
        density, shares = header.get("density"), header.get("given_shares")
        if density not in {None, *get_args(Density)} or (
            shares and not (len(shares) == len(sites) and set(shares) <= set(SHARES))
        ):
            raise LabelError(f"The density or the shares in {file} are none that this version knows; make it anew.")
        return cls(
            host,
            tuple(DefectConfiguration(host, _changed_sites(*row)) for row in zip(sites, species, strict=True)),
            displacements,
            header.get("teacher", {}),
            tensors.get(_FORCE_CONSTANTS),
            density,
            tuple(shares) if shares else None,
        )


def centred_displacements(configuration: DefectConfiguration, positions: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Displacements [n_sites, 3] Å from the pristine sites, mean over real atoms removed, zero at placeholders.

    Raises
    ------
    LabelError
        If the positions do not fit the host or are not finite.
    """
    moved = np.asarray(positions, dtype=float)
    if moved.shape != (configuration.host.n_sites, 3) or not np.isfinite(moved).all():
        raise LabelError(
            f"The relaxed positions of {configuration} are not [{configuration.host.n_sites}, 3] finite numbers."
        )
    displacements: npt.NDArray[np.float64] = moved - configuration.host.positions
    occupied = configuration.occupied
    displacements = displacements - displacements[occupied].mean(axis=0)
    displacements[~occupied] = 0.0
    return displacements


def _changed_sites(sites: npt.NDArray[np.int32], species: npt.NDArray[np.uint8]) -> tuple[tuple[int, str], ...]:
    return tuple(
        (int(site), Element.from_Z(int(number)).symbol if number else VACANCY)
        for site, number in zip(sites, species, strict=True)
        if site != _NO_DEFECT
    )
