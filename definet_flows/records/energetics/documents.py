"""The documents of energetics: elemental phases, and the energies of defects by limit."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from definet_flows.records.documents import EngineSummary, HostSummary, Start, State, StoredDocument

NEUTRAL = "A neutral cell has neither charge term nor correction"


class ElementRecord(StoredDocument):
    """An elemental phase or a compound that chemical potentials are counted from, relaxed with its cell by an engine."""

    element: str = Field(description="Symbol of the element, or reduced formula of the compound")
    phase: str = Field(description="Name of the phase, such as alpha-S8 or N2 molecule")
    source: str = Field(description="Where the structure it started from is published")
    physics_hash: str = Field(description="Physics hash of the campaign that it was relaxed for")
    kpoint_density: float | None = Field(
        default=None,
        description="k-points per reciprocal volume, Å³, the phase's own; None for engines without k-points",
    )
    kpoints: tuple[int, int, int] | None = Field(
        default=None, description="Γ-centred grid that follows; None without k-points"
    )
    engine: EngineSummary = Field(description="The engine and its settings")
    state: State = Field(description="converged, unconverged or failed")
    reason: str | None = Field(default=None, description="Why it did not converge; None where it did")
    n_atoms: int = Field(description="Atoms in the cell that was relaxed")
    energy_per_atom: float | None = Field(description="Energy per atom at the end, eV; None where it failed")
    lattice: list[list[float]] = Field(description="[3, 3] rows in Å, at the end")
    positions: list[list[float]] = Field(description="[n_atoms, 3] Cartesian coordinates at the end, Å")
    ionic_steps: int = Field(description="Force evaluations")
    max_force: float | None = Field(description="Largest force on any atom at the end, eV/Å")
    wall_seconds: float | None = Field(description="Wall time, s; None where nothing tells it")
    core_hours: float | None = Field(description="Wall time times cores, core-hours; None where nothing tells it")


class ChemicalPotentials(BaseModel):
    """One corner of what equilibrium with the host allows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: str = Field(description="Which elements are at their elemental phases, such as S-rich")
    values: dict[str, float] = Field(description="Chemical potential of each element, eV per atom")
    bounds: dict[str, str] = Field(
        default_factory=dict, description="Compound that keeps an impurity below its elemental phase, by impurity"
    )
    exceeded: dict[str, float] = Field(
        default_factory=dict,
        description="Compounds that would form at these chemical potentials, and by how much, eV per formula unit",
    )


class ChargeTerm(BaseModel):
    """Where the electrons of a charged cell come from: q·(E_F + E_VBM)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fermi_level: float = Field(description="Fermi level above the valence band maximum, eV")
    valence_band_maximum: float = Field(description="Valence band maximum of the pristine supercell, eV")


class EnergyCorrection(BaseModel):
    """A finite-size correction of a charged cell, from whoever computes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheme: str = Field(description="Name of the scheme")
    energy: float = Field(description="Added to the formation energy, eV")


class FormationEnergy(BaseModel):
    """Formation energy of one configuration at every limit: E(defect) - E(pristine) - Σ n μ + q·(E_F + E_VBM) + correction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    configuration_id: str = Field(description="Content id of the configuration")
    label: str = Field(description="Defects by name, such as V_Mo+V_S")
    host: HostSummary = Field(description="The pristine supercell")
    n_defects: int = Field(description="Number of changed sites")
    multiplicity: int = Field(description="Number of equivalent placements in the supercell")
    defect_distance: float | None = Field(
        description="Smallest distance between two changed sites, Å; None for one defect"
    )
    charge: int = Field(description="Total charge of the cell in elementary charges")
    engine_name: str = Field(description="Name of the engine")
    physics_hash: str = Field(description="Physics hash shared by all energies in this")
    start: Start = Field(description="Start of the relaxation that ended lowest")
    relaxation_key: str = Field(description="Key of that relaxation")
    pristine_key: str = Field(description="Key of the pristine supercell's relaxation")
    added: dict[str, int] = Field(
        description="Atoms by element: n > 0 were added to the pristine supercell, n < 0 taken away"
    )
    energy: float = Field(description="Energy of the defect's cell, eV")
    pristine_energy: float = Field(description="Energy of the pristine supercell, eV")
    charge_term: ChargeTerm | None = Field(default=None, description=NEUTRAL)
    correction: EnergyCorrection | None = Field(default=None, description=NEUTRAL)
    formation_energies: dict[str, float] = Field(
        description="Formation energy by limit, eV; empty where no chemical potentials are known"
    )


class BindingEnergy(BaseModel):
    """How much lower a complex lies than its point defects apart, each alone in the same supercell; positive = bound."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    configuration_id: str = Field(description="Content id of the complex")
    label: str = Field(description="Defects by name, such as V_Mo+V_S")
    n_defects: int = Field(description="Number of point defects")
    defect_distance: float | None = Field(description="Smallest distance between two of them, Å")
    multiplicity: int = Field(description="Number of equivalent placements in the supercell")
    parts: list[str] = Field(description="Configuration id of each point defect alone")
    binding_energy: float = Field(
        description="Formation energies of the parts less that of the complex, eV; positive = bound"
    )


class RelativeEnergy(BaseModel):
    """Place of a configuration among those of the same recipe, supercell and charge; chemical potentials cancel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    configuration_id: str = Field(description="Content id of the configuration")
    label: str = Field(description="Recipe by name, such as V_Mo+V_S")
    n_defects: int = Field(description="Number of changed sites")
    charge: int = Field(description="Total charge of the cell in elementary charges")
    rank: int = Field(description="1 for the most stable")
    relative_energy: float = Field(description="Energy above the most stable one, eV per cell")
    defect_distance: float | None = Field(description="Smallest distance between two changed sites, Å")
    multiplicity: int = Field(description="Number of equivalent placements in the supercell")
