"""A campaign: which host, which defects, which network, which engine, and how much of it is measured twice."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, field_validator, model_validator

from definet_flows.defects import Host
from definet_flows.defects.host import content_hash
from definet_flows.engines import EngineSettings, ForceFieldEngine
from definet_flows.flows.resources import Resources
from definet_flows.flows.validation import ValidationSettings
from definet_flows.jobs import ConfigurationSource, ModelSettings
from definet_flows.records.keys import KEY_LENGTH

Row = tuple[int, int, int]
NEUTRAL = (0,)


class HostSettings(BaseModel):
    """Where the pristine supercell comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: str | None = Field(default=None, description="Name of a host of the 2DMD database, such as MoS2")
    file: str | None = Field(
        default=None, description="Unit cell in any format pymatgen reads, relative to the campaign file"
    )
    mp_id: str | None = Field(default=None, description="Materials Project id of the unit cell, such as mp-1265")
    supercell: Row | tuple[Row, Row, Row] | None = Field(
        default=None, description="Three integers, or a 3x3 integer matrix; a preset has a default"
    )
    dimensionality: int | None = Field(
        default=None, ge=2, le=3, description="2 for a layer, 3 for bulk; guessed by default"
    )
    vacuum: float | None = Field(default=None, gt=0, description="Vacuum of a layer is widened to at least this, Å")

    @field_validator("supercell", mode="before")
    @classmethod
    def _is_supercell(cls, value: Any) -> Any:
        rows = value if _has_three(value) and all(map(_has_three, value)) else [value]
        if value is not None and not all(_has_three(row) and all(type(x) is int for x in row) for row in rows):
            raise ValueError("write three whole numbers, such as [4, 4, 1], or a 3x3 matrix of them")
        return value

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        sources = [name for name in ("preset", "file", "mp_id") if getattr(self, name) is not None]
        if len(sources) != 1:
            given = f", not {' and '.join(sources)}" if sources else ""
            raise ValueError(f"give exactly one of preset, file and mp_id{given}")
        if self.preset is None and self.supercell is None:
            raise ValueError("supercell is missing, for example [4, 4, 1]")
        return self

    def host(self) -> Host:
        """The pristine supercell.

        Raises
        ------
        InputError
            If the preset, file or supercell cannot be used.
        """
        if self.preset is not None:
            return Host.from_preset(self.preset, self.supercell, vacuum=self.vacuum)
        if self.file is not None:
            return Host.from_file(self.file, self.supercell, self.dimensionality, self.vacuum)
        return Host.from_mp_id(str(self.mp_id), self.supercell, self.dimensionality, self.vacuum)


def _has_three(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3


class ElementSettings(BaseModel):
    """How the phases are relaxed that formation energies are counted from; changes no relaxation of a campaign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kpoint_density: float = Field(
        default=200.0, gt=0, description="k-points per reciprocal volume, Å³, of elements and compounds"
    )
    crystals: tuple[str, ...] = Field(
        default=(),
        description=(
            "Compounds that compete with the host for impurities, and phases of elements in place of the known ones, in any "
            "format pymatgen reads, relative to the campaign file"
        ),
    )


class CampaignSettings(BaseModel):
    """What a campaign file says whatever its hosts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="Name of the campaign")
    model: ModelSettings | None = Field(
        default=None, description="The network that pre-relaxes; null relaxes from the unrelaxed start only"
    )
    engine: EngineSettings = Field(default_factory=ForceFieldEngine, description="What relaxes")
    charges: tuple[StrictInt, ...] = Field(
        default=NEUTRAL,
        description="Charges of the cell in elementary charges, at each of which every configuration is relaxed; VASP only",
    )
    baseline_fraction: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the configurations relaxed from both starts, to measure the saving",
    )
    baseline_seed: int = Field(default=0, description="Seed of the draw of that share")
    resources: Resources = Field(
        default_factory=Resources, description="What its jobs ask of a cluster; changes no result"
    )
    elements: ElementSettings = Field(
        default_factory=ElementSettings, description="How `definet-flows elements` relaxes elements and compounds"
    )
    validation: ValidationSettings | None = Field(
        default=None, description="What `definet-flows validate` holds out and trains; no other command reads it"
    )

    @model_validator(mode="after")
    def _can_be_charged(self) -> Self:
        if not self.charges or len(set(self.charges)) < len(self.charges):
            raise ValueError(f"charges are {list(self.charges)}; list each once, such as [-1, 0, 1]")
        if self.charges == NEUTRAL:
            return self
        if self.engine.name != "vasp":
            raise ValueError(
                f"charges other than [0] need engine: {{name: vasp}}, for the {self.engine.name} engine knows no charge"
            )
        if getattr(self.engine, "dipole", False):
            raise ValueError(
                "the dipole correction is not defined for charged cells; leave out engine.dipole or charges"
            )
        return self


class Campaign(CampaignSettings):
    """A campaign on one host: a file that names one, or one host of a file that names several."""

    host: HostSettings = Field(description="The pristine supercell")
    configurations: ConfigurationSource = Field(description="Which defect configurations")
    screening: str | None = Field(
        default=None, description="Name of the campaign of several hosts that this is a part of; no file says it"
    )

    @property
    def title(self) -> str:
        """Name in the campaign file: of all its hosts together where there are several."""
        return self.screening or self.name

    @property
    def content_hash(self) -> str:
        """Hash of the settings, changed by every edit that can change a record."""
        return content_hash(self.settings, KEY_LENGTH)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as JSON, without those that change no record and what has not been said."""
        unsaid = {"charges"} if self.charges == NEUTRAL else set()
        unsaid |= {"screening"} if self.screening is None else set()
        return self.model_dump(mode="json", exclude={"resources", "elements", "validation", *unsaid})

    def identity(self, host: Host) -> dict[str, Any]:
        """What makes a campaign this one: extending it leaves this alone, and nothing else may share its directory.

        Parameters
        ----------
        host
            Its pristine supercell.
        """
        return {"name": self.name, "host": host.fingerprint, "physics": self.engine.physics}
