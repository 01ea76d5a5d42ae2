"""Pairs of an unrelaxed and a relaxed structure, gathered into one label set of a host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pymatgen.core import Structure

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.defects.equivalence import canonical_images
from definet_flows.defects.host import FloatArray
from definet_flows.defects.matching import match_structure
from definet_flows.defects.pairing import relaxation_displacements
from definet_flows.errors import InputError
from definet_flows.training.datasets.bad_samples import BadSamples
from definet_flows.training.datasets.labels import Density, LabelError, LabelSet, Share
from definet_flows.training.datasets.pool import same_structure


@dataclass(frozen=True)
class _Sample:
    name: str
    configuration: DefectConfiguration
    displacements: FloatArray
    share: Share | None


@dataclass
class SampleCollector:
    """Labels of one host from pairs of structures, each canonical configuration once.

    Parameters
    ----------
    host
        The pristine supercell of all samples.
    bad
        Notes samples that cannot be used.
    """

    host: Host
    bad: BadSamples
    _found: dict[str, _Sample] = field(default_factory=dict)

    def add(self, name: str, read: Callable[[], tuple[Structure, Structure]], share: Share | None = None) -> None:
        """Add a sample, or note what is wrong with it.

        Parameters
        ----------
        name
            What messages call it, such as its file.
        read
            Gives the unrelaxed and the relaxed structure.
        share
            Share of the split that the data set came with.

        Raises
        ------
        LabelError
            If it cannot be used and bad samples are not to be left out.
        """
        try:
            unrelaxed, relaxed = read()
            configuration, displacements = self._label(unrelaxed, relaxed)
            known = self._found.get(configuration.id)
            if known is None:
                self._found[configuration.id] = _Sample(name, configuration, displacements, share)
            elif not same_structure(configuration, known.displacements, displacements):
                raise LabelError(
                    f"It is the configuration of {known.name} with another relaxed structure; keep one of them."
                )
        except InputError as error:
            self.bad.add(LabelError(f"{name}: {error}"))

    def label_set(self, teacher: dict[str, Any], density: Density | None = None) -> LabelSet | None:
        """The labels found, None where there are none."""
        samples = list(self._found.values())
        if not samples:
            return None
        positions = ((sample.configuration, self.host.positions + sample.displacements) for sample in samples)
        shares = tuple(sample.share for sample in samples if sample.share)
        given = shares if len(shares) == len(samples) else None
        return replace(LabelSet.of(positions, teacher), density=density, given_shares=given)

    def _label(self, unrelaxed: Structure, relaxed: Structure) -> tuple[DefectConfiguration, FloatArray]:
        """Canonical configuration and displacements [n_sites, 3] Å, mean over real atoms removed."""
        for kind, structure in (("unrelaxed", unrelaxed), ("relaxed", relaxed)):
            if not (np.isfinite(structure.frac_coords).all() and np.isfinite(structure.lattice.matrix).all()):
                raise LabelError(f"The {kind} structure has coordinates that are not finite numbers.")
        match = match_structure(self.host, unrelaxed)
        configuration, images = canonical_images(match.placement, relaxation_displacements(match, relaxed))
        displacements = images[0] - images[0][configuration.occupied].mean(axis=0)
        displacements[~configuration.occupied] = 0
        return configuration, displacements
