"""The job that lists the configurations of a campaign."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from jobflow.core.job import job
from jobflow.core.maker import Maker
from pydantic import BaseModel, ConfigDict, Field, model_validator

from definet_flows.defects import (
    DefectConfiguration,
    Host,
    enumerate_configurations,
    high_density,
    low_density_recipes,
    read_configurations,
    sample_configurations,
)
from definet_flows.errors import InputError
from definet_flows.jobs.hosts import host_from
from definet_flows.jobs.selection import Selection, select


class RandomSampling(BaseModel):
    """Random placements at given concentrations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    substitutions: dict[str, tuple[str, ...]] | None = Field(
        default=None, description="Host species to what may replace it, such as {Mo: [W, Vac]}; the preset's by default"
    )
    concentrations: tuple[float, ...] | None = Field(
        default=None, description="Defects per site, such as [0.025, 0.05]; the preset's by default"
    )
    per_concentration: int | None = Field(
        default=None, ge=1, description="Configurations at each concentration; the preset's 100 by default"
    )
    max_fraction_per_type: float | None = Field(
        default=None, gt=0, le=1, description="Largest share of the sites for one defect type; the preset's by default"
    )
    seed: int = Field(default=0, description="Seed of the random placements")


class ConfigurationSource(BaseModel):
    """Which configurations a campaign is about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipes: tuple[str, ...] = Field(
        default=(), description="Defects to place in all symmetry-distinct ways, such as V_Mo+V_S"
    )
    preset: Literal["low-density", "high-density"] | None = Field(
        default=None, description="The defect types of the low-density section, or its high-density random placements"
    )
    random: RandomSampling | None = Field(default=None, description="Random placements")
    files: tuple[str, ...] = Field(
        default=(),
        description="JSON lines of configurations in the campaign's supercell, relative to the campaign file",
    )
    min_distance: float | None = Field(default=None, ge=0, description="Smallest defect–defect distance of recipes, Å")
    max_distance: float | None = Field(default=None, gt=0, description="Largest defect–defect distance of recipes, Å")
    select: Selection | None = Field(default=None, description="Seeded subset; all by default")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.recipes and not self.files and self.preset is None and self.random is None:
            raise ValueError("give recipes, a preset (low-density or high-density), random placements, or files")
        return self

    def configurations(
        self, host: Host, is_new: Callable[[DefectConfiguration], bool] = lambda _: True
    ) -> list[DefectConfiguration]:
        """All configurations meant, each once.

        Parameters
        ----------
        host
            The pristine supercell.
        is_new
            Whether a checkpoint has not seen a configuration's cluster; all are new by default.

        Raises
        ------
        InputError
            If a recipe, distance, concentration or selection cannot be had in this host.
        """
        distinct = list({candidate.id: candidate for candidate in self._candidates(host)}.values())
        if not distinct:
            raise InputError("The campaign has no configurations: its distance limits leave none.")
        if self.select is None:
            return distinct
        if self.select.defined_clusters:
            distinct = [candidate for candidate in distinct if candidate.cluster_id is not None]
        return select(distinct, self.select, is_new)

    def _candidates(self, host: Host) -> Iterator[DefectConfiguration]:
        preset_recipes = low_density_recipes(host.name) if self.preset == "low-density" else ()
        for recipe in (*self.recipes, *preset_recipes):
            yield from enumerate_configurations(host, recipe, self.min_distance, self.max_distance)
        if self.preset == "high-density" or self.random is not None:
            yield from self._random_placements(host)
        for file in self.files:
            yield from _listed(file, host)

    def _random_placements(self, host: Host) -> list[DefectConfiguration]:
        wanted = self.random or RandomSampling()
        section = high_density(host.name) if self.preset == "high-density" else None
        substitutions = wanted.substitutions or (section and section.substitutions)
        concentrations = wanted.concentrations or (section and section.concentrations)
        if not substitutions or not concentrations:
            raise InputError("configurations.random needs substitutions and concentrations, or preset: high-density.")
        return sample_configurations(
            host,
            substitutions,
            concentrations,
            wanted.per_concentration or (section.per_concentration if section else 100),
            wanted.seed,
            wanted.max_fraction_per_type or (section.type_cap if section else 1.0),
        )


def _listed(file: str, host: Host) -> list[DefectConfiguration]:
    """The configurations of a file, all of them in the host's supercell."""
    found = read_configurations(file, host)
    others = [candidate for candidate in found if candidate.host != host]
    if others:
        raise InputError(
            f"{len(others)} of the configurations in {file} are in other supercells than the campaign's "
            f"{host.supercell_matrix}, such as {others[0].host.supercell_matrix}; give those a campaign of their own."
        )
    return found


@dataclass
class GenerateMaker(Maker):
    """Lists the configurations of a campaign.

    Parameters
    ----------
    source
        Which configurations.
    checkpoint
        Name or folder of the checkpoint whose training clusters are not new; None where none is used.
    name
        Name of the job.
    """

    source: ConfigurationSource = field(default_factory=lambda: ConfigurationSource(recipes=("V_S",)))
    checkpoint: str | None = None
    name: str = "generate configurations"

    @job
    def make(self, host: dict[str, Any]) -> Any:
        """The configurations, as small as they can be written.

        Parameters
        ----------
        host
            What `Host.to_dict` wrote.

        Returns
        -------
        list
            For each configuration its changed sites, [[site, species], ...].
        """
        found = self.source.configurations(host_from(host), self._novelty())
        return [configuration.content for configuration in found]

    def _novelty(self) -> Callable[[DefectConfiguration], bool]:
        if self.source.select is None or not self.source.select.min_new_clusters:
            return lambda _: True
        if self.checkpoint is None:
            raise InputError("select.min_new_clusters needs a model: its clusters are the ones that are not new.")
        from definet_flows.definet import load_checkpoint

        card = load_checkpoint(self.checkpoint).card
        # Where the cluster is ambiguous, nobody can say that it is new.
        return lambda one: one.cluster_id is not None and card.exposure(one) == "new"
