"""Coordinates in little room: displacements from the pristine sites, quantised, each structure stored against the one before."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from definet_flows.defects import VACANCY, Host
from definet_flows.defects.distances import minimum_image
from definet_flows.records.documents import ConfigurationSummary, Sites

QUANTUM = 0.001
"""Å; what the page resolves, a tenth of what an arrow of visible length is."""

_LARGEST = 2**15 - 1
Quanta = npt.NDArray[np.int16]


def displacements(positions: Sites, host: Host, record: ConfigurationSummary) -> Quanta:
    """Displacement of every site from its pristine place.

    Parameters
    ----------
    positions
        [n_sites, 3] Å in host site order, in any periodic image.
    host
        The pristine supercell.
    record
        Says which sites are vacant; these do not move.

    Returns
    -------
    array
        [n_sites, 3] in units of `QUANTUM`; beyond 32 Å, which no relaxation reaches, it is cut.
    """
    moved = minimum_image(np.asarray(positions) - host.positions, host.lattice)  # [n_sites, 3]
    moved[[site for site, species in record.defects if species == VACANCY]] = 0.0
    return np.clip(np.rint(moved / QUANTUM), -_LARGEST, _LARGEST).astype(np.int16)


def packed_coordinates(configurations: Iterable[list[Quanta]]) -> str:
    """Structures of several configurations as text.

    Most atoms hardly move, and the structures of one configuration are alike. So each is stored as its difference from
    the one before, signs are folded in (0, -1, 1, -2, ... become 0, 1, 2, 3, ...), and the low bytes stand before the
    nearly empty high ones: this leaves gzip little to write.

    Parameters
    ----------
    configurations
        Structures of each, [n_sites, 3] in units of `QUANTUM`.
    """
    differences = [
        after - before
        for structures in (np.asarray(one, dtype=np.int32) for one in configurations if one)
        for before, after in zip([np.zeros_like(structures[0]), *structures], structures, strict=False)
    ]
    if not differences:
        return packed(b"")
    values = np.concatenate([one.ravel() for one in differences])
    folded = np.where(values < 0, -2 * values - 1, 2 * values).astype("<u4")
    planes = folded.view(np.uint8).reshape(-1, 4)[:, :3].T  # [3, n_values]: low, middle, high byte
    return packed(planes.tobytes())


def packed(content: bytes) -> str:
    """Bytes as the text of a gzip stream, the same for the same bytes; no character of it means anything to HTML."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")
