"""Ways to get from an unrelaxed structure to relaxed coordinates, all called alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from definet_flows.defects import VACANCY, DefectConfiguration
from definet_flows.defects.distances import minimum_image
from definet_flows.defects.host import FloatArray, content_hash
from definet_flows.definet.card import Exposure
from definet_flows.definet.checkpoint import load_checkpoint
from definet_flows.definet.guard import Guard, GuardSettings
from definet_flows.definet.prerelaxer import Prerelaxer
from definet_flows.engines import ForceFieldEngine
from definet_flows.engines.potentials import load_potential, potential_version


@dataclass(frozen=True)
class Guess:
    """What a method says.

    Parameters
    ----------
    positions
        [n_sites, 3] Å in host site order, or None where the method failed.
    error
        Why it failed, or did not finish.
    evaluations
        Force evaluations it took; None for what computes no forces.
    """

    positions: FloatArray | None
    error: str | None = None
    evaluations: int | None = None


class Method(ABC):
    """One row of the comparison.

    Parameters
    ----------
    name
        In the table.
    identity
        Hash of all that its guesses depend on.
    """

    def __init__(self, name: str, identity: str) -> None:
        self.name = name
        self.identity = identity

    @abstractmethod
    def guess(self, configuration: DefectConfiguration) -> Guess:
        """Coordinates of one structure."""

    def prepare(self, configuration: DefectConfiguration) -> None:  # noqa: B027  most have nothing to prepare
        """Do once what later structures of the same host need no more, such as its graph."""

    def role(self, teachers: Sequence[dict[str, Any]]) -> str:  # noqa: ARG002  most have nothing to do with it
        """What it is to labels made with these engine settings."""
        return ""


class DoNothing(Method):
    """The Dummy model: returns its input."""

    def __init__(self) -> None:
        super().__init__("Dummy", "dummy")

    def guess(self, configuration: DefectConfiguration) -> Guess:
        """The unrelaxed positions."""
        return Guess(configuration.host.positions)


class ScaledBonds(Method):
    """Bonds of substituted atoms, lengthened or shortened as covalent radii say: what a chemist would draw without any model.

    Vacancies have no radius and leave their neighbours where they are.
    """

    NAME = "bonds by covalent radii"
    NEIGHBOURS = 1.15
    """Sites up to so many times the nearest distance away are bonded."""

    def __init__(self) -> None:
        super().__init__(self.NAME, "scaled-bonds")

    def guess(self, configuration: DefectConfiguration) -> Guess:
        """Neighbours moved along their bonds, contributions of several defects added."""
        host = configuration.host
        moved = host.positions.copy()
        for site, species in configuration.defects:
            if species == VACANCY:
                continue
            bonds = minimum_image(host.positions - host.positions[site], host.lattice)  # [n_sites, 3]
            lengths = np.linalg.norm(bonds, axis=1)
            lengths[site] = np.inf
            neighbours = np.flatnonzero(lengths < self.NEIGHBOURS * lengths.min())
            here, before = (covalent_radii[atomic_numbers[one]] for one in (species, host.species[site]))
            theirs = covalent_radii[host.atomic_numbers[neighbours]]
            moved[neighbours] += bonds[neighbours] * ((here + theirs) / (before + theirs) - 1)[:, None]
        return Guess(moved)


class NetworkMethod(Method):
    """A checkpoint, asked for one structure at a time on the CPU.

    Parameters
    ----------
    name
        In the table.
    checkpoint
        Name or folder.
    """

    def __init__(self, name: str, checkpoint: str) -> None:
        self.checkpoint = load_checkpoint(checkpoint)
        super().__init__(name, self.checkpoint.content_hash)
        self._prerelaxer = Prerelaxer(self.checkpoint, device="cpu", guard=None)
        self._guard = Guard(GuardSettings(), self.checkpoint.card)

    def prepare(self, configuration: DefectConfiguration) -> None:
        """Predict once, untimed."""
        self.guess(configuration)

    def exposure(self, configuration: DefectConfiguration) -> Exposure:
        """What training has seen of a structure."""
        return self.checkpoint.card.exposure(configuration)

    def guess(self, configuration: DefectConfiguration) -> Guess:
        """The prediction, no guard but for elements that training never met."""
        if reasons := self._guard.unknown_elements(configuration):
            return Guess(None, reasons[0])
        (prediction,) = self._prerelaxer.predict([configuration])
        return Guess(prediction.positions, "; ".join(prediction.verdict.reasons) or None)


class PotentialMethod(Method):
    """Relaxation with an ML potential from the unrelaxed start.

    Parameters
    ----------
    potential
        Name or import path.
    threshold
        eV/Å, largest force at which it is done.

    Raises
    ------
    InputError
        If the potential cannot be loaded here.
    """

    def __init__(self, potential: str, threshold: float) -> None:
        self.engine = ForceFieldEngine(potential=potential, force_threshold=threshold)
        load_potential(potential, {}, "cpu")  # outside what is timed
        identity = content_hash({"physics": self.engine.physics, "version": potential_version(potential)})
        super().__init__(f"{potential} to {threshold:g} eV/Å", identity)

    def guess(self, configuration: DefectConfiguration) -> Guess:
        """Where the relaxation ended; what did not converge is an error and keeps its last positions."""
        outcome = self.engine.relax(configuration)
        positions = None if outcome.positions is None else np.array(outcome.positions)
        error = outcome.error
        if error is None and not outcome.converged:
            error = f"not converged after {outcome.ionic_steps} force evaluations"
        return Guess(positions, error, outcome.ionic_steps)

    def role(self, teachers: Sequence[dict[str, Any]]) -> str:
        """Whether it made the labels itself."""
        made = [teacher.get("potential") == self.engine.potential for teacher in teachers]
        return "teacher of the labels" if all(made) else "teacher of some labels" if any(made) else ""
