"""What a checkpoint says about itself: where its labels came from, what it has seen, how good it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from definet_flows import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from definet_flows.defects import DefectConfiguration
    from definet_flows.definet.network import DefiNetConfig

Exposure = Literal["same_size", "other_size", "new", "undefined"]
"""What a checkpoint has seen of a defect cluster in training: at this size, at another size, nothing, or not decidable."""

Ids = Annotated[frozenset[str], PlainSerializer(sorted, return_type=list[str])]
"""A set that is written in order, so that the same card gives the same file."""


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


class HostCoverage(BaseModel):
    """What training saw of one host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(description="Name of the host, such as MoS2")
    density: str | None = Field(default=None, description="Section of the data set it comes from: low, high or unknown")
    supercells: tuple[str, ...] = Field(description="Supercells trained on, such as 4x4x1")
    elements: tuple[str, ...] = Field(description="Element symbols in them, dopants included")
    configurations: int = Field(description="Labels trained on, those for validation included")


class ModelCard(BaseModel):
    """The provenance of a checkpoint; the guard and the pre-relaxer read their limits from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="Name of the checkpoint")
    hosts: tuple[str, ...] = Field(description="Names of the hosts it was trained on")
    crystals: tuple[str, ...] = Field(
        default=(),
        description="Formula and space group of each crystal trained on, such as MoS2-187; empty where not known",
    )
    elements: tuple[str, ...] = Field(min_length=1, description="Element symbols it was trained on, dopants included")
    teacher: str = Field(description="What produced the labels: a potential or a DFT level of theory")
    label_source: str = Field(
        default="", description="Where the labels come from: a data set or the campaign that made them"
    )
    training_hash: str = Field(default="", description="Content hash of the training set")
    cluster_ids: Ids = Field(
        default=frozenset(), description="Every cluster that a training configuration can be read as"
    )
    configuration_ids: Ids = Field(
        default=frozenset(), description="Ids or placement ids of the training configurations"
    )
    training_sizes: tuple[str, ...] = Field(default=(), description="Supercells trained on, such as 4x4x1")
    coverage: tuple[HostCoverage, ...] = Field(default=(), description="What was trained on, host by host")
    metrics: dict[str, float] = Field(default_factory=dict, description="Held-out metrics; a name ends in its unit")
    max_displacement_trained: float = Field(
        gt=0, description="Å; largest displacement of an atom in the training labels"
    )
    displacement_quantiles: dict[str, float] = Field(
        default_factory=dict, description="Å; quantile of the atomic displacements in the training labels"
    )
    intended_use: str = Field(default="", description="What it is made for, in one sentence")
    remarks: tuple[str, ...] = Field(
        default=(), description="Sentences on the labels, such as the teacher's licence and its measured error"
    )
    limits: tuple[str, ...] = Field(default=(), description="What it must not be used for, one sentence each")
    licence: str = Field(default="MIT", description="Licence of the weights")
    code_version: str = Field(default=__version__, description="Version of definet-flows that trained it")
    created: str = Field(default_factory=_today, description="Date it was made, ISO 8601")

    @property
    def displacement_shares(self) -> list[tuple[float, float]]:
        """Share of the atoms in the training labels, and the displacement in Å that they stayed below; the largest included."""
        known = {float(share): length for share, length in self.displacement_quantiles.items()}
        return sorted({**known, 1.0: self.max_displacement_trained}.items())

    def exposure(self, configuration: DefectConfiguration) -> Exposure:
        """Return whether training saw this placement, only its cluster in another supercell, or neither.

        Without a cluster id (an ambiguous shortest image) only the placement itself can be looked up; whether training saw
        something close to it cannot be said, so it never counts as new.
        """
        if self.configuration_ids & {configuration.id, configuration.placement_id}:
            return "same_size"
        if configuration.cluster_id is None:
            return "undefined"
        return "other_size" if configuration.cluster_id in self.cluster_ids else "new"


def render_card(card: ModelCard, config: DefiNetConfig, content_hash: str, n_parameters: int) -> str:
    """Return MODEL_CARD.md, for people; the program reads config.json."""
    facts = {
        "Content hash": f"`{content_hash}`",
        "Hosts": ", ".join(card.hosts),
        "Crystals": ", ".join(card.crystals),
        "Elements": ", ".join(card.elements),
        "Teacher": card.teacher,
        "Labels": card.label_source,
        "Training set hash": f"`{card.training_hash}`" if card.training_hash else "",
        "Training supercells": ", ".join(card.training_sizes),
        "Training configurations": f"{len(card.configuration_ids)}",
        "Defect clusters": f"{len(card.cluster_ids)}, every reading of an ambiguous one counted",
        "Largest training displacement": f"{card.max_displacement_trained:.3f} Å",
        "Network": f"{config.n_layers} layers of {config.features} channels, {n_parameters:,} parameters",
        "Licence": card.licence,
        "Made": f"{card.created} with definet-flows {card.code_version}",
    }
    lines = [f"# {card.name}", "", *(f"- **{title}:** {fact}" for title, fact in facts.items() if fact)]
    lines += _listed("Intended use", [card.intended_use] if card.intended_use else [])
    lines += _coverage(card)
    lines += _listed("On the labels", card.remarks)
    lines += _table("Held-out metrics", ("metric", "value"), card.metrics)
    lines += _table("Displacements in the training labels", ("quantile", "Å"), card.displacement_quantiles)
    lines += _listed("Limits", card.limits)
    return "\n".join(lines) + "\n"


def _coverage(card: ModelCard) -> list[str]:
    """One row for each host; a single host stands in the facts above already."""
    if len(card.coverage) < 2:
        return []
    body = [
        f"| {one.host} | {one.density or '–'} | {', '.join(one.supercells)} | {', '.join(one.elements)} | {one.configurations} |"
        for one in card.coverage
    ]
    head = "| host | density | supercells | elements | configurations |"
    return ["", "## Trained on", "", head, "| --- | --- | --- | --- | ---: |", *body]


def _listed(title: str, sentences: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *(f"- {one}" for one in sentences)] if sentences else []


def _table(title: str, header: tuple[str, str], rows: dict[str, float]) -> list[str]:
    if not rows:
        return []
    body = [f"| {name} | {value:.4g} |" for name, value in rows.items()]
    return ["", f"## {title}", "", f"| {header[0]} | {header[1]} |", "| --- | ---: |", *body]
