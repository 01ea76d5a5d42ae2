"""Relaxation with an ML potential (or any ASE calculator) and an ASE optimiser, in a fixed cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.defects.host import content_hash
from definet_flows.engines.potentials import load_potential, potential_version
from definet_flows.engines.relaxation import FloatArray, Relaxation
from definet_flows.engines.starts import pristine_positions, start_of, with_reference
from definet_flows.engines.stepping import OptimizerSettings, atoms_of, descend
from definet_flows.errors import InputError

_HOST_THRESHOLD_SHARE = 0.1
"""The pristine cell is relaxed this much tighter than the configurations, so that it adds no force of its own."""

_EXECUTION = {"threads", "device"}


class ForceFieldEngine(OptimizerSettings):
    """Settings of the force-field engine; `relax` does the work.

    Examples
    --------
    >>> configuration = next(enumerate_configurations(Host.from_preset("hBN", supercell=(3, 3, 1)), "C_B"))
    >>> outcome = ForceFieldEngine().relax(configuration, configuration.host.positions)
    >>> outcome.converged, outcome.max_force < 0.01
    (True, True)
    """

    name: Literal["forcefield"] = Field(default="forcefield", description="Which engine these settings are for")
    potential: str = Field(
        default="CHGNet", description="CHGNet, 7net-0, 7net-l3i5, or the import path of an ASE calculator"
    )
    potential_arguments: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the calculator")
    threads: int = Field(default=1, ge=1, description="Threads per relaxation; does not change the result")
    device: str = Field(default="cpu", description="Where the potential runs; does not change the result")

    @property
    def physics(self) -> dict[str, Any]:
        """Settings that change the result."""
        return self.model_dump(mode="json", exclude=_EXECUTION)

    @property
    def physics_hash(self) -> str:
        """Content hash of `physics`, 16 hexadecimal digits."""
        return content_hash(self.physics)

    @property
    def cores(self) -> int:
        """Processor cores that one relaxation holds."""
        return self.threads

    @property
    def execution(self) -> dict[str, Any]:
        """Settings that change only where and how fast it runs."""
        return self.model_dump(mode="json", include=_EXECUTION)

    def in_campaign(self, _directory: Path, _host: Host) -> Self:
        """The engine itself: it leaves no files."""
        return self

    def relaxed_host(self, host: Host) -> Host:
        """The host with this potential's own pristine positions as its reference; its cell stays.

        The unit cell is relaxed, and the displacements averaged over its symmetry so that rounding breaks none of it. A host
        that has this engine's reference already, or settings without ``relax_host``, come back unchanged.

        Raises
        ------
        DefinetFlowsError
            If the pristine cell does not converge.
        """
        if not self.relax_host or host.reference_hash == self.physics_hash:
            return host
        unit = host.with_supercell((1, 1, 1))
        tight = self.model_copy(update={"force_threshold": self.force_threshold * _HOST_THRESHOLD_SHARE, "rattle": 0.0})
        outcome = tight.relax_pristine(unit)
        moved = pristine_positions(unit, outcome, self.potential) - unit.nominal_positions
        return with_reference(host, moved, f"{self.name}:{self.potential}", self.physics_hash, outcome)

    def relax_pristine(self, host: Host) -> Relaxation:
        """Relax the pristine supercell, the energy reference."""
        return self.relax(DefectConfiguration(host, ()))

    def relax(
        self, configuration: DefectConfiguration, start_positions: FloatArray | None = None, charge: int = 0
    ) -> Relaxation:
        """Relax the atoms of a configuration in its fixed cell.

        Parameters
        ----------
        configuration
            What to relax.
        start_positions
            [n_sites, 3] Å in host site order; by default the unrelaxed start.
        charge
            0: a force field knows no electrons.

        Returns
        -------
        Relaxation
            Also where the run failed: a calculator's error becomes its ``error``.

        Raises
        ------
        InputError
            If the cell is charged.
        """
        if charge:
            raise InputError(f"A force field knows no charge, and {charge:+d} was asked for; relax it with VASP.")
        calculator = load_potential(self.potential, self.potential_arguments, self.device)
        atoms, sites = atoms_of(configuration, start_of(configuration, start_positions, self.rattle))
        descent = descend(atoms, calculator, self, self.potential)
        version = potential_version(self.potential)
        return descent.relaxation(configuration.host, sites, self.force_threshold, self.threads, version)
