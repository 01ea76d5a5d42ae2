"""What a label set holds, in numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from definet_flows.training.datasets.labels import SHARES, LabelSet

QUANTILES = {"median": 0.5, "90 %": 0.9, "99 %": 0.99, "largest": 1.0}


def summary(labels: LabelSet) -> dict[str, Any]:
    """Host, supercell, density, teacher and counts of a label set, and quantiles of the displacement of its real atoms in Å."""
    lengths = atom_displacements(labels)
    return {
        "host": labels.host.name,
        "supercell": supercell_name(labels),
        "density": labels.density,
        "teacher": labels.teacher.get("potential", labels.teacher.get("name")),
        "labels": len(labels),
        "displacements_angstrom": {name: float(np.quantile(lengths, q)) for name, q in QUANTILES.items()},
        "given_split": labels.given_shares and {share: labels.given_shares.count(share) for share in SHARES},
        "force_constants": labels.force_constants is not None,
        "types": dict(Counter(defect_types(labels)).most_common()),
        "content_hash": labels.content_hash,
    }


def atom_displacements(labels: LabelSet) -> npt.NDArray[np.float64]:
    """[n_atoms] Å, how far every real atom of every label moves; placeholders of vacancies are none."""
    lengths: npt.NDArray[np.float64] = np.linalg.norm(labels.displacements, axis=-1)
    return lengths[np.stack([configuration.occupied for configuration in labels.configurations])]


def defect_types(labels: LabelSet) -> list[str]:
    """What tables group each label by: its defects at low density, its concentration where every placement is another type."""
    if labels.density == "high":
        return [f"{configuration.concentration:.1%} defects" for configuration in labels.configurations]
    return [configuration.label for configuration in labels.configurations]


def supercell_name(labels: LabelSet) -> str:
    """Such as ``8x8x1``; a hash where the supercell is not diagonal."""
    matrix = np.array(labels.host.supercell_matrix)
    if np.array_equal(matrix, np.diag(matrix.diagonal())):
        return "x".join(str(n) for n in matrix.diagonal())
    return labels.host.fingerprint[:8]
