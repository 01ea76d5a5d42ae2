"""Vector fields on a placement carried over to an equivalent one: sites permuted and vectors rotated together."""

from __future__ import annotations

import numpy as np

from definet_flows.defects.configuration import DefectConfiguration, smallest_image
from definet_flows.defects.host import FloatArray


def canonical_images(placement: DefectConfiguration, vectors: FloatArray) -> tuple[DefectConfiguration, FloatArray]:
    """The canonical configuration of a placement, and vectors on its sites as that configuration has them.

    Parameters
    ----------
    placement
        Changed sites as some file has them, canonical or not.
    vectors
        [n_sites, 3] on the placement's sites, such as displacements in Å.

    Returns
    -------
    DefectConfiguration
        The canonical image.
    ndarray
        [n_images, n_sites, 3], one for each symmetry operation that makes the canonical image. They differ only where the
        vectors have less symmetry than the placement.
    """
    host = placement.host
    defects, operations = smallest_image(host, dict(placement.defects))
    images = np.empty((len(operations), *vectors.shape))
    for image, operation in zip(images, operations, strict=True):
        image[host.permutations[operation]] = vectors @ host.permutation_rotations[operation]
    return DefectConfiguration(host, defects), images
