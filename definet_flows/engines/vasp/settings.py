"""Settings of the VASP engine, as a campaign file holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from definet_flows.defects.host import content_hash
from definet_flows.engines.moments import Scheme
from definet_flows.engines.vasp.incar import EXECUTION, checked_settings, departures, relaxation_incar

_EXECUTION = {
    "vasp_cmd",
    "vasp_gamma_cmd",
    "cores",
    "threads",
    "walltime",
    "walltime_buffer",
    "max_errors",
    "poll_seconds",
    "monitor_seconds",
    "frozen_seconds",
    "directory",
    "deadline",
}
_FOLDED = {"user_incar_settings", "max_steps", "force_threshold", "vdw"}
"""Fields whose effect `physics` states as INCAR settings."""


class SinglePoint(BaseModel):
    """An energy at another level of theory, at the geometry where a relaxation converged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    functional: Literal["HSE06", "r2SCAN", "PBE"] = Field(description="HSE06, r2SCAN, or PBE with other settings")
    user_incar_settings: dict[str, Any] = Field(default_factory=dict, description="INCAR settings of this step")

    @field_validator("user_incar_settings")
    @classmethod
    def _are_ours_to_set(cls, value: dict[str, Any]) -> dict[str, Any]:
        return checked_settings(value)


class VaspSettings(BaseModel):
    """Settings of the VASP engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["vasp"] = Field(default="vasp", description="Which engine these settings are for")
    force_threshold: float = Field(default=0.01, gt=0, description="Converged when every force is below this, eV/Å")
    max_steps: int = Field(default=300, ge=2, description="Ionic steps after which a run is unconverged (NSW)")
    user_incar_settings: dict[str, Any] = Field(
        default_factory=dict, description="INCAR settings that replace the defaults; null leaves a key out"
    )
    kpoints: tuple[int, int, int] = Field(default=(1, 1, 1), description="Γ-centred grid of the supercell")
    potcar_functional: Literal["PBE", "PBE_52", "PBE_54", "PBE_64"] = Field(
        default="PBE_54", description="Set of POTCARs, by pymatgen's name"
    )
    potcars: dict[str, str] = Field(default_factory=dict, description="POTCAR by element, such as {Mo: Mo_sv}")
    moments: tuple[Scheme, ...] = Field(
        default=("high_spin",), min_length=1, description="Initial moments; of several, the lowest in energy is relaxed"
    )
    vdw: Literal["D3", "D3BJ"] | None = Field(default=None, description="Dispersion correction DFT-D3")
    dipole: bool = Field(default=False, description="Dipole correction along c, of neutral layers")
    single_point: SinglePoint | None = Field(default=None, description="An energy at the converged geometry")
    rattle: float = Field(
        default=0.0, ge=0, description="Å, standard deviation of a random displacement of every start, seeded by the id"
    )
    relax_host: bool = Field(default=True, description="Relax the pristine supercell first")
    vasp_cmd: str | None = Field(default=None, description="Starts VASP; by default atomate2's VASP_CMD")
    vasp_gamma_cmd: str | None = Field(default=None, description="Starts the Γ-only VASP; by default atomate2's")
    cores: int = Field(default=1, ge=1, description="Processor cores that the command uses")
    threads: int = Field(default=1, ge=1, description="OpenMP threads of each process of VASP")
    walltime: int | None = Field(default=None, gt=0, description="s that the queue gives; runs stop before it is over")
    walltime_buffer: int = Field(default=600, ge=0, description="s before the end of the wall time at which runs stop")
    max_errors: int = Field(default=5, ge=1, description="Corrections by custodian after which a run has failed")
    poll_seconds: float = Field(default=10.0, gt=0, description="How often it is looked whether VASP has ended, s")
    monitor_seconds: float = Field(
        default=300.0, gt=0, description="How often the files of a running VASP are checked, s"
    )
    frozen_seconds: float = Field(default=21600, gt=0, description="Without output for so long, VASP is frozen, s")
    directory: Path | None = Field(default=None, description="Where runs are; by default vasp/ of the campaign")
    deadline: float | None = Field(
        default=None, description="End of the wall time, seconds since 1970; set by a campaign"
    )

    @field_validator("user_incar_settings")
    @classmethod
    def _are_ours_to_set(cls, value: dict[str, Any]) -> dict[str, Any]:
        return checked_settings(value)

    @field_validator("kpoints")
    @classmethod
    def _is_grid(cls, value: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(value) < 1:
            raise ValueError("write three positive whole numbers, such as [2, 2, 1]")
        return value

    @property
    def incar(self) -> dict[str, Any]:
        """INCAR settings that all runs share and that change the result."""
        user = {key: value for key, value in self.user_incar_settings.items() if key not in EXECUTION}
        incar = relaxation_incar(user, self.max_steps, self.force_threshold, self.vdw)
        return {key: value for key, value in incar.items() if key not in EXECUTION}

    @property
    def physics(self) -> dict[str, Any]:
        """Settings that change the result: the whole INCAR, and where it contradicts the paper."""
        fields = self.model_dump(mode="json", exclude=_EXECUTION | _FOLDED)
        return fields | {"incar": self.incar, "departures": departures(self.incar, self.kpoints)}

    @property
    def physics_hash(self) -> str:
        """Content hash of `physics`, 16 hexadecimal digits."""
        return content_hash(self.physics)

    @property
    def execution(self) -> dict[str, Any]:
        """Settings that change only where and how fast it runs."""
        chosen = {key: value for key, value in self.user_incar_settings.items() if key in EXECUTION}
        return self.model_dump(mode="json", include=_EXECUTION) | {"incar": chosen}
