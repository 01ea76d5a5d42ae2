"""What a checkpoint says about its training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from definet_flows.definet.card import HostCoverage, ModelCard
from definet_flows.definet.checkpoint import Checkpoint
from definet_flows.training.config import TrainingConfig
from definet_flows.training.datasets.labels import LabelSet
from definet_flows.training.datasets.sources import LabelPool
from definet_flows.training.datasets.split import Split
from definet_flows.training.datasets.summary import atom_displacements, supercell_name

_QUANTILES = (0.5, 0.9, 0.99, 0.999)
_DFT = {"gpaw", "vasp"}
_NOT_DFT = "Not a DFT-trained model: it reproduces the relaxed structures of its teacher, with the teacher's errors."
_LIMITS = (
    "Neutral point defects (vacancies, substitutions, antisites) of the listed hosts and elements only.",
    "One relaxed structure per configuration: symmetry-broken or metastable minima are not represented.",
)


def model_card(
    config: TrainingConfig,
    pool: LabelPool,
    split: Split,
    metrics: dict[str, float],
    start: Checkpoint | None = None,
    warning: str | None = None,
) -> ModelCard:
    """What the checkpoint says about its training.

    Parameters
    ----------
    config, pool, split
        The run.
    metrics
        On labels that it has not seen.
    start
        The checkpoint it started from. What that one has seen, this one has seen too; but nothing keeps it good at hosts that
        it is not trained on any more, so that it does not claim them.
    warning
        One more limit.
    """
    trained = pool.subset([*split.training, *split.validation])
    configurations = trained.configurations
    lengths = np.concatenate([atom_displacements(labels) for labels in trained.sets])
    coverage = host_coverage(trained)
    before = [start.card] if start else []
    crystals = _merged(labels.host.crystal for labels in trained.sets)
    hosts = _merged(one.host for one in coverage)
    seen = {c.placement_id for c in configurations}.union(*(card.configuration_ids for card in before))
    # A cluster that an ambiguous label can be read as is not new.
    clusters = {reading for c in configurations for reading in c.possible_cluster_ids}
    clusters = clusters.union(*(card.cluster_ids for card in before))
    elements = _merged(*(c.species for c in configurations), *(_elements_in(hosts, card) for card in before))
    return ModelCard(
        name=config.name,
        hosts=hosts,
        # Of weights from elsewhere nobody knows what else they were trained on.
        crystals=crystals if all(card.crystals for card in before) else (),
        elements=elements,
        teacher=teacher_names(pool),
        label_source=_source(pool, start),
        training_hash=f"{pool.content_hash}-{split.hash}",
        cluster_ids=frozenset(clusters),
        configuration_ids=frozenset(seen),
        training_sizes=_merged(*(one.supercells for one in coverage), *(card.training_sizes for card in before)),
        coverage=coverage,
        metrics=metrics,
        max_displacement_trained=max([float(lengths.max()), *(card.max_displacement_trained for card in before)]),
        displacement_quantiles={f"{q:g}": float(np.quantile(lengths, q)) for q in _QUANTILES},
        intended_use=_intended_use(hosts),
        remarks=config.remarks,
        limits=(*_unlike_dft(pool.teachers), *_LIMITS, *([warning] if warning else [])),
    )


def _elements_in(hosts: Iterable[str], card: ModelCard) -> Iterable[str]:
    """Elements that a checkpoint met in these hosts; all of them where it does not say in which."""
    if not card.coverage:
        return card.elements
    return _merged(*(one.elements for one in card.coverage if one.host in hosts))


def host_coverage(trained: LabelPool) -> tuple[HostCoverage, ...]:
    """What was trained on, one entry for each host and density."""
    grouped: dict[tuple[str, str | None], list[LabelSet]] = {}
    for labels in trained.sets:
        grouped.setdefault((labels.host.name, labels.density), []).append(labels)
    return tuple(
        HostCoverage(
            host=host,
            density=density,
            supercells=_merged([supercell_name(labels) for labels in sets]),
            elements=_merged(*(c.species for labels in sets for c in labels.configurations)),
            configurations=sum(len(labels) for labels in sets),
        )
        for (host, density), sets in sorted(grouped.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    )


def _intended_use(hosts: Iterable[str]) -> str:
    return (
        f"Structures from which relaxations of neutral point defects in {', '.join(hosts)} start; the relaxation engine "
        "finishes them, and what it finds is the result."
    )


def _unlike_dft(teachers: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    return () if all(teacher.get("name") in _DFT for teacher in teachers) else (_NOT_DFT,)


def teacher_names(pool: LabelPool) -> str:
    """Short names of what made the labels, with the hosts of each where there are several."""
    hosts: dict[str, list[str]] = {}
    for labels in pool.sets:
        name = labels.teacher.get("potential", labels.teacher.get("name", "unknown"))
        hosts.setdefault(str(name), []).append(labels.host.name)
    if len(hosts) == 1:
        return next(iter(hosts))
    return ", ".join(f"{name} ({', '.join(_merged(taught))})" for name, taught in hosts.items())


def _source(pool: LabelPool, start: Checkpoint | None) -> str:
    """Every host and supercell with its number of labels, and the teachers' settings."""
    counts: dict[str, int] = {}
    for labels in pool.sets:
        density = f", {labels.density} density" if labels.density else ""
        place = f"{labels.host.name} {supercell_name(labels)}{density}"
        counts[place] = counts.get(place, 0) + len(labels)
    listed = "; ".join(f"{count} of {place}" for place, count in sorted(counts.items()))
    begun = f"; weights started from {start.card.name} ({start.content_hash})" if start else ""
    return f"{len(pool.configurations)} relaxations ({listed}), settings {'; '.join(map(str, pool.teachers))}{begun}"


def _merged(*collections: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({entry for collection in collections for entry in collection}))
