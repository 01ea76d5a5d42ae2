"""What a prediction must satisfy before a relaxation engine starts from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from pydantic import BaseModel, ConfigDict, Field

from definet_flows.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from definet_flows.defects import DefectConfiguration
    from definet_flows.definet.card import ModelCard

_RULES_VERSION = 2  # of the rules below: raise it when a rule changes, so that old verdicts are told apart


class GuardSettings(BaseModel):
    """How far a prediction may go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_distance_fraction: float = Field(
        default=0.55,
        ge=0,
        lt=1,
        description="Smallest distance of two atoms as a fraction of the sum of covalent radii",
    )
    displacement_factor: float = Field(
        default=1.5, gt=0, description="Largest displacement as a multiple of the largest one in the training labels"
    )

    other_hosts: bool = Field(
        default=False, description="Also use predictions for host crystals that the checkpoint was not trained on"
    )

    @property
    def hash(self) -> str:
        """16 hexadecimal digits over the settings and the version of the rules."""
        content = f"guard-{_RULES_VERSION} {self.model_dump_json()}"
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class GuardVerdict:
    """Whether a prediction may be used, and if not, why not.

    Attributes
    ----------
    passed
        True if there are no reasons.
    reasons
        One sentence for each rule broken.
    max_displacement
        Å, largest displacement of a real atom; None where there is no finite prediction.
    """

    passed: bool
    reasons: tuple[str, ...]
    max_displacement: float | None

    @classmethod
    def of(cls, reasons: list[str], max_displacement: float | None) -> GuardVerdict:
        """Return the verdict that these reasons make."""
        return cls(not reasons, tuple(reasons), max_displacement)


class Guard:
    """Checks predictions of one checkpoint.

    Parameters
    ----------
    settings
        The limits, in units of what the card says.
    card
        Gives the known elements and crystals, and the largest trained displacement.
    """

    def __init__(self, settings: GuardSettings, card: ModelCard) -> None:
        self.settings = settings
        self.card = card

    def check(self, configuration: DefectConfiguration, positions: NDArray[np.float64]) -> GuardVerdict:
        """Judge predicted positions.

        Parameters
        ----------
        configuration
            What was predicted.
        positions
            [n_sites, 3] Å, placeholders included (and ignored).

        Raises
        ------
        InputError
            ``positions`` has another shape.
        """
        positions = np.asarray(positions, dtype=np.float64)
        if positions.shape != (configuration.host.n_sites, 3):
            raise InputError(f"Positions must be [{configuration.host.n_sites}, 3], not {list(positions.shape)}.")
        reasons = self.unfamiliar(configuration)
        occupied = configuration.occupied
        if not np.isfinite(positions[occupied]).all():
            return GuardVerdict.of([*reasons, "the predicted coordinates are not finite"], None)
        displacements = np.linalg.norm((positions - configuration.host.positions)[occupied], axis=1)
        largest = float(displacements.max(initial=0.0))
        return GuardVerdict.of(reasons + self._too_far(largest) + self._too_close(configuration, positions), largest)

    def unfamiliar(self, configuration: DefectConfiguration) -> list[str]:
        """Return a reason for the elements and one for the host, where training met none such."""
        crystal, known = configuration.host.crystal, self.card.crystals
        reasons = self.unknown_elements(configuration)
        # A card that names no crystal is that of weights from elsewhere, of which nothing is known.
        if known and crystal not in known and not self.settings.other_hosts:
            reasons.append(
                f"checkpoint {self.card.name} was not trained on the host {crystal} (it knows {', '.join(known)})"
            )
        return reasons

    def unknown_elements(self, configuration: DefectConfiguration) -> list[str]:
        """Return a reason if the network was not trained on an element it would see, placeholders included."""
        symbols = {chemical_symbols[number] for number in configuration.atomic_numbers}
        unknown = sorted(symbols - set(self.card.elements))
        if not unknown:
            return []
        known = ", ".join(self.card.elements)
        return [f"checkpoint {self.card.name} was not trained on {', '.join(unknown)} (it knows {known})"]

    def _too_far(self, largest: float) -> list[str]:
        limit = self.settings.displacement_factor * self.card.max_displacement_trained
        if largest <= limit:
            return []
        return [
            f"an atom moves {largest:.3f} Å, more than {limit:.3f} Å, the limit for what the checkpoint was trained on"
        ]

    def _too_close(self, configuration: DefectConfiguration, positions: NDArray[np.float64]) -> list[str]:
        """Compare every pair of real atoms, periodic images included, with its own limit."""
        from vesin import NeighborList  # brings torch, which whoever only reads the settings does without

        sites = np.flatnonzero(configuration.occupied)
        numbers = configuration.atomic_numbers[sites]
        limits = self.settings.min_distance_fraction * covalent_radii[numbers]
        if limits.max(initial=0.0) <= 0:
            return []
        search = NeighborList(cutoff=2 * float(limits.max()), full_list=False)
        i, j, distances = search.compute(positions[sites], configuration.host.lattice, periodic=True, quantities="ijd")
        excess = distances - limits[i] - limits[j]
        if not len(excess) or excess.min() >= 0:
            return []
        worst = int(excess.argmin())
        pair = f"{_site_name(sites[i[worst]], numbers[i[worst]])} and {_site_name(sites[j[worst]], numbers[j[worst]])}"
        limit = limits[i[worst]] + limits[j[worst]]
        return [f"{pair} come within {distances[worst]:.3f} Å of each other, closer than {limit:.3f} Å"]


def _site_name(site: int, atomic_number: int) -> str:
    return f"{chemical_symbols[atomic_number]} at site {site}"
