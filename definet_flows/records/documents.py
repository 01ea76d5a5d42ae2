"""The documents a results store holds, each field with its unit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

import definet_flows
from definet_flows.engines.relaxation import RunDetails

SCHEMA_VERSION = 2
"""Raised when a field is added or changes its meaning; documents of version 1 are read, for what was added has a default."""

Start = Literal["unrelaxed", "prerelaxed"]
State = Literal["converged", "unconverged", "failed"]
Kind = Literal["defect", "pristine"]
Exposure = Literal["same_size", "other_size", "new", "undefined", "unknown"]
Sites = list[list[float]]

EXPOSURE = (
    "Training saw this cluster at the same size, at another, not (new), the size leaves it undefined, or the checkpoint is "
    "not known"
)


def utc_now() -> str:
    """The present moment as ISO 8601 text in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class StoredDocument(BaseModel):
    """What every document in a results store says about itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(description="Content key, hexadecimal; a store holds one document of a class per key")
    schema_version: int = Field(default=SCHEMA_VERSION, description="Version of these fields")
    code_version: str = Field(default=definet_flows.__version__, description="Version of definet-flows that wrote this")
    last_updated: str = Field(default_factory=utc_now, description="When this was written, ISO 8601, UTC")


class HostSummary(BaseModel):
    """The pristine supercell in short; the whole host lies in the campaign's record under its fingerprint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the host, such as MoS2")
    family: str = Field(description="The infinite crystal, the same for all its supercells")
    fingerprint: str = Field(description="Content hash of the nominal unit cell and supercell matrix")
    supercell_matrix: tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]] = Field(
        description="Rows are the supercell's lattice vectors in those of the unit cell"
    )
    n_sites: int = Field(description="Number of sites in the pristine supercell")

    @property
    def supercell(self) -> str:
        """The supercell in short, such as 6×6×1; by its number of sites where its vectors are not along the unit cell's."""
        matrix = self.supercell_matrix
        is_diagonal = all(matrix[i][j] == 0 for i in range(3) for j in range(3) if i != j)
        return "×".join(str(matrix[i][i]) for i in range(3)) if is_diagonal else f"{self.n_sites} sites"

    @property
    def title(self) -> str:
        """Name and supercell, such as MoS2 6×6×1."""
        return f"{self.name} {self.supercell}"


class ConfigurationSummary(StoredDocument):
    """Which defect configuration a document is about."""

    campaign: str = Field(description="Name of the campaign that wrote this first")
    configuration_id: str = Field(
        description="Content id of the configuration; of the empty one for a pristine supercell"
    )
    cluster_id: str | None = Field(description="Id of the defect cluster whatever the supercell; None where ambiguous")
    defects: list[tuple[int, str]] = Field(description="Changed sites as [site index, new species or Vac]")
    host: HostSummary = Field(description="The pristine supercell")
    label: str = Field(description="Defects by name, such as V_Mo+V_S; 'pristine' where nothing changed")
    n_defects: int = Field(description="Number of changed sites")
    concentration: float = Field(description="Changed sites per site of the supercell")
    multiplicity: int = Field(description="Number of equivalent placements in the supercell, this one included")
    defect_distance: float | None = Field(
        default=None,
        description="Smallest distance between two changed sites of the nominal host, nearest image, Å; None for one defect",
    )
    charge: int = Field(default=0, description="Total charge of the cell in elementary charges")
    charge_outside_training: bool = Field(
        default=False,
        description="The cell is charged and the networks are trained on neutral ones: kept out of what pre-relaxation saves",
    )
    charge_correction: Literal["layer", "bulk"] | None = Field(
        default=None,
        description="Which finite-size correction the energy of this charged cell lacks: no formation energy can be made of it "
        "without one (a charged layer's energy even grows with its vacuum); None for a neutral cell",
    )


class EngineSummary(BaseModel):
    """The engine that relaxed, with all that decides its result."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the engine, such as forcefield")
    version: str | None = Field(description="Version of the engine or potential")
    physics: dict[str, Any] = Field(description="Settings that decide the result")
    physics_hash: str = Field(description="Content hash of the physics settings")
    execution: dict[str, Any] = Field(description="Settings that decide only where and how fast it ran; never hashed")


class RelaxationRecord(ConfigurationSummary):
    """One relaxation of one configuration from one start, whether it converged or not."""

    kind: Kind = Field(
        default="defect", description="A defect configuration, or the pristine supercell as energy reference"
    )
    start: Start = Field(description="Coordinates it started from: the pristine ones, or the network's prediction")
    state: State = Field(description="converged, unconverged at the step limit, or failed")
    reason: str | None = Field(default=None, description="Why it did not converge; None where it did")
    ionic_steps: int | None = Field(
        description="Force evaluations, the first included; None where a lost run told none"
    )
    electronic_steps: int | None = Field(description="Electronic steps over all ionic steps; None where there are none")
    max_force_history: list[float] = Field(
        description="Largest force on any atom at each force evaluation, eV/Å; ends early where a run diverged"
    )
    max_force: float | None = Field(description="Largest force on any atom at the end, eV/Å")
    energy: float | None = Field(description="Energy of the cell at the end, eV")
    total_moment: float | None = Field(description="Total magnetic moment of the cell at the end, Bohr magnetons")
    wall_seconds: float | None = Field(
        description="Wall time of the relaxation, lost attempts included, s; None where nothing told it"
    )
    cores: int | None = Field(description="Processor cores it held; None where nothing told it")
    core_hours: float | None = Field(description="Wall time times cores, core-hours; None where either is unknown")
    positions: Sites | None = Field(
        description="[n_sites, 3] final Cartesian coordinates in host site order, vacancy placeholders included, Å"
    )
    engine: EngineSummary = Field(description="The engine and its settings")
    checkpoint: str | None = Field(default=None, description="Name of the checkpoint; None for the unrelaxed start")
    checkpoint_hash: str | None = Field(
        default=None, description="Content hash of the checkpoint; None for the unrelaxed start"
    )
    guard_hash: str | None = Field(
        default=None, description="Hash of the guard's settings; None for the unrelaxed start"
    )
    exposure: Exposure | None = Field(
        default=None,
        description=EXPOSURE,
    )
    prerelax_seconds: float | None = Field(
        default=0.0, description="Wall time of the prediction this started from, s; None where nothing told it"
    )
    details: RunDetails | None = Field(default=None, description="What a program run in a directory tells besides")


class PredictionRecord(ConfigurationSummary):
    """The network's coordinates for one configuration, with the guard's verdict on them."""

    checkpoint: str = Field(description="Name of the checkpoint")
    checkpoint_hash: str = Field(description="Content hash of the checkpoint")
    guard_hash: str = Field(description="Hash of the guard's settings; 'none' where the guard is off")
    reference_hash: str = Field(
        description="Physics hash of the engine that relaxed the pristine cell; '' where none did"
    )
    positions: Sites | None = Field(
        description="[n_sites, 3] predicted Cartesian coordinates in host site order, Å; None where none could be made"
    )
    passed: bool = Field(description="Whether the guard lets a relaxation start from this")
    reasons: list[str] = Field(description="Why the guard refused it")
    max_displacement: float | None = Field(description="Largest predicted displacement of an atom, Å")
    exposure: Exposure = Field(description=EXPOSURE)
    seconds: float | None = Field(
        description="Wall time of the prediction, this one's share of its batch, s; None where nothing told it"
    )
    cores: int = Field(default=1, description="Processor cores it held")
    gpus: int = Field(default=0, description="GPUs it held")


class RunFigures(BaseModel):
    """One run of a pair, in figures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(description="Key of its relaxation record")
    state: State = Field(description="converged, unconverged or failed")
    reason: str | None = Field(description="Why it did not converge")
    ionic_steps: int | None = Field(
        description="Force evaluations, the first included; None where a lost run told none"
    )
    electronic_steps: int | None = Field(description="Electronic steps over all ionic steps")
    steps_to_coarse: int | None = Field(
        description="Force evaluations until the largest force was first below 0.05 eV/Å; None where it never was"
    )
    max_force: float | None = Field(description="Largest force on any atom at the end, eV/Å")
    energy: float | None = Field(description="Energy of the cell at the end, eV")
    total_moment: float | None = Field(description="Total magnetic moment of the cell at the end, Bohr magnetons")
    wall_seconds: float | None = Field(description="Wall time, s")
    core_hours: float | None = Field(description="Core-hours")


class Provenance(BaseModel):
    """What a savings record was built from; the keys of its two relaxations lie with their figures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    campaigns: list[str] = Field(description="Names of the campaigns that planned the configuration or ran it")
    prediction_key: str = Field(description="Key of the prediction's record")
    engine_version: str | None = Field(description="Version of the engine or potential that ran both")
    code_versions: list[str] = Field(description="Versions of definet-flows that wrote the runs and the prediction")
    sources_hash: str = Field(
        description="Content hash of the documents this was built from, and when each was written: another hash, a new build"
    )


class SavingsRecord(ConfigurationSummary):
    """What starting one configuration from the prediction saved or cost, against its own unrelaxed start."""

    engine_name: str = Field(description="Name of the engine that ran both")
    physics_hash: str = Field(description="Physics hash shared by both runs")
    checkpoint: str = Field(description="Name of the checkpoint")
    checkpoint_hash: str = Field(description="Content hash of the checkpoint")
    guard_hash: str = Field(description="Hash of the guard's settings")
    exposure: Exposure = Field(description=EXPOSURE)
    guard_passed: bool = Field(description="Whether the guard let the prediction through")
    guard_reasons: list[str] = Field(description="Why the guard refused it")
    fallback: bool = Field(description="The prediction was refused, so both starts are the one unrelaxed run")
    max_displacement: float | None = Field(description="Largest predicted displacement of an atom, Å")
    displacement_quantile: float | None = Field(
        default=None,
        description="Share of the atoms of the training labels that moved less than that; None where the checkpoint did not tell",
    )
    committee_size: int = Field(
        default=1, description="Checkpoints whose predictions of this configuration the store holds"
    )
    committee_spread: float | None = Field(
        default=None,
        description="Largest root-mean-square distance of the atoms between this prediction and another checkpoint's, rigid "
        "translation removed, Å; None where there is no other",
    )
    trust: float | None = Field(
        default=None,
        description="exp(-d/d99) of the largest predicted displacement d, with d99 what 99 % of the trained atoms stayed "
        "below; 0 where the guard refused, None where the checkpoint did not tell",
    )
    unrelaxed: RunFigures = Field(description="The run from the unrelaxed start (the baseline)")
    prerelaxed: RunFigures = Field(description="The run from the prediction; the baseline itself after a fallback")
    pair_state: Literal["both_converged", "prerelaxed_lost", "unrelaxed_lost", "both_lost"] = Field(
        description="Which of the runs did not converge"
    )
    steps_saved: int | None = Field(
        description="Baseline minus prerelaxed ionic steps. Where only the prerelaxed run was lost, minus its steps, for "
        "the baseline has to be run as well; None where the baseline was lost or the steps are unknown"
    )
    steps_saved_fraction: float | None = Field(description="Steps saved over the baseline's ionic steps")
    core_hours_saved: float | None = Field(description="As steps_saved, in core-hours, the prediction not yet charged")
    prerelax_core_hours: float | None = Field(
        description="Core-hours of the prediction, a GPU counted as 32 cores; None where nothing told its time"
    )
    prerelax_gpu_hours: float | None = Field(default=0.0, description="GPU-hours of the prediction, not converted")
    net_core_hours_saved: float | None = Field(description="Core-hours saved less those of the prediction")
    same_minimum: bool | None = Field(
        description="Both runs ended in the same minimum; None where either did not converge"
    )
    largest_distance: float | None = Field(
        description="Largest distance of an atom between the two ends, rigid translation removed, minimum image, Å"
    )
    energy_difference: float | None = Field(description="Energy of the prerelaxed end minus that of the unrelaxed, eV")
    moment_difference: float | None = Field(
        description="Difference of the total moments, Bohr magnetons; None without spin"
    )
    lower_start: Literal["unrelaxed", "prerelaxed", "equal"] | None = Field(
        description="Which start ended lower in energy by more than the tolerance; None where either did not converge"
    )
    provenance: Provenance | None = Field(
        default=None,
        description="What this was built from; None in a document of schema version 1, until it is built anew",
    )


class BuildFailure(StoredDocument):
    """A pair of runs that no savings record could be made of; its key is the one that record would have."""

    configuration_id: str | None = Field(
        description="Content id of the configuration; None where a document tells none"
    )
    reason: str = Field(description="What is wrong with its documents, in one sentence")
    sources_hash: str = Field(description="Content hash of these documents: they are tried again once it changes")


class ModelSummary(BaseModel):
    """The checkpoint and guard a campaign pre-relaxes with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: str = Field(description="Name of the checkpoint")
    checkpoint_hash: str = Field(description="Content hash of the checkpoint")
    guard_hash: str = Field(description="Hash of the guard's settings; 'none' where the guard is off")
    displacement_quantiles: list[tuple[float, float]] = Field(
        default_factory=list,
        description="[share of the atoms of the training labels, displacement in Å that they stayed below], share 1 included",
    )

    @property
    def identity(self) -> dict[str, Any]:
        """Name and hashes, as the documents of its predictions hold them."""
        return self.model_dump(include={"checkpoint", "checkpoint_hash", "guard_hash"})


class CampaignRecord(StoredDocument):
    """A campaign: whose results a store holds, and the hosts needed to rebuild every structure in it."""

    name: str = Field(description="Name of the campaign")
    content_hash: str = Field(description="Content hash of the campaign file's settings, changed by every edit")
    settings: dict[str, Any] = Field(description="The campaign file as it was last run")
    hosts: dict[str, dict[str, Any]] = Field(
        description="Each pristine supercell by fingerprint, engine-relaxed positions included"
    )
    engine_name: str = Field(description="Name of the engine")
    physics: dict[str, Any] = Field(description="The engine's settings that decide results")
    physics_hash: str = Field(description="Content hash of these")
    model: ModelSummary | None = Field(description="The network; None where nothing is pre-relaxed")
    configuration_ids: list[str] = Field(
        default_factory=list, description="Ids of the configurations planned, in order"
    )
    baseline_ids: list[str] = Field(
        default_factory=list, description="Ids of those drawn to be relaxed from both starts"
    )
