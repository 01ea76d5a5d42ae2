"""Samples that cannot be used: the first one ends the reading, or all are left out and listed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from definet_flows.errors import InputError
from definet_flows.training.datasets.labels import LabelError

logger = logging.getLogger(__name__)


@dataclass
class BadSamples:
    """What was wrong with the samples of a source.

    Parameters
    ----------
    skip
        Leave bad samples out instead of stopping at the first.
    """

    skip: bool = False
    reasons: list[str] = field(default_factory=list)

    def add(self, error: InputError) -> None:
        """Note a bad sample.

        Raises
        ------
        LabelError
            If bad samples are not to be left out.
        """
        if not self.skip:
            raise LabelError(f"{error} With --skip-bad such samples are listed and left out.") from error
        self.reasons.append(str(error))

    def report(self) -> None:
        """Log how many were left out, and each with its reason."""
        if self.reasons:
            logger.warning("%d bad samples left out:\n  %s", len(self.reasons), "\n  ".join(self.reasons))
