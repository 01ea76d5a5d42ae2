"""Rivals: networks and ML potentials on the same structures in the same run, with error and time of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from definet_flows.engines.potentials import NAMED_POTENTIALS
from definet_flows.errors import InputError
from definet_flows.training.datasets.pool import LabelPool
from definet_flows.training.datasets.sources import read_sources
from definet_flows.training.evaluation import Row, error_cells
from definet_flows.training.metrics import CoordinateErrors
from definet_flows.training.provenance import teacher_names
from definet_flows.training.studies.efficiency import nested_order
from definet_flows.training.studies.methods import DoNothing, Method, NetworkMethod, PotentialMethod, ScaledBonds
from definet_flows.training.studies.study import Study
from definet_flows.training.studies.trials import Trial, measure

_WITHOUT_WEIGHTS = {
    "M3GNet": "no package carries its weights (matgl 4.1.2 and m3gnet 0.2.4 fetch them from the network)"
}
POTENTIALS = (*NAMED_POTENTIALS[:2], *_WITHOUT_WEIGHTS)
"""Compared with unless others are named."""

THRESHOLDS = (0.01, 0.05)
"""eV/Å, largest force at which a potential's relaxation ends: the usual one, and a looser one that is quicker."""

_SEEN = {"same_size", "other_size"}
"""What a checkpoint's training has seen of a defect cluster that makes its score flattering."""

_TIMING = (
    "Seconds are the median wall time of one structure on one thread, methods taking turns structure by structure; a network "
    "is asked for one structure at a time, its host's graph prepared before."
)
_TEACHER = (
    "The error of the teacher of the labels is zero by construction, up to where its relaxations stop; a looser threshold "
    "shows what its time buys."
)
_FAILED = (
    "Failed includes relaxations that did not converge, which keep their last positions; what gave no positions counts as no "
    "displacement."
)


def rivals(
    checkpoint: str,
    datasets: Sequence[str | Path],
    output: Path,
    *,
    networks: Mapping[str, str] | None = None,
    potentials: Sequence[str] = POTENTIALS,
    thresholds: Sequence[float] = THRESHOLDS,
    count: int | None = None,
    seed: int = 0,
    include_seen: bool = False,
    skip_bad: bool = False,
) -> Study:
    """Compare a checkpoint with doing nothing, with other networks and with ML potentials.

    Every structure is given to every method in turn, one at a time and on one thread. What has been measured is kept in the
    output folder and not measured again.

    Parameters
    ----------
    checkpoint
        Name or folder.
    datasets
        Labels, whose structures are relaxed.
    output
        Holds what was measured.
    networks
        Name and checkpoint of each rival network.
    potentials
        By name or import path; those that cannot be loaded become a row with the reason.
    thresholds
        eV/Å, each a row of every potential.
    count
        Structures drawn, evenly over crystals and densities; by default all.
    seed
        Of the draw.
    include_seen
        Also take structures whose defect cluster one of the checkpoints was trained on.
    skip_bad
        Leave out samples that cannot be read.

    Raises
    ------
    InputError
        If a name is unknown, a threshold is not above 0, labels of a crystal differ in teacher, or no structure is left.
    """
    names = [_known(potential) for potential in potentials]
    if any(threshold <= 0 for threshold in thresholds):
        raise InputError("A force threshold must be above 0 eV/Å; change --fmax.")
    checkpoints = _checkpoints(checkpoint, networks or {})
    pool = LabelPool(tuple(read_sources(datasets, skip_bad)))
    chosen = _chosen(pool, [] if include_seen else checkpoints, count, seed)
    relaxations, skipped = _relaxations(names, thresholds)
    methods = [DoNothing(), ScaledBonds(), *checkpoints, *relaxations]
    trials = measure(methods, chosen, output)
    rows = [_row(method, trials[method.identity], chosen) for method in methods]
    return Study(
        "Rivals",
        {"methods": rows + skipped},
        (_about(pool, chosen, include_seen=include_seen), _TIMING, _TEACHER, _FAILED),
    )


def _checkpoints(checkpoint: str, networks: Mapping[str, str]) -> list[NetworkMethod]:
    """Ours first, all of them different."""
    methods = [NetworkMethod("DefiNet", checkpoint)]
    for name, model in networks.items():
        rival = NetworkMethod(name, model)
        if name in {"Dummy", ScaledBonds.NAME, "DefiNet"} or rival.identity in {method.identity for method in methods}:
            raise InputError(f"The rival {name}={model} has a name or weights that are compared already; name another.")
        methods.append(rival)
    return methods


def _known(potential: str) -> str:
    """The usual spelling of a potential's name; an import path stays as it is."""
    spelling = {name.lower(): name for name in (*NAMED_POTENTIALS, *_WITHOUT_WEIGHTS)}
    if potential.lower() not in spelling and "." not in potential:
        raise InputError(
            f"There is no potential '{potential}'; choose {', '.join(spelling.values())}, or the import path of an ASE "
            "calculator."
        )
    return spelling.get(potential.lower(), potential)


def _chosen(pool: LabelPool, checkpoints: Sequence[NetworkMethod], count: int | None, seed: int) -> LabelPool:
    """Structures to compare on: those that no checkpoint was trained on, or some of them."""
    unseen = [
        position
        for position, configuration in enumerate(pool.configurations)
        if _SEEN.isdisjoint(method.exposure(configuration) for method in checkpoints)
    ]
    if not unseen:
        raise InputError(
            f"None of the {len(pool)} structures is new to every checkpoint; give others, or --include-seen to compare on what "
            "was trained on."
        )
    return pool.subset(sorted(nested_order(pool, unseen, seed)[:count]))


def _relaxations(names: Sequence[str], thresholds: Sequence[float]) -> tuple[list[PotentialMethod], list[Row]]:
    """The potentials that can be loaded here, and a row with the reason for each that cannot."""
    loaded: list[PotentialMethod] = []
    skipped: list[Row] = []
    for name in dict.fromkeys(names):
        try:
            if name in _WITHOUT_WEIGHTS:
                raise InputError(_WITHOUT_WEIGHTS[name])  # noqa: TRY301  one way to skip
            loaded += [PotentialMethod(name, threshold) for threshold in sorted(set(thresholds))]
        except InputError as error:
            skipped.append({"method": name, "structures": 0, "reason": f"skipped: {error}"})
    return loaded, skipped


def _row(method: Method, trials: Sequence[Trial], pool: LabelPool) -> Row:
    errors = CoordinateErrors()
    for trial in trials:
        errors = errors + CoordinateErrors.of_sums(trial.sums)
    failures = Counter(trial.error for trial in trials if trial.error)
    evaluations = [trial.evaluations for trial in trials if trial.evaluations is not None]
    return {
        "method": method.name,
        "role": method.role(pool.teachers) or None,
        "structures": len(trials),
        "failed": sum(failures.values()),
        **error_cells(errors),
        "s per structure": float(np.median([trial.seconds for trial in trials])),
        "force evaluations": float(np.median(evaluations)) if evaluations else None,
        "reason": "; ".join(f"{count} × {reason}" for reason, count in failures.most_common(3)) or None,
    }


def _about(pool: LabelPool, chosen: LabelPool, *, include_seen: bool) -> str:
    sizes = sorted({f"{labels.host.name} {labels.host.n_sites} sites" for labels in chosen.sets})
    which = "seen in training or not" if include_seen else "whose defect clusters no checkpoint was trained on"
    return f"{len(chosen)} of {len(pool)} labelled structures ({', '.join(sizes)}), {which}; labels by {teacher_names(pool)}."
